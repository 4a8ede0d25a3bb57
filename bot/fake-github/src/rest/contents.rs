//! Owns reading and writing single files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::git::Change;
use crate::model::account::Role;
use crate::rest::{Answer, Call, Refusal, commits};
use crate::shape;

fn item(call: &Call<'_>, kind: &str, path: &str, sha: &str, size: u64, at: &str) -> Result<Value, Refusal> {
    let (api, page) = (call.model.api(), call.model.url.clone());
    let name = call.model.full_name(call.here()?);
    let url = format!("{api}/repos/{name}/contents/{path}?ref={at}");
    let git_url = format!("{api}/repos/{name}/git/{}/{sha}", if kind == "dir" { "trees" } else { "blobs" });
    let html_url = format!("{page}/{name}/blob/{at}/{path}");
    Ok(json!({
        "type": kind,
        "name": path.rsplit('/').next().unwrap_or_default(),
        "path": path,
        "sha": sha,
        "size": size,
        "url": url,
        "html_url": html_url,
        "git_url": git_url,
        "download_url": (kind == "file").then(|| format!("{page}/{name}/raw/{at}/{path}")),
        "_links": {"self": url, "git": git_url, "html": html_url},
    }))
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let it = call.here()?;
    let path = call.param("path").trim_matches('/');
    let at = call.query("ref").unwrap_or(&it.default_branch).to_owned();
    let missing = || Refusal::new(404, "Not Found");
    let commit =
        commits::resolve(call, &at).map_err(|_| Refusal::new(404, format!("No commit found for the ref {at}")))?;
    if let Some((sha, content)) = it.git.file(&commit, path)? {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let mut file = item(call, "file", path, &sha, size, &at)?;
        file["encoding"] = json!("base64");
        file["content"] = json!(STANDARD.encode(&content));
        return Answer::ok(file);
    }
    let entries = it.git.tree(&commit, path, true)?;
    if entries.is_empty() {
        return Err(missing());
    }
    let kind = |word: &str| if word == "tree" { "dir" } else { "file" };
    let items: Result<Vec<Value>, Refusal> =
        entries.iter().map(|entry| item(call, kind(&entry.kind), &entry.path, &entry.sha, entry.size, &at)).collect();
    Answer::ok(json!(items?))
}

pub(crate) fn put(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    call.at_least(Role::Write)?;
    let path = call.param("path").to_owned();
    let content: String = call.text("content").unwrap_or_default().split_whitespace().collect();
    let content = STANDARD.decode(content).map_err(|_| Refusal::new(422, "content is not valid Base64"))?;
    let it = call.here()?;
    let branch = call.text("branch").unwrap_or_else(|| it.default_branch.clone());
    let existing = match it.git.branch(&branch)? {
        Some(commit) => it.git.file(&commit, &path)?.map(|(sha, _)| sha),
        None if it.git.refs("refs/heads/")?.is_empty() => None,
        None => return Err(Refusal::new(404, format!("Branch {branch} not found"))),
    };
    let given = call.text("sha");
    if existing.is_some() && given.is_none() {
        return Err(Refusal::new(422, "Invalid request.\n\n\"sha\" wasn't supplied."));
    }
    if existing != given {
        return Err(Refusal::new(409, format!("{path} does not match {}", given.unwrap_or_default())));
    }
    let (message, actor) = (call.text("message").unwrap_or_default(), call.actor()?);
    let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
    let change = [Change::Write { path: path.clone(), content }];
    let sha = call.model.commit(call.repository, &branch, actor, &message, &change)?;
    let it = call.here()?;
    let blob = it.git.file(&sha, &path)?.map(|(sha, _)| sha).unwrap_or_default();
    let commit = it.git.commit_object(&sha)?.ok_or_else(|| Refusal::new(404, "Not Found"))?;
    let body = json!({
        "content": item(call, "file", &path, &blob, size, &branch)?,
        "commit": shape::commit::object(call.model, it, &commit),
    });
    Ok(Answer { status: if existing.is_some() { 200 } else { 201 }, body: Some(body), pages: None })
}
