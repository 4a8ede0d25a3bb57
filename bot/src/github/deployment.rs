//! Deployments of ours: one per apply, with a status per state.
//!
//! Invariant: GitHub is asked to merge and to require nothing; a deployment records, it never starts anything.

use hyper::http::Method;
use model::id::DeploymentId;
use model::ports::ForgeError;
use model::publication::Deployment;
use model::pull::RepoSnapshot;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Scope;
use super::client::{GitHub, Who};
use super::read::escaped;
use super::shape;

const TASK: &str = "buildit:apply";

#[derive(Debug, Deserialize)]
struct Found {
    id: i64,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    creator: Option<shape::User>,
}

#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    #[serde(default)]
    log_url: Option<String>,
}

/// Makes the deployment where it is missing, and its status where the newest is another.
pub(super) async fn put(
    github: &GitHub,
    repo: &RepoSnapshot,
    deployment: &Deployment,
    known: Option<DeploymentId>,
) -> Result<DeploymentId, ForgeError> {
    if let Some(id) = known {
        match tell(github, repo, deployment, id).await {
            // Somebody deleted it.
            Err(ForgeError::Gone { .. }) => {}
            done => return done.map(|()| id),
        }
    }
    let id = match find(github, repo, deployment).await? {
        Some(id) => id,
        None => create(github, repo, deployment).await?,
    };
    tell(github, repo, deployment, id).await.map(|()| id)
}

async fn find(
    github: &GitHub,
    repo: &RepoSnapshot,
    deployment: &Deployment,
) -> Result<Option<DeploymentId>, ForgeError> {
    let author = format!("{}[bot]", github.app_slug().await?);
    let path = format!(
        "/repos/{}/deployments?sha={}&task={}&environment={}",
        repo.name,
        deployment.commit,
        escaped(TASK),
        escaped(deployment.stack.as_str()),
    );
    let pick = |page| shape::read::<Vec<Found>>("deployments", page);
    let listed = github.repo_pages(repo, Scope::Deployments, &path, pick).await?;
    let ours = |it: &&Found| {
        it.creator.as_ref().is_some_and(|user| user.login == author) && key(&it.payload) == Some(deployment.key.clone())
    };
    Ok(listed.iter().filter(ours).map(|it| DeploymentId::new(it.id)).max())
}

/// The key that was sent; GitHub gives a payload back as an object or as its text.
fn key(payload: &Value) -> Option<String> {
    let read = match payload {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    read["buildit"].as_str().map(str::to_owned)
}

async fn create(github: &GitHub, repo: &RepoSnapshot, deployment: &Deployment) -> Result<DeploymentId, ForgeError> {
    let path = format!("/repos/{}/deployments", repo.name);
    let body = json!({
        "ref": deployment.commit.as_str(),
        "task": TASK,
        "environment": deployment.stack.as_str(),
        "description": format!("BuildIt run {}", deployment.run.number),
        "payload": {"buildit": deployment.key},
        "auto_merge": false,
        "required_contexts": [],
    });
    let answer = github.call(Who::Repo(repo, Scope::Deployments), Method::POST, &path, Some(&body)).await?;
    Ok(DeploymentId::new(shape::read::<Found>("a deployment", answer.body)?.id))
}

/// Adds a status unless the newest says the same.
async fn tell(
    github: &GitHub,
    repo: &RepoSnapshot,
    deployment: &Deployment,
    id: DeploymentId,
) -> Result<(), ForgeError> {
    let path = format!("/repos/{}/deployments/{id}/statuses", repo.name);
    let newest = format!("{path}?per_page=1");
    let answer = github.call(Who::Repo(repo, Scope::Deployments), Method::GET, &newest, None).await?;
    let listed: Vec<Status> = shape::read("the statuses of a deployment", answer.body)?;
    let same =
        |it: &Status| it.state == deployment.state.name() && it.log_url.as_deref() == Some(deployment.run.url.as_str());
    if listed.first().is_some_and(same) {
        return Ok(());
    }
    let body = json!({"state": deployment.state.name(), "log_url": deployment.run.url});
    github.call(Who::Repo(repo, Scope::Deployments), Method::POST, &path, Some(&body)).await.map(drop)
}
