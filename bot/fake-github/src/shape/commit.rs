//! Owns commits, files and refs as JSON.

use serde_json::{Value, json};

use crate::error::Error;
use crate::git::{CommitObject, FileChange, Person};
use crate::model::Model;
use crate::model::repository::Repository;
use crate::shape::user;

fn account_of(model: &Model, person: &Person) -> Option<u64> {
    let login = match person.email.as_str() {
        "noreply@github.com" => "web-flow",
        email => email.strip_suffix("@users.noreply.github.com").unwrap_or(&person.name),
    };
    model.account_id(login)
}

fn committer(model: &Model, person: &Person) -> Value {
    let mut it = json!({"name": person.name, "email": person.email, "date": person.date()});
    if let Some(id) = account_of(model, person) {
        it["username"] = json!(model.login(id));
    }
    it
}

/// A commit of a `push` webhook, with the names of its files.
pub(crate) fn pushed(model: &Model, repository: &Repository, commit: &CommitObject) -> Result<Value, Error> {
    let changes = match commit.parents.first() {
        Some(parent) => repository.git.diff(parent, &commit.sha)?,
        None => Vec::new(),
    };
    let names = |status: &str| -> Vec<&str> {
        changes.iter().filter(|it| it.status == status).map(|it| it.path.as_str()).collect()
    };
    let modified: Vec<&str> =
        changes.iter().filter(|it| matches!(it.status, "modified" | "renamed")).map(|it| it.path.as_str()).collect();
    Ok(json!({
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": true,
        "message": commit.message,
        "timestamp": commit.committer.date(),
        "url": format!("{}/{}/commit/{}", model.url, model.full_name(repository), commit.sha),
        "author": committer(model, &commit.author),
        "committer": committer(model, &commit.committer),
        "added": names("added"),
        "removed": names("removed"),
        "modified": modified,
    }))
}

/// The commit in a check suite's webhook.
pub(crate) fn simple(commit: &CommitObject) -> Value {
    let person = |it: &Person| json!({"name": it.name, "email": it.email});
    json!({
        "id": commit.sha,
        "tree_id": commit.tree,
        "message": commit.message,
        "timestamp": commit.committer.date(),
        "author": person(&commit.author),
        "committer": person(&commit.committer),
    })
}

fn api_url(model: &Model, repository: &Repository) -> String {
    format!("{}/repos/{}", model.api(), model.full_name(repository))
}

/// A commit as the commits API answers, without its files.
pub(crate) fn commit(model: &Model, repository: &Repository, commit: &CommitObject) -> Value {
    let (api, name) = (api_url(model, repository), model.full_name(repository));
    let person = |it: &Person| json!({"name": it.name, "email": it.email, "date": it.date()});
    let account = |it: &Person| account_of(model, it).map(|id| user::user(model, id));
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|sha| json!({"sha": sha, "url": format!("{api}/commits/{sha}"), "html_url": format!("{}/{name}/commit/{sha}", model.url)}))
        .collect();
    let sha = &commit.sha;
    json!({
        "url": format!("{api}/commits/{sha}"),
        "sha": sha,
        "node_id": format!("C_{sha}"),
        "html_url": format!("{}/{name}/commit/{sha}", model.url),
        "comments_url": format!("{api}/commits/{sha}/comments"),
        "commit": {
            "url": format!("{api}/git/commits/{sha}"),
            "author": person(&commit.author),
            "committer": person(&commit.committer),
            "message": commit.message,
            "comment_count": 0,
            "tree": {"sha": commit.tree, "url": format!("{api}/git/trees/{}", commit.tree)},
            "verification": verification(repository, sha),
        },
        "author": account(&commit.author),
        "committer": account(&commit.committer),
        "parents": parents,
    })
}

/// A commit as the git database API answers.
pub(crate) fn object(model: &Model, repository: &Repository, commit: &CommitObject) -> Value {
    let (api, name, sha) = (api_url(model, repository), model.full_name(repository), &commit.sha);
    let person = |it: &Person| json!({"name": it.name, "email": it.email, "date": it.date()});
    let parents: Vec<Value> = commit
        .parents
        .iter()
        .map(|sha| json!({"sha": sha, "url": format!("{api}/git/commits/{sha}"), "html_url": format!("{}/{name}/commit/{sha}", model.url)}))
        .collect();
    json!({
        "sha": sha,
        "node_id": format!("C_{sha}"),
        "url": format!("{api}/git/commits/{sha}"),
        "html_url": format!("{}/{name}/commit/{sha}", model.url),
        "author": person(&commit.author),
        "committer": person(&commit.committer),
        "message": commit.message,
        "tree": {"sha": commit.tree, "url": format!("{api}/git/trees/{}", commit.tree)},
        "parents": parents,
        "verification": verification(repository, sha),
    })
}

/// What GitHub says of the signature.
fn verification(repository: &Repository, sha: &str) -> Value {
    let reason = repository.signature(sha);
    let signature = (reason != "unsigned").then_some("-----BEGIN PGP SIGNATURE-----");
    json!({"verified": reason == "valid", "reason": reason, "signature": signature, "payload": null, "verified_at": null})
}

/// The commit of a `status` webhook, whose schema knows a little less.
pub(crate) fn in_status(model: &Model, repository: &Repository, it: &CommitObject) -> Value {
    let mut shaped = commit(model, repository, it);
    if let Some(verification) = shaped["commit"]["verification"].as_object_mut() {
        verification.remove("verified_at");
    }
    shaped
}

/// A changed file.
pub(crate) fn file(model: &Model, repository: &Repository, at: &str, change: &FileChange) -> Value {
    let (api, page) = (api_url(model, repository), format!("{}/{}", model.url, model.full_name(repository)));
    let mut it = json!({
        "sha": change.blob,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": format!("{page}/blob/{at}/{}", change.path),
        "raw_url": format!("{page}/raw/{at}/{}", change.path),
        "contents_url": format!("{api}/contents/{}?ref={at}", change.path),
    });
    if let Some(patch) = &change.patch {
        it["patch"] = json!(patch);
    }
    if let Some(previous) = &change.previous {
        it["previous_filename"] = json!(previous);
    }
    it
}

/// A ref of the git database API.
pub(crate) fn reference(model: &Model, repository: &Repository, name: &str, sha: &str) -> Value {
    let api = api_url(model, repository);
    json!({
        "ref": name,
        "node_id": format!("REF_{}_{name}", repository.id),
        "url": format!("{api}/git/{name}"),
        "object": {"type": "commit", "sha": sha, "url": format!("{api}/git/commits/{sha}")},
    })
}
