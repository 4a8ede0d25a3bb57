//! Owns deployments and their statuses: records of what went where, which start nothing here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::model::Model;
use crate::model::verdict;
use crate::shape;

/// The longest description, in characters.
const DESCRIPTION: usize = 140;
/// The longest name of an environment, in characters.
const ENVIRONMENT: usize = 255;
const STATES: [&str; 7] = ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) id: u64,
    pub(crate) sha: String,
    /// As it was asked for: a branch, a tag, a commit.
    pub(crate) reference: String,
    pub(crate) task: String,
    pub(crate) payload: Value,
    pub(crate) environment: String,
    pub(crate) description: Option<String>,
    pub(crate) production: bool,
    pub(crate) transient: bool,
    pub(crate) creator: u64,
    /// The app in whose name it was made.
    pub(crate) app: Option<u64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// Oldest first.
    pub(crate) statuses: Vec<DeploymentStatus>,
}

#[derive(Debug, Clone)]
pub(crate) struct DeploymentStatus {
    pub(crate) id: u64,
    pub(crate) state: String,
    pub(crate) description: String,
    pub(crate) environment: String,
    pub(crate) log_url: String,
    pub(crate) environment_url: String,
    pub(crate) creator: u64,
    pub(crate) app: Option<u64>,
    pub(crate) created_at: i64,
}

/// What someone asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewDeployment {
    pub(crate) reference: String,
    pub(crate) task: Option<String>,
    /// Merge the default branch first where the ref lacks it.
    pub(crate) auto_merge: bool,
    /// `None`: every status and check must be good.
    pub(crate) required_contexts: Option<Vec<String>>,
    pub(crate) payload: Option<Value>,
    pub(crate) environment: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) transient: bool,
    pub(crate) production: Option<bool>,
}

/// A state that is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewDeploymentStatus {
    pub(crate) state: String,
    pub(crate) description: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) log_url: Option<String>,
    pub(crate) environment_url: Option<String>,
    /// Success ends the earlier deployments of the environment.
    pub(crate) auto_inactive: bool,
}

fn checked(resource: &'static str, field: &'static str, text: Option<&str>, limit: usize) -> Result<(), Error> {
    match text {
        Some(text) if text.chars().count() > limit => {
            Err(Error::invalid(resource, field, format!("{field} is too long (maximum is {limit} characters)")))
        }
        _ => Ok(()),
    }
}

impl Model {
    pub(crate) fn create_deployment(
        &mut self,
        repository: u64,
        creator: u64,
        app: Option<u64>,
        new: NewDeployment,
    ) -> Result<u64, Error> {
        checked("Deployment", "description", new.description.as_deref(), DESCRIPTION)?;
        checked("Deployment", "environment", new.environment.as_deref(), ENVIRONMENT)?;
        let it = self.repository(repository)?;
        let found = match it.git.branch(&new.reference)? {
            Some(sha) => Some(sha),
            None => it.git.commit(&new.reference)?,
        };
        let refuse =
            || Error::Unprocessable { message: format!("No ref found for: {}", new.reference), errors: vec![] };
        let sha = found.ok_or_else(refuse)?;
        if let Some(tip) = it.git.branch(&it.default_branch)?.filter(|_| new.auto_merge)
            && !it.git.is_ancestor(&tip, &sha)?
        {
            // GitHub would try to merge; nobody who only records wants that.
            let what = format!("Conflict merging {} into {}.", it.default_branch, new.reference);
            return Err(Error::Conflict(what));
        }
        if !verdict::all_good(it, &sha, new.required_contexts.as_deref()) {
            return Err(Error::Conflict(format!("Conflict: Commit status checks failed for {}.", new.reference)));
        }
        let (id, now) = (self.id(), self.now());
        let environment = new.environment.unwrap_or_else(|| "production".into());
        let deployment = Deployment {
            id,
            sha,
            reference: new.reference,
            task: new.task.unwrap_or_else(|| "deploy".into()),
            payload: new.payload.unwrap_or_else(|| json!({})),
            production: new.production.unwrap_or(environment == "production"),
            environment,
            description: new.description,
            transient: new.transient,
            creator,
            app,
            created_at: now,
            updated_at: now,
            statuses: Vec::new(),
        };
        self.repository_mut(repository)?.deployments.insert(id, deployment);
        self.tell_deployment(repository, id, None, creator)?;
        Ok(id)
    }

    pub(crate) fn deployment(&self, repository: u64, id: u64) -> Result<&Deployment, Error> {
        self.repository(repository)?.deployments.get(&id).ok_or_else(|| Error::NotFound(format!("deployment {id}")))
    }

    pub(crate) fn set_deployment_status(
        &mut self,
        repository: u64,
        id: u64,
        creator: u64,
        app: Option<u64>,
        new: NewDeploymentStatus,
    ) -> Result<u64, Error> {
        if !STATES.contains(&new.state.as_str()) {
            return Err(Error::field("DeploymentStatus", "state", "invalid"));
        }
        checked("DeploymentStatus", "description", new.description.as_deref(), DESCRIPTION)?;
        let usual = self.deployment(repository, id)?.environment.clone();
        let environment = new.environment.unwrap_or(usual);
        let (status, created_at) = (self.id(), self.now());
        let ends = new.auto_inactive && new.state == "success";
        let told = DeploymentStatus {
            id: status,
            state: new.state,
            description: new.description.unwrap_or_default(),
            environment: environment.clone(),
            log_url: new.log_url.unwrap_or_default(),
            environment_url: new.environment_url.unwrap_or_default(),
            creator,
            app,
            created_at,
        };
        self.add_status(repository, id, told.clone())?;
        if ends {
            let of = &self.repository(repository)?.deployments;
            let earlier = of.values().filter(|it| it.id < id && it.environment == environment);
            let ended = earlier.filter(|it| !it.transient && !it.production && active(it)).map(|it| it.id);
            for other in ended.collect::<Vec<_>>() {
                let status = self.id();
                self.add_status(
                    repository,
                    other,
                    DeploymentStatus { id: status, state: "inactive".into(), ..told.clone() },
                )?;
            }
        }
        Ok(status)
    }

    fn add_status(&mut self, repository: u64, id: u64, status: DeploymentStatus) -> Result<(), Error> {
        let (now, creator, number) = (self.now(), status.creator, status.id);
        let all: &mut BTreeMap<u64, Deployment> = &mut self.repository_mut(repository)?.deployments;
        let deployment = all.get_mut(&id).ok_or_else(|| Error::NotFound(format!("deployment {id}")))?;
        deployment.updated_at = now;
        let told = status.state != "inactive";
        deployment.statuses.push(status);
        if told { self.tell_deployment(repository, id, Some(number), creator) } else { Ok(()) }
    }

    fn tell_deployment(&mut self, repository: u64, id: u64, status: Option<u64>, actor: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let deployment = self.deployment(repository, id)?;
        let mut fields = Map::new();
        let form = shape::Form::Webhook;
        fields.insert("deployment".into(), shape::deployment::deployment(self, it, deployment, form));
        let status = deployment.statuses.iter().find(|it| Some(it.id) == status);
        let event = match status {
            Some(status) => {
                let shaped = shape::deployment::status(self, it, deployment, status, form);
                fields.insert("deployment_status".into(), shaped);
                "deployment_status"
            }
            None => {
                for part in ["workflow", "workflow_run"] {
                    fields.insert(part.into(), Value::Null);
                }
                "deployment"
            }
        };
        self.tell(repository, actor, event, Some("created"), fields);
        Ok(())
    }
}

/// Does it still stand for what is there?
fn active(it: &Deployment) -> bool {
    it.statuses.last().is_some_and(|status| status.state == "success")
}
