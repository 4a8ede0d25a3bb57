//! Owns conversations on changed lines: opening, answering, resolving.

use serde_json::{Map, Value};

use crate::error::{Error, FieldError};
use crate::model::Model;
use crate::model::account::Role;
use crate::model::review::Verdict;
use crate::shape;

#[derive(Debug, Clone)]
pub(crate) struct Thread {
    pub(crate) id: u64,
    pub(crate) path: String,
    pub(crate) line: u64,
    pub(crate) comments: Vec<ReviewComment>,
    /// Who resolved it; `None` while it is open.
    pub(crate) resolved_by: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct ReviewComment {
    pub(crate) id: u64,
    pub(crate) author: u64,
    pub(crate) body: String,
    /// The review that brought it.
    pub(crate) review: u64,
    pub(crate) commit: String,
    pub(crate) created_at: i64,
}

/// A remark on a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remark<'a> {
    pub(crate) path: &'a str,
    pub(crate) line: u64,
    pub(crate) body: &'a str,
}

fn refuse(field: &'static str, message: &str) -> Error {
    Error::Unprocessable {
        message: "Validation Failed".into(),
        errors: vec![FieldError {
            resource: "PullRequestReviewComment",
            field,
            code: "custom",
            message: Some(message.into()),
        }],
    }
}

impl Model {
    /// A remark on a changed file of the head begins a conversation; answers its comment.
    pub(crate) fn open_thread(
        &mut self,
        repository: u64,
        number: u64,
        author: u64,
        remark: Remark<'_>,
    ) -> Result<(u64, u64), Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        let base = it.git.merge_base(&pull.base_sha, &pull.head_sha)?.unwrap_or_else(|| pull.base_sha.clone());
        let changed = it.git.diff(&base, &pull.head_sha)?;
        if changed.iter().all(|change| change.path != remark.path) {
            return Err(refuse("path", "path is not part of the pull request"));
        }
        if remark.line == 0 {
            return Err(refuse("line", "line must be part of the diff"));
        }
        let commit = pull.head_sha.clone();
        let (id, comment) = (self.id(), self.id());
        let path = remark.path.to_owned();
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        pull.threads.push(Thread { id, path, line: remark.line, comments: Vec::new(), resolved_by: None });
        self.remark(repository, number, id, (comment, author), remark.body, commit)?;
        Ok((id, comment))
    }

    /// An answer in a conversation.
    pub(crate) fn answer_thread(
        &mut self,
        repository: u64,
        number: u64,
        thread: u64,
        author: u64,
        body: &str,
    ) -> Result<u64, Error> {
        let commit = self.repository(repository)?.pull(number)?.head_sha.clone();
        self.thread(repository, number, thread)?;
        let comment = self.id();
        self.remark(repository, number, thread, (comment, author), body, commit)?;
        Ok(comment)
    }

    /// A remark is a review of its own, as on GitHub.
    fn remark(
        &mut self,
        repository: u64,
        number: u64,
        thread: u64,
        (id, author): (u64, u64),
        body: &str,
        commit: String,
    ) -> Result<(), Error> {
        if body.trim().is_empty() {
            return Err(refuse("body", "body is missing"));
        }
        let created_at = self.now();
        let review = self.review_of_remark(repository, number, author, &commit)?;
        let comment = ReviewComment { id, author, body: body.into(), review, commit, created_at };
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        pull.updated_at = created_at;
        if let Some(it) = pull.threads.iter_mut().find(|it| it.id == thread) {
            it.comments.push(comment);
        }
        self.tell_review(repository, number, review, author, "submitted")?;
        self.tell_remark(repository, number, id, author)
    }

    pub(crate) fn thread(&self, repository: u64, number: u64, id: u64) -> Result<&Thread, Error> {
        let pull = self.repository(repository)?.pull(number)?;
        pull.threads.iter().find(|it| it.id == id).ok_or_else(|| Error::NotFound(format!("thread {id}")))
    }

    /// Resolves a conversation or opens it again. Who opened the pull request and who may push may do so.
    pub(crate) fn resolve_thread(
        &mut self,
        repository: u64,
        number: u64,
        id: u64,
        actor: u64,
        resolved: bool,
    ) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        let app = self.apps.values().any(|app| app.bot == actor);
        if pull.author != actor && !app && self.role(actor, it) < Some(Role::Write) {
            return Err(Error::Forbidden("Resource not accessible".into()));
        }
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        let thread = pull.threads.iter_mut().find(|it| it.id == id);
        let thread = thread.ok_or_else(|| Error::NotFound(format!("thread {id}")))?;
        if thread.resolved_by.is_some() == resolved {
            return Ok(());
        }
        thread.resolved_by = resolved.then_some(actor);
        let it = self.repository(repository)?;
        let (pull, thread) = (it.pull(number)?, self.thread(repository, number, id)?);
        let mut fields = Map::new();
        fields.insert("thread".into(), shape::thread::thread(self, it, pull, thread));
        fields.insert("pull_request".into(), shape::pull::simple(self, it, pull, shape::Form::Webhook)?);
        let action = if resolved { "resolved" } else { "unresolved" };
        self.tell(repository, actor, "pull_request_review_thread", Some(action), fields);
        Ok(())
    }

    fn tell_remark(&mut self, repository: u64, number: u64, id: u64, author: u64) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        let found = pull.threads.iter().find_map(|thread| {
            thread.comments.iter().find(|comment| comment.id == id).map(|comment| (thread, comment))
        });
        let (thread, comment) = found.ok_or_else(|| Error::NotFound(format!("comment {id}")))?;
        let mut fields = Map::new();
        let shaped = shape::thread::comment(self, it, pull, thread, comment, shape::Form::Webhook);
        fields.insert("comment".into(), shaped);
        let mut simple = shape::pull::simple(self, it, pull, shape::Form::Webhook)?;
        if let Some(simple) = simple.as_object_mut() {
            // This one webhook does not know it.
            simple.remove("auto_merge");
        }
        fields.insert("pull_request".into(), simple);
        self.tell(repository, author, "pull_request_review_comment", Some("created"), fields);
        Ok(())
    }

    fn review_of_remark(&mut self, repository: u64, number: u64, author: u64, commit: &str) -> Result<u64, Error> {
        self.new_review(repository, number, author, Verdict::Comment, "", commit)
    }
}

/// How many conversations are open.
pub(crate) fn open(threads: &[Thread]) -> usize {
    threads.iter().filter(|thread| thread.resolved_by.is_none()).count()
}

/// The value of a field of a remark that a client sent.
pub(crate) fn sent(body: &Value) -> Remark<'_> {
    Remark {
        path: body["path"].as_str().unwrap_or_default(),
        line: body["line"].as_u64().unwrap_or(0),
        body: body["body"].as_str().unwrap_or_default(),
    }
}
