//! Merging: by the API or by the base's merge queue, and what a queue tests together.
//!
//! Invariant: a merge names the head that it is for. Must never wait for one.

use hyper::http::{Method, StatusCode};
use model::group::{GroupMember, MergeGroup};
use model::id::{CommitSha, PullNumber};
use model::ports::{ForgeError, Merged};
use model::pull::RepoSnapshot;
use model::stack::MergeMethod;
use serde::Deserialize;
use serde_json::json;

use super::auth::Scope;
use super::client::{Failure, GitHub, Who};
use super::shape::{self, commit};

/// Ways to merge, in the order in which they are tried when none is asked for.
const METHODS: [MergeMethod; 3] = [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase];

const STANDING: &str = "query($owner:String!,$name:String!,$number:Int!){repository(owner:$owner,name:$name){\
    mergeCommitAllowed squashMergeAllowed rebaseMergeAllowed \
    pullRequest(number:$number){id merged mergeCommit{oid} isInMergeQueue isMergeQueueEnabled}}}";

const ENQUEUE: &str = "mutation($id:ID!,$head:GitObjectID!){\
    enqueuePullRequest(input:{pullRequestId:$id,expectedHeadOid:$head}){mergeQueueEntry{id}}}";

const ENTRIES: &str = "query($owner:String!,$name:String!,$branch:String!,$after:String){\
    repository(owner:$owner,name:$name){mergeQueue(branch:$branch){entries(first:100,after:$after){\
    pageInfo{hasNextPage endCursor} \
    nodes{baseCommit{oid} headCommit{oid} pullRequest{number headRefOid}}}}}}";

/// A queue holds fewer.
const PAGES: usize = 10;

#[derive(Deserialize)]
struct Done {
    sha: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    merge_commit_allowed: bool,
    squash_merge_allowed: bool,
    rebase_merge_allowed: bool,
    pull_request: Option<Standing>,
}

impl Repository {
    const fn allows(&self, method: MergeMethod) -> bool {
        match method {
            MergeMethod::Merge => self.merge_commit_allowed,
            MergeMethod::Squash => self.squash_merge_allowed,
            MergeMethod::Rebase => self.rebase_merge_allowed,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    id: String,
    merged: bool,
    merge_commit: Option<Oid>,
    is_in_merge_queue: bool,
    is_merge_queue_enabled: bool,
}

#[derive(Deserialize)]
struct Oid {
    oid: String,
}

/// Merges, enqueues, or says why not.
pub(super) async fn merge(
    github: &GitHub,
    repo: &RepoSnapshot,
    number: PullNumber,
    head: &CommitSha,
    method: Option<MergeMethod>,
) -> Result<Merged, ForgeError> {
    // GitHub says the same to "already merged", "has a queue" and "has conflicts": it is asked which.
    let it = standing(github, repo, number).await?;
    let Some(pull) = &it.pull_request else { return Err(gone(number)) };
    if let Some(known) = settled(pull)? {
        return Ok(known);
    }
    if pull.is_merge_queue_enabled {
        return enqueue(github, repo, pull, head).await;
    }
    let allowed = METHODS.into_iter().filter(|method| it.allows(*method));
    let ways: Vec<MergeMethod> = method.map_or_else(|| allowed.collect(), |method| vec![method]);
    let mut why = "this repository allows no way to merge".to_owned();
    for way in ways {
        match attempt(github, repo, number, head, way).await? {
            // A rule of the branch may forbid what the repository allows.
            Merged::Not { why: words } if method.is_none() && forbids_the_way(&words) => why = words,
            done => return Ok(done),
        }
    }
    Ok(Merged::Not { why })
}

async fn attempt(
    github: &GitHub,
    repo: &RepoSnapshot,
    number: PullNumber,
    head: &CommitSha,
    way: MergeMethod,
) -> Result<Merged, ForgeError> {
    let path = format!("/repos/{}/pulls/{number}/merge", repo.name);
    let body = json!({"sha": head.as_str(), "merge_method": way.name()});
    match github.attempt(Who::Repo(repo, Scope::Merge), Method::PUT, &path, Some(&body)).await {
        Ok(answer) => Ok(Merged::Done(commit(&shape::read::<Done>("a merge", answer.body)?.sha)?)),
        Err(failure) if refused(&failure) => {
            // Someone may have merged in between, or an earlier try whose answer was lost.
            let now = standing(github, repo, number).await?.pull_request;
            let known = now.as_ref().map(settled).transpose()?.flatten();
            Ok(known.unwrap_or(Merged::Not { why: failure.words }))
        }
        Err(failure) => Err(failure.into_error()),
    }
}

/// "Merge commits are not allowed on this repository.", "This branch must not contain merge commits."
fn forbids_the_way(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["merge commits", "merges are not allowed", "merge method"].iter().any(|it| words.contains(it))
}

/// 405: not mergeable; 409: not this head; 422: not valid.
fn refused(failure: &Failure) -> bool {
    matches!(
        failure.status,
        Some(StatusCode::METHOD_NOT_ALLOWED | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY)
    )
}

fn gone(number: PullNumber) -> ForgeError {
    ForgeError::Gone { what: format!("pull request {number}") }
}

fn settled(pull: &Standing) -> Result<Option<Merged>, ForgeError> {
    Ok(match &pull.merge_commit {
        Some(made) if pull.merged => Some(Merged::Done(commit(&made.oid)?)),
        _ => pull.is_in_merge_queue.then_some(Merged::Queued),
    })
}

async fn standing(github: &GitHub, repo: &RepoSnapshot, number: PullNumber) -> Result<Repository, ForgeError> {
    let variables = json!({"owner": repo.name.owner(), "name": repo.name.name(), "number": number.get()});
    let mut data = github.query(repo, Scope::Read, json!({"query": STANDING, "variables": variables})).await?;
    shape::read("a pull request", data["repository"].take())
}

async fn enqueue(
    github: &GitHub,
    repo: &RepoSnapshot,
    pull: &Standing,
    head: &CommitSha,
) -> Result<Merged, ForgeError> {
    let variables = json!({"id": pull.id, "head": head.as_str()});
    match github.ask(repo, Scope::Enqueue, json!({"query": ENQUEUE, "variables": variables})).await {
        Ok(_) => Ok(Merged::Queued),
        Err(failure) if refused(&failure) => Ok(Merged::Not { why: failure.words }),
        Err(failure) => Err(failure.into_error()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    base_commit: Option<Oid>,
    head_commit: Option<Oid>,
    pull_request: Option<Queued>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queued {
    number: i64,
    head_ref_oid: String,
}

#[derive(Deserialize)]
struct Queue {
    entries: Entries,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entries {
    nodes: Vec<Option<Entry>>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// The group that ends at `head`, from its base on.
pub(super) async fn group(
    github: &GitHub,
    repo: &RepoSnapshot,
    base_branch: &str,
    head: &CommitSha,
) -> Result<Option<MergeGroup>, ForgeError> {
    let mut entries = Vec::new();
    let mut after = None;
    for _ in 0..PAGES {
        let (owner, name) = (repo.name.owner(), repo.name.name());
        let variables = json!({"owner": owner, "name": name, "branch": base_branch, "after": after});
        let mut data = github.query(repo, Scope::Queue, json!({"query": ENTRIES, "variables": variables})).await?;
        let queue: Option<Queue> = shape::read("a merge queue", data["repository"]["mergeQueue"].take())?;
        let Some(Queue { entries: page }) = queue else { return Ok(None) };
        entries.extend(page.nodes.into_iter().flatten());
        after = page.page_info.end_cursor;
        if !page.page_info.has_next_page {
            break;
        }
    }
    chain(&entries, head)
}

/// Each entry is built on the one before it: from the group's head back until nothing in the queue made the base.
fn chain(entries: &[Entry], head: &CommitSha) -> Result<Option<MergeGroup>, ForgeError> {
    let made = |sha: &str| entries.iter().find(|it| it.head_commit.as_ref().is_some_and(|made| made.oid == sha));
    let mut at = head.to_string();
    let mut members = Vec::new();
    while let Some(entry) = made(&at) {
        let (Some(base), Some(pull)) = (&entry.base_commit, &entry.pull_request) else { return Ok(None) };
        members.push(GroupMember { number: PullNumber::new(pull.number), head: commit(&pull.head_ref_oid)? });
        at.clone_from(&base.oid);
        if members.len() > entries.len() {
            return Err(ForgeError::Bug { message: "the merge queue's commits form a circle".to_owned() });
        }
    }
    members.reverse();
    let base = commit(&at)?;
    Ok((!members.is_empty()).then_some(MergeGroup { base, members }))
}
