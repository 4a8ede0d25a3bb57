//! Owns issues that are no pull requests: opening, editing, closing. They share numbers and comments with those.

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::model::Model;
use crate::model::comment::BODY_LIMIT;
use crate::model::repository::Repository;
use crate::shape;

/// The longest title, in characters.
const TITLE_LIMIT: usize = 256;

#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: Option<String>,
    pub(crate) author: u64,
    /// The app in whose name it was written.
    pub(crate) app: Option<u64>,
    pub(crate) open: bool,
    /// GitHub's word: `completed`, `not_planned`, `duplicate`, `reopened`.
    pub(crate) reason: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) closed_at: Option<i64>,
    pub(crate) closed_by: Option<u64>,
}

impl Issue {
    /// `open`, `closed`.
    pub(crate) fn state(&self) -> &'static str {
        if self.open { "open" } else { "closed" }
    }
}

/// What an edit changes; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub(crate) struct IssueEdit {
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) open: Option<bool>,
    pub(crate) reason: Option<String>,
    pub(crate) labels: Option<Vec<String>>,
}

fn checked(title: Option<&str>, body: Option<&str>) -> Result<(), Error> {
    if title.is_some_and(|title| title.trim().is_empty()) {
        return Err(Error::field("Issue", "title", "missing_field"));
    }
    for (field, text, limit) in [("title", title, TITLE_LIMIT), ("body", body, BODY_LIMIT)] {
        if text.is_some_and(|text| text.chars().count() > limit) {
            let words = format!("{field} is too long (maximum is {limit} characters)");
            return Err(Error::invalid("Issue", field, words));
        }
    }
    Ok(())
}

impl Repository {
    pub(crate) fn issue(&self, number: u64) -> Result<&Issue, Error> {
        self.issues.get(&number).ok_or_else(|| Error::NotFound(format!("issue {number}")))
    }

    /// Does that number belong to an issue that is no pull request?
    pub(crate) fn is_issue(&self, number: u64) -> bool {
        self.issues.contains_key(&number)
    }

    /// Notes that something of a pull request or issue changed.
    pub(crate) fn touch(&mut self, number: u64, now: i64) -> Result<(), Error> {
        match self.issues.get_mut(&number) {
            Some(issue) => issue.updated_at = now,
            None => self.pull_mut(number)?.updated_at = now,
        }
        Ok(())
    }
}

impl Model {
    pub(crate) fn open_issue(
        &mut self,
        repository: u64,
        author: u64,
        app: Option<u64>,
        title: &str,
        body: Option<&str>,
    ) -> Result<u64, Error> {
        if !self.repository(repository)?.has_issues {
            return Err(Error::Gone("Issues has been disabled in this repository.".into()));
        }
        checked(Some(title), body)?;
        let (id, now) = (self.id(), self.now());
        let it = self.repository_mut(repository)?;
        let number = it.take_number();
        let issue = Issue {
            id,
            number,
            title: title.into(),
            body: body.map(str::to_owned),
            author,
            app,
            open: true,
            reason: None,
            labels: Vec::new(),
            created_at: now,
            updated_at: now,
            closed_at: None,
            closed_by: None,
        };
        it.issues.insert(number, issue);
        self.tell_issue(repository, number, author, "opened", None)?;
        Ok(number)
    }

    pub(crate) fn edit_issue(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        edit: &IssueEdit,
    ) -> Result<(), Error> {
        if !self.repository(repository)?.has_issues {
            return Err(Error::Gone("Issues has been disabled in this repository.".into()));
        }
        checked(edit.title.as_deref(), edit.body.as_deref())?;
        let now = self.now();
        let it = self.repository_mut(repository)?;
        let issue = it.issues.get_mut(&number).ok_or_else(|| Error::NotFound(format!("issue {number}")))?;
        let mut changes = Map::new();
        if let Some(title) = edit.title.as_ref().filter(|title| **title != issue.title) {
            changes.insert("title".into(), json!({"from": issue.title}));
            issue.title.clone_from(title);
        }
        if let Some(body) = edit.body.as_ref().filter(|body| Some(*body) != issue.body.as_ref()) {
            changes.insert("body".into(), json!({"from": issue.body.clone().unwrap_or_default()}));
            issue.body = Some(body.clone());
        }
        if let Some(labels) = &edit.labels {
            issue.labels.clone_from(labels);
        }
        issue.updated_at = now;
        let turned = edit.open.filter(|open| *open != issue.open);
        if let Some(open) = turned {
            issue.open = open;
            let usual = if open { "reopened" } else { "completed" };
            issue.reason = Some(edit.reason.clone().unwrap_or_else(|| usual.into()));
            (issue.closed_at, issue.closed_by) = if open { (None, None) } else { (Some(now), Some(actor)) };
        }
        if !changes.is_empty() {
            self.tell_issue(repository, number, actor, "edited", Some(Value::Object(changes)))?;
        }
        match turned {
            Some(true) => self.tell_issue(repository, number, actor, "reopened", None),
            Some(false) => self.tell_issue(repository, number, actor, "closed", None),
            None => Ok(()),
        }
    }

    fn tell_issue(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        action: &str,
        changes: Option<Value>,
    ) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let mut fields = Map::new();
        fields.insert("issue".into(), shape::issue::issue(self, it, it.issue(number)?, shape::Form::Webhook));
        if let Some(changes) = changes {
            fields.insert("changes".into(), changes);
        }
        self.tell(repository, actor, "issues", Some(action), fields);
        Ok(())
    }
}
