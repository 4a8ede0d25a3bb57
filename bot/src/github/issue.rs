//! Issues of ours: written once per key, edited afterwards.
//!
//! Invariant: an issue of other people is never touched; ours is known by its author and its hidden marker.

use hyper::http::{Method, StatusCode};
use model::id::IssueNumber;
use model::ports::ForgeError;
use model::publication::Issue;
use model::pull::RepoSnapshot;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Scope;
use super::client::{Failure, GitHub, Who};
use super::shape;
use crate::render;

/// The parts of an issue that we read.
#[derive(Debug, Deserialize)]
struct Found {
    number: i64,
    user: Option<shape::User>,
    #[serde(default)]
    body: Option<String>,
    title: String,
    state: String,
}

/// Creates, edits, closes or opens it.
pub(super) async fn put(
    github: &GitHub,
    repo: &RepoSnapshot,
    issue: &Issue,
    known: Option<IssueNumber>,
) -> Result<IssueNumber, ForgeError> {
    let (title, text) = (render::issue_title(issue), render::issue(issue));
    let state = if issue.closed { "closed" } else { "open" };
    let mut body = json!({"title": title, "body": text, "state": state});
    if issue.closed {
        body["state_reason"] = json!("completed");
    }
    if let Some(number) = known {
        match edit(github, repo, number, &body).await {
            // Somebody deleted or moved it: look for another, else write a new one.
            Err(ForgeError::Gone { .. }) => {}
            done => return done.map(|()| number),
        }
    }
    if let Some(found) = find(github, repo, &render::issue_marker(&issue.key)).await? {
        let number = IssueNumber::new(found.number);
        if found.title != title || found.body.as_deref() != Some(&text) || found.state != state {
            edit(github, repo, number, &body).await?;
        }
        return Ok(number);
    }
    if issue.closed {
        return Err(ForgeError::Gone { what: format!("the issue {title:?}") });
    }
    let path = format!("/repos/{}/issues", repo.name);
    let body = json!({"title": title, "body": text});
    let made = github.attempt(Who::Repo(repo, Scope::Issues), Method::POST, &path, Some(&body)).await;
    let answer = made.map_err(turned_off)?;
    Ok(IssueNumber::new(shape::read::<Found>("an issue", answer.body)?.number))
}

async fn edit(github: &GitHub, repo: &RepoSnapshot, number: IssueNumber, body: &Value) -> Result<(), ForgeError> {
    let path = format!("/repos/{}/issues/{number}", repo.name);
    github.call(Who::Repo(repo, Scope::Issues), Method::PATCH, &path, Some(body)).await.map(drop)
}

/// The newest of ours with that marker.
async fn find(github: &GitHub, repo: &RepoSnapshot, marker: &str) -> Result<Option<Found>, ForgeError> {
    let author = format!("{}[bot]", github.app_slug().await?);
    let path = format!("/repos/{}/issues?state=all&creator={}%5Bbot%5D", repo.name, github.app_slug().await?);
    let pick = |page| shape::read::<Vec<Found>>("issues", page);
    let listed = github.repo_pages(repo, Scope::Issues, &path, pick).await;
    let listed = match listed {
        // Issues are turned off: writing one says so.
        Err(ForgeError::Gone { .. }) => return Ok(None),
        listed => listed?,
    };
    let ours = |it: &Found| {
        it.user.as_ref().is_some_and(|user| user.login == author)
            && it.body.as_deref().is_some_and(|body| body.starts_with(marker))
    };
    Ok(listed.into_iter().filter(ours).max_by_key(|it| it.number))
}

fn turned_off(failure: Failure) -> ForgeError {
    match failure.status {
        Some(StatusCode::GONE) => ForgeError::Denied {
            message: "issues are turned off in this repository; turn them on in its settings, since what needs a \
                      person and has no pull request is said in an issue"
                .to_owned(),
        },
        _ => failure.into_error(),
    }
}
