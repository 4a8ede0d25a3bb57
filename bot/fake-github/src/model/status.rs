//! Owns commit statuses: the older kind of checks, which everyone with write access sets.

use serde_json::{Map, json};

use crate::clock::rfc3339;
use crate::error::Error;
use crate::model::Model;
use crate::shape;

/// The most statuses of one context on one commit.
const LIMIT: usize = 1000;
/// The longest description, in characters.
const DESCRIPTION: usize = 140;
pub(crate) const STATES: [&str; 4] = ["error", "failure", "pending", "success"];

#[derive(Debug, Clone)]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) context: String,
    pub(crate) state: String,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
    pub(crate) creator: u64,
    pub(crate) created_at: i64,
}

/// What someone sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatusInput {
    pub(crate) state: String,
    pub(crate) context: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) target_url: Option<String>,
}

impl crate::model::repository::Repository {
    /// All statuses of a commit, newest first.
    pub(crate) fn statuses_of(&self, sha: &str) -> impl Iterator<Item = &Status> {
        let sha = sha.to_owned();
        self.statuses.iter().rev().filter(move |it| it.sha == sha)
    }

    /// The newest of each context, which GitHub compares without case.
    pub(crate) fn newest_statuses(&self, sha: &str) -> Vec<&Status> {
        let mut newest: Vec<&Status> = Vec::new();
        for status in self.statuses_of(sha) {
            if newest.iter().all(|it| !it.context.eq_ignore_ascii_case(&status.context)) {
                newest.push(status);
            }
        }
        newest
    }
}

impl Model {
    pub(crate) fn set_status(
        &mut self,
        repository: u64,
        sha: &str,
        creator: u64,
        input: StatusInput,
    ) -> Result<u64, Error> {
        let it = self.repository(repository)?;
        if it.git.commit(sha)?.as_deref() != Some(sha) {
            return Err(Error::Unprocessable {
                message: format!("No commit found for SHA: {sha}"),
                errors: Vec::new(),
            });
        }
        if !STATES.contains(&input.state.as_str()) {
            return Err(Error::field("Status", "state", "invalid"));
        }
        if input.description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION) {
            let message = format!("description is too long (maximum is {DESCRIPTION} characters)");
            return Err(Error::invalid("Status", "description", message));
        }
        let context = input.context.unwrap_or_else(|| "default".into());
        if it.statuses_of(sha).filter(|it| it.context == context).count() >= LIMIT {
            let message = "This SHA and context has reached the maximum number of statuses.";
            return Err(Error::invalid("Status", "context", message));
        }
        let (id, created_at) = (self.id(), self.now());
        let StatusInput { state, description, target_url, .. } = input;
        let sha = sha.to_owned();
        let it = self.repository_mut(repository)?;
        it.statuses.push(Status { id, sha, context, state, description, target_url, creator, created_at });
        self.tell_status(repository, id)?;
        self.settle_queues(repository)?;
        Ok(id)
    }

    fn tell_status(&mut self, repository: u64, id: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let found = it.statuses.iter().find(|it| it.id == id);
        let status = found.ok_or_else(|| Error::NotFound(format!("status {id}")))?.clone();
        let commit = it.git.commit_object(&status.sha)?;
        let commit = commit.ok_or_else(|| Error::NotFound(format!("commit {}", status.sha)))?;
        let mut fields = Map::new();
        for (name, value) in [
            ("id", json!(id)),
            ("sha", json!(status.sha)),
            ("name", json!(self.full_name(it))),
            ("avatar_url", json!(format!("{}/avatars/u/{}", self.url, status.creator))),
            ("target_url", json!(status.target_url)),
            ("context", json!(status.context)),
            ("description", json!(status.description)),
            ("state", json!(status.state)),
            ("commit", shape::commit::in_status(self, it, &commit)),
            ("branches", shape::status::branches(self, it, &status.sha)?),
            ("created_at", json!(rfc3339(status.created_at))),
            ("updated_at", json!(rfc3339(status.created_at))),
        ] {
            fields.insert(name.into(), value);
        }
        self.tell(repository, status.creator, "status", None, fields);
        Ok(())
    }
}
