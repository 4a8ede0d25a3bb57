//! Secrets over the API: names go out, values only come in.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use model::id::SecretName;
use reconciler::desk::{Caller, Desk, SecretsOf};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AtDesk, Bearer, Failed, RepoPath, body, time};

type Answer = Result<Json<Value>, Failed>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewValue {
    value: String,
}

/// A secret of the path.
#[derive(Debug, Deserialize)]
pub(super) struct OfRepository {
    owner: String,
    repo: String,
    name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct OfOwner {
    org: String,
    name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Owner {
    org: String,
}

impl OfRepository {
    fn read(self) -> Result<(SecretsOf, SecretName), Failed> {
        let repo = RepoPath { owner: self.owner, repo: self.repo }.name()?;
        Ok((SecretsOf::Repository(repo), name(&self.name)?))
    }
}

impl OfOwner {
    fn read(self) -> Result<(SecretsOf, SecretName), Failed> {
        Ok((SecretsOf::Owner(self.org), name(&self.name)?))
    }
}

fn name(text: &str) -> Result<SecretName, Failed> {
    SecretName::parse(text).map_err(|error| Failed::of_input(&error))
}

pub(super) async fn of_repository(State(desk): AtDesk, Bearer(caller): Bearer, Path(path): Path<RepoPath>) -> Answer {
    list(&desk, &caller, &SecretsOf::Repository(path.name()?)).await
}

pub(super) async fn of_owner(State(desk): AtDesk, Bearer(caller): Bearer, Path(path): Path<Owner>) -> Answer {
    list(&desk, &caller, &SecretsOf::Owner(path.org)).await
}

pub(super) async fn set_of_repository(
    State(desk): AtDesk,
    Bearer(caller): Bearer,
    Path(path): Path<OfRepository>,
    value: Body,
) -> Answer {
    set(&desk, &caller, path.read()?, value).await
}

pub(super) async fn set_of_owner(
    State(desk): AtDesk,
    Bearer(caller): Bearer,
    Path(path): Path<OfOwner>,
    value: Body,
) -> Answer {
    set(&desk, &caller, path.read()?, value).await
}

pub(super) async fn remove_of_repository(
    State(desk): AtDesk,
    Bearer(caller): Bearer,
    Path(path): Path<OfRepository>,
) -> Result<StatusCode, Failed> {
    let (of, name) = path.read()?;
    desk.remove_secret(&caller, &of, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove_of_owner(
    State(desk): AtDesk,
    Bearer(caller): Bearer,
    Path(path): Path<OfOwner>,
) -> Result<StatusCode, Failed> {
    let (of, name) = path.read()?;
    desk.remove_secret(&caller, &of, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(desk: &Desk, caller: &Caller, of: &SecretsOf) -> Answer {
    let all = desk.secrets(caller, of).await?;
    let rows = all
        .iter()
        .map(|it| json!({ "name": it.name, "version": it.version, "changed_at": time(it.changed_at), "by": it.actor }));
    Ok(Json(json!({ "secrets": rows.collect::<Vec<_>>() })))
}

async fn set(desk: &Desk, caller: &Caller, (of, name): (SecretsOf, SecretName), value: Body) -> Answer {
    let new: NewValue = body(value).await?;
    let version = desk.set_secret(caller, &of, &name, &SecretString::from(new.value)).await?;
    Ok(Json(json!({ "name": name, "version": version })))
}
