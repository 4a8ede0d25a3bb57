//! States over the API: lists, versions, bytes, and what people do with them.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use model::time::Timestamp;
use reconciler::states::{Holder, Import, Origin, StackState, Standing, Version};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AtDesk, Bearer, Failed, RepoPath, StackPath, body, time};
use crate::web::state::{LIMIT, collect};

type Answer = Result<Json<Value>, Failed>;

pub(super) async fn list(State(desk): AtDesk, Bearer(caller): Bearer, Path(path): Path<RepoPath>) -> Answer {
    let stacks = desk.stacks(&caller, &path.name()?).await?;
    let rows = stacks.into_iter().map(|(name, state)| match state {
        Ok(state) => stack(&state),
        Err(error) => json!({ "stack": name, "error": error.to_string() }),
    });
    Ok(Json(json!({ "stacks": rows.collect::<Vec<_>>() })))
}

pub(super) async fn versions(State(desk): AtDesk, Bearer(caller): Bearer, Path(path): Path<StackPath>) -> Answer {
    let (repo, stack) = path.names()?;
    let all = desk.versions(&caller, &repo, &stack).await?;
    Ok(Json(json!({ "versions": all.iter().map(version).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    version: Option<i64>,
}

pub(super) async fn download(
    State(desk): AtDesk,
    Bearer(caller): Bearer,
    Path(path): Path<StackPath>,
    Query(which): Query<Which>,
) -> Result<Response, Failed> {
    let (repo, stack) = path.names()?;
    let (version, bytes) = desk.download(&caller, &repo, &stack, which.version).await?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-buildit-version", HeaderValue::from(version.number));
    Ok(response)
}

pub(super) async fn lock(State(desk): AtDesk, Bearer(caller): Bearer, Path(path): Path<StackPath>) -> Answer {
    let (repo, stack) = path.names()?;
    let held = desk.holder(&caller, &repo, &stack).await?;
    Ok(Json(json!({ "lock": held.as_ref().map(holder) })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Number {
    version: i64,
}

pub(super) async fn rollback(
    State(desk): AtDesk,
    Bearer(caller): Bearer,
    Path(path): Path<StackPath>,
    asked: Body,
) -> Answer {
    let (repo, stack) = path.names()?;
    let asked: Number = body(asked).await?;
    Ok(Json(version(&desk.rollback(&caller, &repo, &stack, asked.version).await?)))
}

pub(super) async fn promote(
    State(desk): AtDesk,
    Bearer(caller): Bearer,
    Path(path): Path<StackPath>,
    asked: Body,
) -> Answer {
    let (repo, stack) = path.names()?;
    let asked: Number = body(asked).await?;
    Ok(Json(version(&desk.promote(&caller, &repo, &stack, asked.version).await?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockId {
    id: String,
}

pub(super) async fn unlock(
    State(desk): AtDesk,
    Bearer(caller): Bearer,
    Path(path): Path<StackPath>,
    asked: Body,
) -> Answer {
    let (repo, stack) = path.names()?;
    let asked: LockId = body(asked).await?;
    let was = desk.unlock(&caller, &repo, &stack, &asked.id).await?;
    Ok(Json(json!({ "unlocked": holder(&was) })))
}

#[derive(Debug, Deserialize)]
pub(super) struct How {
    #[serde(default)]
    replace: bool,
}

/// The body is the state itself.
pub(super) async fn import(
    State(desk): AtDesk,
    Bearer(caller): Bearer,
    Path(path): Path<StackPath>,
    Query(how): Query<How>,
    headers: HeaderMap,
    state: Body,
) -> Result<Response, Failed> {
    let (repo, stack) = path.names()?;
    desk.may_import(&caller, &repo).await?;
    let Ok(state) = collect(&headers, state, LIMIT).await else {
        let what = format!("the state could not be read, or is larger than {LIMIT} bytes");
        return Err(Failed::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", what, "send it again, or split the stack"));
    };
    let how = if how.replace { Import::Replace } else { Import::Follow };
    Ok(Json(version(&desk.import(&caller, &repo, &stack, state, how).await?)).into_response())
}

fn stack(state: &StackState) -> Value {
    let frozen = |(why, since): &(String, Timestamp)| json!({ "why": why, "since": time(*since) });
    json!({
        "stack": state.stack,
        "epoch": state.epoch,
        "head": state.head.as_ref().map(version),
        "lock": state.lock.as_ref().map(holder),
        "frozen": state.frozen.as_ref().map(frozen),
    })
}

fn holder(held: &Holder) -> Value {
    json!({
        "id": held.id,
        "holder": held.actor,
        "operation": held.operation,
        "who": held.who,
        "since": time(held.since),
    })
}

fn version(it: &Version) -> Value {
    let (standing, refused) = match &it.standing {
        Standing::Head => ("head", None),
        Standing::Earlier => ("earlier", None),
        Standing::Orphan { refused } => ("orphan", Some(refused)),
    };
    let (origin, from) = match it.origin {
        Origin::Write => ("write", None),
        Origin::Import => ("import", None),
        Origin::Removal => ("removal", None),
        Origin::Rollback { from } => ("rollback", Some(from)),
        Origin::Promote { from } => ("promote", Some(from)),
    };
    json!({
        "version": it.number,
        "standing": standing,
        "refused": refused,
        "lineage": it.lineage,
        "serial": it.serial,
        "sha256": it.digest,
        "bytes": it.length,
        "encrypted": it.encrypted,
        "tool": it.tool,
        "origin": origin,
        "from": from,
        "by": it.actor,
        "created_at": time(it.created_at),
    })
}
