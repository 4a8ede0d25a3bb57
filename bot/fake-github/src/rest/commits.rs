//! Owns commits: the list and one with its files.

use serde_json::{Value, json};

use crate::rest::{Answer, Call, Refusal};
use crate::shape;

/// The commit of a branch name, a tag, a full ref or a hash.
pub(crate) fn resolve(call: &Call<'_>, name: &str) -> Result<String, Refusal> {
    let it = call.here()?;
    let found = match it.git.branch(name)? {
        Some(sha) => Some(sha),
        None => it.git.commit(name)?,
    };
    found.ok_or_else(|| Refusal::new(422, format!("No commit found for SHA: {name}")))
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let start = call.query("sha").map_or_else(|| it.default_branch.clone(), str::to_owned);
    if it.git.refs("refs/heads/")?.is_empty() {
        return Err(Refusal::new(409, "Git Repository is empty."));
    }
    let start = resolve(call, &start)?;
    let commits = it.git.log(None, &start, 500)?;
    let items = commits.iter().rev().map(|commit| shape::commit::commit(call.model, it, commit)).collect();
    call.list(items)
}

/// Merged pull requests that brought a commit, and open ones that have it and the default branch has not.
pub(crate) fn pulls(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let sha = resolve(call, call.param("commit_sha"))?;
    let it = call.here()?;
    let numbers = call.model.pulls_of(call.repository, &sha)?;
    let found = numbers.into_iter().map(|number| it.pull(number));
    let items: Result<Vec<Value>, _> =
        found.map(|pull| shape::pull::simple(call.model, it, pull?, shape::Form::Rest)).collect();
    call.list(items?)
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let sha = resolve(call, call.param("ref"))?;
    let it = call.here()?;
    let commit = it.git.commit_object(&sha)?.ok_or_else(|| Refusal::new(404, "Not Found"))?;
    let changes = match commit.parents.first() {
        Some(parent) => it.git.diff(parent, &sha)?,
        None => Vec::new(),
    };
    let (added, removed) = changes.iter().fold((0, 0), |(a, d), it| (a + it.additions, d + it.deletions));
    let mut shaped = shape::commit::commit(call.model, it, &commit);
    let files: Vec<Value> = changes.iter().map(|change| shape::commit::file(call.model, it, &sha, change)).collect();
    shaped["stats"] = json!({"additions": added, "deletions": removed, "total": added + removed});
    shaped["files"] = json!(files);
    Answer::ok(shaped)
}
