//! Owns plain reviews: approve, request changes, comment, dismiss.

use serde_json::Map;

use crate::error::Error;
use crate::model::Model;
use crate::model::owners::Owner;
use crate::shape;

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The reviewer approves.
    Approve,
    /// The reviewer wants changes.
    RequestChanges,
    /// Only remarks.
    Comment,
}

/// The state of a review now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReviewState {
    Approved,
    ChangesRequested,
    Commented,
    Dismissed,
}

impl ReviewState {
    /// As REST writes it; webhooks use the same word in lower case.
    pub(crate) fn word(self) -> &'static str {
        match self {
            ReviewState::Approved => "APPROVED",
            ReviewState::ChangesRequested => "CHANGES_REQUESTED",
            ReviewState::Commented => "COMMENTED",
            ReviewState::Dismissed => "DISMISSED",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Review {
    pub(crate) id: u64,
    pub(crate) author: u64,
    pub(crate) body: String,
    pub(crate) state: ReviewState,
    pub(crate) commit: String,
    pub(crate) submitted_at: i64,
}

impl Model {
    pub(crate) fn review(
        &mut self,
        repository: u64,
        number: u64,
        author: u64,
        verdict: Verdict,
        body: &str,
        commit: Option<&str>,
    ) -> Result<u64, Error> {
        let pull = self.repository(repository)?.pull(number)?;
        let own = pull.author == author;
        let commit = commit.unwrap_or(&pull.head_sha).to_owned();
        let refuse = |message: &str| Error::Unprocessable {
            message: "Unprocessable Entity".into(),
            errors: vec![crate::error::FieldError {
                resource: "PullRequestReview",
                field: "event",
                code: "custom",
                message: Some(message.into()),
            }],
        };
        if own && verdict == Verdict::Approve {
            return Err(refuse("Review Can not approve your own pull request"));
        }
        if own && verdict == Verdict::RequestChanges {
            return Err(refuse("Review Can not request changes on your own pull request"));
        }
        if body.is_empty() && verdict != Verdict::Approve {
            return Err(refuse("Review Body can't be blank"));
        }
        let id = self.new_review(repository, number, author, verdict, body, &commit)?;
        self.tell_review(repository, number, id, author, "submitted")?;
        Ok(id)
    }

    /// Notes a review without telling; who was asked for it is asked no more.
    pub(crate) fn new_review(
        &mut self,
        repository: u64,
        number: u64,
        author: u64,
        verdict: Verdict,
        body: &str,
        commit: &str,
    ) -> Result<u64, Error> {
        let (id, submitted_at) = (self.id(), self.now());
        let state = match verdict {
            Verdict::Approve => ReviewState::Approved,
            Verdict::RequestChanges => ReviewState::ChangesRequested,
            Verdict::Comment => ReviewState::Commented,
        };
        let pull = self.repository(repository)?.pull(number)?;
        let answered: Vec<Owner> = pull.asked.iter().copied().filter(|owner| self.is_owner(*owner, author)).collect();
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        pull.asked.retain(|owner| !answered.contains(owner));
        let (body, commit) = (body.to_owned(), commit.to_owned());
        pull.reviews.push(Review { id, author, body, state, commit, submitted_at });
        Ok(id)
    }

    pub(crate) fn dismiss_review(&mut self, repository: u64, number: u64, id: u64, actor: u64) -> Result<(), Error> {
        let pull = self.repository_mut(repository)?.pull_mut(number)?;
        let review = pull.reviews.iter_mut().find(|review| review.id == id);
        let review = review.ok_or_else(|| Error::NotFound(format!("review {id}")))?;
        if review.state == ReviewState::Commented {
            return Err(Error::Unprocessable {
                message: "Can not dismiss a commented pull request review".into(),
                errors: Vec::new(),
            });
        }
        review.state = ReviewState::Dismissed;
        self.tell_review(repository, number, id, actor, "dismissed")
    }

    pub(crate) fn tell_review(
        &mut self,
        repository: u64,
        number: u64,
        id: u64,
        actor: u64,
        action: &str,
    ) -> Result<(), Error> {
        let it = self.repository(repository)?;
        let pull = it.pull(number)?;
        let review = pull.reviews.iter().find(|review| review.id == id);
        let review = review.ok_or_else(|| Error::NotFound(format!("review {id}")))?;
        let mut fields = Map::new();
        fields.insert("review".into(), shape::review::review(self, it, pull, review, shape::Form::Webhook));
        fields.insert("pull_request".into(), shape::pull::simple(self, it, pull, shape::Form::Webhook)?);
        self.tell(repository, actor, "pull_request_review", Some(action), fields);
        Ok(())
    }
}
