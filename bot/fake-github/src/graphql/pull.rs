//! Owns what is asked of a pull request: itself, its comments, its conversations, its commits.

use serde_json::json;

use super::{Arguments, Found, Page, Thing, may_read};
use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::account::Caller;
use crate::model::queue::Entry;
use crate::shape::node;

pub(super) fn field(
    model: &Model,
    caller: &Caller,
    (repository, number): (u64, u64),
    name: &str,
    arguments: &Arguments,
) -> Result<Option<Found>, String> {
    let Ok(it) = model.repository(repository) else { return Ok(None) };
    let Ok(pull) = it.pull(number) else { return Ok(None) };
    let state = if pull.merged_at.is_some() {
        "MERGED"
    } else if pull.is_open() {
        "OPEN"
    } else {
        "CLOSED"
    };
    let value = match name {
        "id" => json!(node("PR", pull.id)),
        "databaseId" | "fullDatabaseId" => json!(pull.id),
        "number" => json!(number),
        "title" => json!(pull.title),
        "body" => json!(pull.body.clone().unwrap_or_default()),
        "state" => json!(state),
        "isDraft" => json!(pull.draft),
        "headRefOid" => json!(pull.head_sha),
        "headRefName" => json!(pull.head_ref),
        "baseRefOid" => json!(pull.base_sha),
        "baseRefName" => json!(pull.base_ref),
        "createdAt" => json!(rfc3339(pull.created_at)),
        "updatedAt" => json!(rfc3339(pull.updated_at)),
        "lastEditedAt" => json!(pull.last_edited_at.map(rfc3339)),
        "reviewDecision" => {
            may_read(caller, &["pull_requests"])?;
            json!(model.review_decision(it, pull).map_err(|error| error.to_string())?)
        }
        "merged" => json!(pull.merged_at.is_some()),
        "mergedAt" => json!(pull.merged_at.map(rfc3339)),
        "isMergeQueueEnabled" => json!(it.queue_rules(&pull.base_ref).is_some()),
        "isInMergeQueue" => json!(it.queued(number).is_some()),
        "mergeCommit" => {
            let merged = pull.merge_commit_sha.clone().filter(|_| pull.merged_at.is_some());
            return Ok(Some(Found::Thing(merged.map(|sha| Thing::Commit(repository, sha)))));
        }
        "mergeQueueEntry" => {
            may_read(caller, &["merge_queues"])?;
            let thing =
                |(base, entry): (&str, &Entry)| Thing::Entry(repository, base.to_owned(), Box::new(entry.clone()));
            return Ok(Some(Found::Thing(it.queued(number).map(thing))));
        }
        "author" => return Ok(Some(Found::Thing(Some(Thing::Actor(pull.author))))),
        "comments" => {
            let of_pull = it.comments.values().filter(|comment| comment.number == number);
            let all = of_pull.map(|it| (it.id.to_string(), Thing::Comment(repository, it.id))).collect();
            return paged("IssueCommentConnection", name, all, arguments);
        }
        "reviewThreads" => {
            may_read(caller, &["pull_requests"])?;
            let threads = pull.threads.iter();
            let all = threads.map(|it| (it.id.to_string(), Thing::Thread(repository, number, it.id))).collect();
            return paged("PullRequestReviewThreadConnection", name, all, arguments);
        }
        "commits" => {
            may_read(caller, &["pull_requests", "contents"])?;
            let commits = it.git.log(Some(&pull.base_sha), &pull.head_sha, 250).map_err(|error| error.to_string())?;
            let all = commits.into_iter().map(|it| (it.sha.clone(), Thing::PullCommit(repository, it.sha))).collect();
            return paged("PullRequestCommitConnection", name, all, arguments);
        }
        _ => return Ok(None),
    };
    Ok(Some(Found::Value(value)))
}

fn paged(
    kind: &'static str,
    name: &str,
    all: Vec<(String, Thing)>,
    arguments: &Arguments,
) -> Result<Option<Found>, String> {
    Page::of(kind, name, all, arguments).map(|page| Some(Found::Thing(Some(Thing::Page(page)))))
}

pub(super) fn thread(model: &Model, repository: u64, number: u64, id: u64, name: &str) -> Option<Found> {
    let thread = model.thread(repository, number, id).ok()?;
    Some(Found::Value(match name {
        "id" => json!(node("PRRT", id)),
        "isResolved" => json!(thread.resolved_by.is_some()),
        "isOutdated" => json!(false),
        "path" => json!(thread.path),
        "line" => json!(thread.line),
        "resolvedBy" => return Some(Found::Thing(thread.resolved_by.map(Thing::Actor))),
        "pullRequest" => return Some(Found::Thing(Some(Thing::Pull(repository, number)))),
        _ => return None,
    }))
}

pub(super) fn commit(model: &Model, repository: u64, sha: &str, name: &str) -> Result<Option<Found>, String> {
    let it = model.repository(repository).map_err(|error| error.to_string())?;
    let commit = it.git.commit_object(sha).map_err(|error| error.to_string())?;
    let Some(commit) = commit else { return Ok(None) };
    Ok(Some(Found::Value(match name {
        "oid" => json!(sha),
        "message" => json!(commit.message),
        "messageHeadline" => json!(commit.message.lines().next().unwrap_or_default()),
        "committedDate" => json!(commit.committer.date()),
        "signature" => {
            let reason = it.signature(sha);
            let signature = json!({"isValid": reason == "valid", "state": reason.to_uppercase()});
            let there = signature.as_object().filter(|_| reason != "unsigned").cloned();
            return Ok(Some(Found::Thing(there.map(|it| Thing::Ready("GpgSignature", it)))));
        }
        _ => return Ok(None),
    })))
}
