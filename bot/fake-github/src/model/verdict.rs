//! Owns GitHub's own verdict on a pull request: the review decision, and what stands in the way of a merge.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::model::Model;
use crate::model::account::Role;
use crate::model::check::CheckRun;
use crate::model::protection::Rules;
use crate::model::pull::Pull;
use crate::model::repository::Repository;
use crate::model::review::{Review, ReviewState};
use crate::model::thread;

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Passed,
    Waiting,
    Failed,
}

impl Model {
    /// The last word of everyone who may push, but the author's.
    fn opinions<'a>(&self, it: &Repository, pull: &'a Pull) -> Vec<&'a Review> {
        let mut last: BTreeMap<u64, &Review> = BTreeMap::new();
        for review in pull.reviews.iter().filter(|review| review.state != ReviewState::Commented) {
            last.insert(review.author, review);
        }
        let counts =
            |review: &&Review| review.author != pull.author && self.role(review.author, it) >= Some(Role::Write);
        last.into_values().filter(counts).collect()
    }

    /// `reviewDecision` of GraphQL; `None` where no rule asks for reviews.
    pub(crate) fn review_decision(&self, it: &Repository, pull: &Pull) -> Result<Option<&'static str>, Error> {
        let rules: Vec<&Rules> = it.rules_on(&pull.base_ref).into_iter().filter(|it| it.asks_reviews()).collect();
        if rules.is_empty() {
            return Ok(None);
        }
        let opinions = self.opinions(it, pull);
        if opinions.iter().any(|review| review.state == ReviewState::ChangesRequested) {
            return Ok(Some("CHANGES_REQUESTED"));
        }
        let approved: Vec<&Review> =
            opinions.into_iter().filter(|review| review.state == ReviewState::Approved).collect();
        let pusher = self.last_pusher(pull.head_repository.unwrap_or(it.id), &pull.head_ref, &pull.head_sha);
        for rules in rules {
            let count = usize::try_from(rules.approvals.unwrap_or(0)).unwrap_or(usize::MAX);
            let fresh = |review: &&&Review| review.commit == pull.head_sha && Some(review.author) != pusher;
            let missing = approved.len() < count
                || (rules.last_push_approval && approved.iter().find(fresh).is_none())
                || (rules.code_owners && !self.owners_approved(it, pull, &approved)?);
            if missing {
                return Ok(Some("REVIEW_REQUIRED"));
            }
        }
        Ok(Some("APPROVED"))
    }

    fn owners_approved(&self, it: &Repository, pull: &Pull, approved: &[&Review]) -> Result<bool, Error> {
        let owned = self.owners_of(it, pull)?;
        Ok(owned
            .iter()
            .all(|owners| owners.iter().any(|owner| approved.iter().any(|it| self.is_owner(*owner, it.author)))))
    }

    /// What rules have against a merge now, in GitHub's words.
    pub(crate) fn blocked(&self, it: &Repository, pull: &Pull) -> Result<Option<String>, Error> {
        let rules = it.rules_on(&pull.base_ref);
        match self.review_decision(it, pull)? {
            Some("CHANGES_REQUESTED") => return Ok(Some("Changes were requested by a reviewer.".into())),
            Some("REVIEW_REQUIRED") => {
                let count = rules.iter().filter_map(|it| it.approvals).max().unwrap_or(1).max(1);
                let review = if count == 1 { "review is" } else { "reviews are" };
                return Ok(Some(format!(
                    "At least {count} approving {review} required by reviewers with write access."
                )));
            }
            _ => {}
        }
        for (context, app) in rules.iter().flat_map(|it| &it.checks) {
            let why = match standing(it, &pull.head_sha, context, *app) {
                Some(Standing::Passed) => continue,
                Some(Standing::Failed) => "is failing",
                Some(Standing::Waiting) => "is pending",
                None => "is expected",
            };
            return Ok(Some(format!("Required status check \"{context}\" {why}.")));
        }
        if rules.iter().any(|it| it.conversations) && thread::open(&pull.threads) > 0 {
            return Ok(Some("All comments must be resolved.".into()));
        }
        if rules.iter().any(|it| it.signatures) {
            let commits = it.git.log(Some(&pull.base_sha), &pull.head_sha, 250)?;
            if commits.iter().any(|commit| it.signature(&commit.sha) != "valid") {
                return Ok(Some("Commits must have verified signatures.".into()));
            }
        }
        Ok(None)
    }

    /// GitHub's `mergeable_state`.
    pub(crate) fn mergeable_state(&self, it: &Repository, pull: &Pull) -> Result<&'static str, Error> {
        if !pull.is_open() || pull.mergeable.is_none() {
            return Ok("unknown");
        }
        if pull.mergeable == Some(false) {
            return Ok("dirty");
        }
        if pull.draft {
            return Ok("draft");
        }
        if self.blocked(it, pull)?.is_some() {
            return Ok("blocked");
        }
        if it.rules_on(&pull.base_ref).iter().any(|rules| rules.strict)
            && let Some(tip) = it.git.branch(&pull.base_ref)?
            && !it.git.is_ancestor(&tip, &pull.head_sha)?
        {
            return Ok("behind");
        }
        let good = standings(it, &pull.head_sha, |_, _| true).into_iter().all(|it| it == Standing::Passed);
        Ok(if good { "clean" } else { "unstable" })
    }
}

/// Have these contexts passed on a commit? Without any named: all that it has.
pub(crate) fn all_good(it: &Repository, sha: &str, contexts: Option<&[String]>) -> bool {
    match contexts {
        None => standings(it, sha, |_, _| true).into_iter().all(|it| it == Standing::Passed),
        Some(contexts) => contexts.iter().all(|context| standing(it, sha, context, None) == Some(Standing::Passed)),
    }
}

/// The worst of the newest check runs and statuses of that name; `None` when there is none.
pub(crate) fn standing(it: &Repository, sha: &str, context: &str, app: Option<u64>) -> Option<Standing> {
    let all = standings(it, sha, |name, by| name == context && (app.is_none() || app == by));
    [Standing::Failed, Standing::Waiting, Standing::Passed].into_iter().find(|standing| all.contains(standing))
}

/// How the newest check runs, each name of each App once, and the newest statuses stand.
fn standings(it: &Repository, sha: &str, wanted: impl Fn(&str, Option<u64>) -> bool) -> Vec<Standing> {
    let of_head = || it.runs.values().filter(|run| run.head_sha == sha && wanted(&run.name, Some(run.app)));
    let newer = |one: &CheckRun, other: &CheckRun| other.id > one.id && other.name == one.name && other.app == one.app;
    let runs = of_head().filter(|run| !of_head().any(|other| newer(run, other)));
    let runs = runs.map(|run| match run.conclusion.as_deref() {
        Some("success" | "neutral" | "skipped") => Standing::Passed,
        Some(_) => Standing::Failed,
        None => Standing::Waiting,
    });
    let statuses = it.newest_statuses(sha).into_iter().filter(|status| wanted(&status.context, None));
    let statuses = statuses.map(|status| match status.state.as_str() {
        "success" => Standing::Passed,
        "pending" => Standing::Waiting,
        _ => Standing::Failed,
    });
    runs.chain(statuses).collect()
}
