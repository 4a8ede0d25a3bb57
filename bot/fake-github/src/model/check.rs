//! Owns check suites and check runs, with GitHub's rules on who may write them and how long their texts may be.

use serde_json::{Map, Value, json};

use crate::error::{Error, FieldError};
use crate::git::ZERO;
use crate::model::Model;
use crate::shape;

/// The longest `summary` and `text`, in characters.
pub(crate) const TEXT_LIMIT: usize = 65_535;
/// The most annotations in one request.
pub(crate) const ANNOTATIONS: usize = 50;

#[derive(Debug, Clone)]
pub(crate) struct CheckSuite {
    pub(crate) id: u64,
    pub(crate) app: u64,
    pub(crate) head_sha: String,
    pub(crate) head_branch: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    /// Set by a re-request until a run of it changes: GitHub resets the suite and leaves the runs.
    pub(crate) reset: bool,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct CheckRun {
    pub(crate) id: u64,
    pub(crate) suite: u64,
    pub(crate) app: u64,
    pub(crate) name: String,
    pub(crate) head_sha: String,
    pub(crate) external_id: String,
    pub(crate) details_url: Option<String>,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) started_at: i64,
    pub(crate) completed_at: Option<i64>,
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) text: Option<String>,
    /// As they were sent: `path`, `start_line`, `end_line`, `annotation_level`, `message`, `title`, `raw_details`.
    pub(crate) annotations: Vec<Value>,
    /// Buttons: `label`, `description`, `identifier`.
    pub(crate) actions: Vec<Value>,
}

/// The fields of a create or an update; absent ones stay.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckInput {
    pub(crate) name: Option<String>,
    pub(crate) details_url: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) conclusion: Option<String>,
    pub(crate) started_at: Option<i64>,
    pub(crate) completed_at: Option<i64>,
    pub(crate) output: Option<Output>,
    pub(crate) actions: Option<Vec<Value>>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Output {
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) annotations: Vec<Value>,
}

fn refuse(field: &'static str, message: impl Into<String>) -> Error {
    Error::Unprocessable {
        message: "Invalid request.".into(),
        errors: vec![FieldError { resource: "CheckRun", field, code: "invalid", message: Some(message.into()) }],
    }
}

fn checked_output(output: &Output, has_title: bool) -> Result<(), Error> {
    if output.summary.is_none() {
        return Err(refuse("output", "\"summary\" wasn't supplied."));
    }
    if output.title.as_ref().is_none_or(String::is_empty) && !has_title {
        return Err(refuse("output", "\"title\" wasn't supplied."));
    }
    for (name, text) in [("summary", &output.summary), ("text", &output.text)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_LIMIT) {
            return Err(refuse(
                "output",
                format!("Only {TEXT_LIMIT} characters are allowed in {name}; {name} is too long"),
            ));
        }
    }
    if output.annotations.len() > ANNOTATIONS {
        return Err(refuse(
            "annotations",
            format!("No more than {ANNOTATIONS} annotations can be added in one request."),
        ));
    }
    output.annotations.iter().try_for_each(checked_annotation)
}

fn checked_annotation(annotation: &Value) -> Result<(), Error> {
    let length = |name: &str| annotation[name].as_str().map_or(0, |text| text.len());
    for (name, limit) in [("message", 65_536), ("title", 255), ("raw_details", 65_536)] {
        if length(name) > limit {
            return Err(refuse("annotations", format!("{name} is too long (maximum is {limit})")));
        }
    }
    let (start, end) = (annotation["start_line"].as_u64(), annotation["end_line"].as_u64());
    let (Some(start), Some(end)) = (start, end) else {
        return Err(refuse("annotations", "start_line and end_line are required"));
    };
    if end < start {
        return Err(refuse("annotations", "end_line must not be before start_line"));
    }
    let columns = annotation.get("start_column").is_some() || annotation.get("end_column").is_some();
    if columns && start != end {
        return Err(refuse("annotations", "columns are only allowed when start_line and end_line are equal"));
    }
    Ok(())
}

fn checked_actions(actions: &[Value]) -> Result<(), Error> {
    if actions.len() > 3 {
        return Err(refuse("actions", "No more than 3 actions are allowed."));
    }
    for action in actions {
        for (name, limit) in [("label", 20), ("description", 40), ("identifier", 20)] {
            let text = action[name].as_str().ok_or_else(|| refuse("actions", format!("{name} is missing")))?;
            if text.chars().count() > limit {
                return Err(refuse("actions", format!("{name} is too long (maximum is {limit} characters)")));
            }
        }
    }
    Ok(())
}

fn checked_words(input: &CheckInput) -> Result<(), Error> {
    let status = input.status.as_deref();
    if status.is_some_and(|status| !["queued", "in_progress", "completed"].contains(&status)) {
        return Err(refuse("status", "only GitHub Actions may set this status"));
    }
    let conclusions = ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];
    if input.conclusion.as_deref().is_some_and(|it| !conclusions.contains(&it)) {
        return Err(refuse("conclusion", "an app may not set this conclusion"));
    }
    if status == Some("completed") && input.conclusion.is_none() {
        return Err(refuse("conclusion", "\"conclusion\" is required when status is completed"));
    }
    if input.conclusion.is_some() && status.is_some_and(|status| status != "completed") {
        return Err(refuse("status", "status must be completed when a conclusion is given"));
    }
    Ok(())
}

impl CheckRun {
    fn apply(&mut self, input: CheckInput, now: i64) {
        if let Some(name) = input.name {
            self.name = name;
        }
        if input.details_url.is_some() {
            self.details_url = input.details_url;
        }
        if let Some(external_id) = input.external_id {
            self.external_id = external_id;
        }
        if let Some(started_at) = input.started_at {
            self.started_at = started_at;
        }
        if let Some(conclusion) = input.conclusion {
            self.status = "completed".into();
            self.conclusion = Some(conclusion);
            self.completed_at = Some(input.completed_at.unwrap_or(now));
        } else if let Some(status) = input.status {
            self.status = status;
            self.conclusion = None;
            self.completed_at = None;
        }
        if let Some(output) = input.output {
            self.title = output.title.or(self.title.take());
            self.summary = output.summary;
            self.text = output.text;
            self.annotations.extend(output.annotations);
        }
        if let Some(actions) = input.actions {
            self.actions = actions;
        }
    }
}

impl Model {
    /// Every app that writes checks here gets a suite for a pushed commit, and is told.
    pub(crate) fn suites_for_push(
        &mut self,
        repository: u64,
        branch: &str,
        before: &str,
        after: &str,
        actor: u64,
    ) -> Result<(), Error> {
        let writes =
            |permissions: &super::account::Permissions| permissions.get("checks").is_some_and(|level| level == "write");
        let apps: Vec<u64> = self
            .installations
            .values()
            .filter(|it| it.repositories.contains(&repository) && writes(&it.permissions))
            .map(|it| it.app)
            .collect();
        for app in apps {
            if self.suite_for(repository, app, after).is_some() {
                continue;
            }
            let id = self.new_suite(repository, app, after, Some(branch))?;
            let before = (before != ZERO).then(|| before.to_owned());
            if let Some(suite) = self.repository_mut(repository)?.suites.get_mut(&id) {
                (suite.before, suite.after) = (before, Some(after.to_owned()));
            }
            self.tell_suite(repository, id, actor, "requested", Some(app))?;
        }
        Ok(())
    }

    fn suite_for(&self, repository: u64, app: u64, sha: &str) -> Option<u64> {
        let it = self.repositories.get(&repository)?;
        it.suites.values().find(|suite| suite.app == app && suite.head_sha == sha).map(|suite| suite.id)
    }

    fn new_suite(&mut self, repository: u64, app: u64, sha: &str, branch: Option<&str>) -> Result<u64, Error> {
        let (id, now) = (self.id(), self.now());
        let head_branch = branch.map(str::to_owned).or_else(|| {
            let it = self.repositories.get(&repository)?;
            it.pulls
                .values()
                .find(|pull| pull.head_sha == sha && pull.head_repository == Some(repository))
                .map(|pull| pull.head_ref.clone())
        });
        let suite = CheckSuite {
            id,
            app,
            head_sha: sha.into(),
            head_branch,
            before: None,
            after: Some(sha.into()),
            reset: false,
            created_at: now,
            updated_at: now,
        };
        self.repository_mut(repository)?.suites.insert(id, suite);
        Ok(id)
    }

    pub(crate) fn create_check(
        &mut self,
        repository: u64,
        app: u64,
        sha: &str,
        input: CheckInput,
    ) -> Result<u64, Error> {
        let found = self.repository(repository)?.git.commit(sha)?;
        if found.as_deref() != Some(sha) {
            return Err(Error::Unprocessable {
                message: format!("No commit found for SHA: {sha}"),
                errors: Vec::new(),
            });
        }
        self.checked(&input, false)?;
        let suite = match self.suite_for(repository, app, sha) {
            Some(suite) => suite,
            None => self.new_suite(repository, app, sha, None)?,
        };
        let (id, now) = (self.id(), self.now());
        let mut run = CheckRun {
            id,
            suite,
            app,
            name: String::new(),
            head_sha: sha.into(),
            external_id: String::new(),
            details_url: None,
            status: "queued".into(),
            conclusion: None,
            started_at: now,
            completed_at: None,
            title: None,
            summary: None,
            text: None,
            annotations: Vec::new(),
            actions: Vec::new(),
        };
        run.apply(input, now);
        self.repository_mut(repository)?.runs.insert(id, run);
        self.after_check(repository, id, "created")?;
        Ok(id)
    }

    pub(crate) fn update_check(&mut self, repository: u64, id: u64, input: CheckInput) -> Result<(), Error> {
        let now = self.now();
        let run = self.run(repository, id)?;
        let (was, has_title) = (run.status.clone(), run.title.is_some());
        self.checked(&input, has_title)?;
        let it = self.repository_mut(repository)?;
        let run = it.runs.get_mut(&id).ok_or_else(|| Error::NotFound(format!("check run {id}")))?;
        run.apply(input, now);
        let done = run.status == "completed" && was != "completed";
        self.after_check(repository, id, if done { "completed" } else { "" })
    }

    fn checked(&self, input: &CheckInput, has_title: bool) -> Result<(), Error> {
        checked_words(input)?;
        if let Some(output) = &input.output {
            checked_output(output, has_title)?;
        }
        let url = input.details_url.as_deref().unwrap_or("http://");
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(refuse("details_url", format!("details_url must use http or https, at {}", self.url)));
        }
        checked_actions(input.actions.as_deref().unwrap_or_default())
    }

    /// Tells the apps, and completes the suite when its last run is.
    fn after_check(&mut self, repository: u64, id: u64, action: &str) -> Result<(), Error> {
        let now = self.now();
        let run = self.run(repository, id)?.clone();
        let bot = self.apps.get(&run.app).map_or(0, |app| app.bot);
        let it = self.repository_mut(repository)?;
        let suite =
            it.suites.get_mut(&run.suite).ok_or_else(|| Error::NotFound(format!("check suite {}", run.suite)))?;
        suite.reset = false;
        suite.updated_at = now;
        if action == "created" {
            self.tell_run(repository, id, bot, "created", None, None)?;
        }
        if run.status == "completed" && !action.is_empty() {
            self.tell_run(repository, id, bot, "completed", None, None)?;
            let it = self.repository(repository)?;
            if it.runs.values().filter(|other| other.suite == run.suite).all(|other| other.status == "completed") {
                self.tell_suite(repository, run.suite, bot, "completed", None)?;
            }
        }
        self.settle_queues(repository)
    }

    pub(crate) fn run(&self, repository: u64, id: u64) -> Result<&CheckRun, Error> {
        self.repository(repository)?.runs.get(&id).ok_or_else(|| Error::NotFound(format!("check run {id}")))
    }

    /// The newest run of a name at the head of a pull request.
    pub(crate) fn newest_check(&self, repository: u64, number: u64, name: &str) -> Result<u64, Error> {
        let it = self.repository(repository)?;
        let head = &it.pull(number)?.head_sha;
        let found = it.runs.values().filter(|run| run.head_sha == *head && run.name == name).map(|run| run.id).max();
        found.ok_or_else(|| Error::NotFound(format!("check {name} on pull request {number}")))
    }

    /// The Re-run button of one check: only its app is told, and the run itself stays as it is.
    pub(crate) fn rerequest_run(&mut self, repository: u64, id: u64, actor: u64) -> Result<(), Error> {
        let (app, suite) = {
            let run = self.run(repository, id)?;
            (run.app, run.suite)
        };
        if let Some(suite) = self.repository_mut(repository)?.suites.get_mut(&suite) {
            suite.reset = true;
        }
        self.tell_run(repository, id, actor, "rerequested", None, Some(app))
    }

    /// The Re-run all button of a suite.
    pub(crate) fn rerequest_suite(&mut self, repository: u64, id: u64, actor: u64) -> Result<(), Error> {
        let it = self.repository_mut(repository)?;
        let suite = it.suites.get_mut(&id).ok_or_else(|| Error::NotFound(format!("check suite {id}")))?;
        suite.reset = true;
        let app = suite.app;
        self.tell_suite(repository, id, actor, "rerequested", Some(app))
    }

    /// A press of one of the buttons that a check offers.
    pub(crate) fn request_action(
        &mut self,
        repository: u64,
        id: u64,
        actor: u64,
        identifier: &str,
    ) -> Result<(), Error> {
        let run = self.run(repository, id)?;
        if run.actions.iter().all(|action| action["identifier"] != identifier) {
            return Err(Error::NotFound(format!("check run {id} has no button `{identifier}`")));
        }
        let app = run.app;
        self.tell_run(repository, id, actor, "requested_action", Some(json!({"identifier": identifier})), Some(app))
    }

    fn tell_run(
        &mut self,
        repository: u64,
        id: u64,
        actor: u64,
        action: &str,
        requested: Option<Value>,
        only: Option<u64>,
    ) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let run = self.run(repository, id)?;
        let mut fields = Map::new();
        fields.insert("check_run".into(), shape::check::run(self, it, run, shape::Form::Webhook)?);
        if let Some(requested) = requested {
            fields.insert("requested_action".into(), requested);
        }
        self.tell_only(repository, actor, "check_run", Some(action), fields, only);
        Ok(())
    }

    fn tell_suite(
        &mut self,
        repository: u64,
        id: u64,
        actor: u64,
        action: &str,
        only: Option<u64>,
    ) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let suite = it.suites.get(&id).ok_or_else(|| Error::NotFound(format!("check suite {id}")))?;
        let mut fields = Map::new();
        fields.insert("check_suite".into(), shape::check::suite(self, it, suite, shape::Form::Webhook)?);
        self.tell_only(repository, actor, "check_suite", Some(action), fields, only);
        Ok(())
    }
}
