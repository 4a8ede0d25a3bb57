//! Owns comments on pull requests and issues, and the reactions to them.

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::model::Model;
use crate::shape;

/// The longest body that GitHub takes, in characters.
pub(crate) const BODY_LIMIT: usize = 65_536;

#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) author: u64,
    /// The app in whose name it was written.
    pub(crate) app: Option<u64>,
    pub(crate) body: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) last_edited_at: Option<i64>,
    /// GitHub's classifier in lower case, as `outdated`.
    pub(crate) minimized: Option<String>,
    pub(crate) reactions: Vec<Reaction>,
}

#[derive(Debug, Clone)]
pub(crate) struct Reaction {
    pub(crate) id: u64,
    pub(crate) author: u64,
    pub(crate) content: String,
    pub(crate) created_at: i64,
}

/// The reactions that GitHub knows.
pub(crate) const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

fn checked(body: &str) -> Result<(), Error> {
    if body.trim().is_empty() {
        return Err(Error::Unprocessable {
            message: "Validation Failed".into(),
            errors: vec![crate::error::FieldError {
                resource: "IssueComment",
                field: "body",
                code: "unprocessable",
                message: Some("Body cannot be blank".into()),
            }],
        });
    }
    if body.chars().count() > BODY_LIMIT {
        return Err(Error::invalid(
            "IssueComment",
            "body",
            format!("Body is too long (maximum is {BODY_LIMIT} characters)"),
        ));
    }
    Ok(())
}

impl Model {
    pub(crate) fn comment(
        &mut self,
        repository: u64,
        number: u64,
        author: u64,
        app: Option<u64>,
        body: &str,
    ) -> Result<u64, Error> {
        let it = self.repository(repository)?;
        if !it.is_issue(number) {
            it.pull(number)?;
        }
        checked(body)?;
        let (id, now) = (self.id(), self.now());
        let comment = Comment {
            id,
            number,
            author,
            app,
            body: body.into(),
            created_at: now,
            updated_at: now,
            last_edited_at: None,
            minimized: None,
            reactions: Vec::new(),
        };
        let it = self.repository_mut(repository)?;
        it.comments.insert(id, comment);
        it.touch(number, now)?;
        self.tell_comment(repository, id, author, "created", None)?;
        Ok(id)
    }

    pub(crate) fn edit_comment(&mut self, repository: u64, id: u64, actor: u64, body: &str) -> Result<(), Error> {
        checked(body)?;
        let now = self.now();
        let comment = self.comment_mut(repository, id)?;
        let from = std::mem::replace(&mut comment.body, body.into());
        comment.updated_at = now;
        comment.last_edited_at = Some(now);
        self.tell_comment(repository, id, actor, "edited", Some(json!({"body": {"from": from}})))
    }

    pub(crate) fn delete_comment(&mut self, repository: u64, id: u64, actor: u64) -> Result<(), Error> {
        self.comment_mut(repository, id)?;
        self.tell_comment(repository, id, actor, "deleted", None)?;
        self.repository_mut(repository)?.comments.remove(&id);
        Ok(())
    }

    pub(crate) fn comment_mut(&mut self, repository: u64, id: u64) -> Result<&mut Comment, Error> {
        let it = self.repository_mut(repository)?;
        it.comments.get_mut(&id).ok_or_else(|| Error::NotFound(format!("comment {id}")))
    }

    /// Adds a reaction; the second of the same kind by the same account is the first one. The flag says whether it is new.
    pub(crate) fn react(
        &mut self,
        repository: u64,
        comment: u64,
        author: u64,
        content: &str,
    ) -> Result<(Reaction, bool), Error> {
        if !REACTIONS.contains(&content) {
            return Err(Error::field("Reaction", "content", "invalid"));
        }
        let (id, created_at) = (self.id(), self.now());
        let comment = self.comment_mut(repository, comment)?;
        if let Some(there) = comment.reactions.iter().find(|it| it.author == author && it.content == content) {
            return Ok((there.clone(), false));
        }
        let reaction = Reaction { id, author, content: content.into(), created_at };
        comment.reactions.push(reaction.clone());
        Ok((reaction, true))
    }

    fn tell_comment(
        &mut self,
        repository: u64,
        id: u64,
        actor: u64,
        action: &str,
        changes: Option<Value>,
    ) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let comment = it.comments.get(&id).ok_or_else(|| Error::NotFound(format!("comment {id}")))?;
        let mut fields = Map::new();
        if let Some(changes) = changes {
            fields.insert("changes".into(), changes);
        }
        let issue = shape::issue::either(self, it, comment.number, shape::Form::Webhook);
        fields.insert("issue".into(), issue.ok_or_else(|| Error::NotFound(format!("issue {}", comment.number)))?);
        fields.insert("comment".into(), shape::comment::comment(self, it, comment, shape::Form::Webhook));
        self.tell(repository, actor, "issue_comment", Some(action), fields);
        Ok(())
    }
}
