//! Owns what is asked of merge queues and their entries.

use serde_json::json;

use super::{Arguments, Found, Page, Thing};
use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::queue::Entry;
use crate::shape::node;

pub(super) fn field(
    model: &Model,
    repository: u64,
    base: &str,
    name: &str,
    arguments: &Arguments,
) -> Result<Option<Found>, String> {
    let Ok(it) = model.repository(repository) else { return Ok(None) };
    let address = || format!("{}/{}/queue/{base}", model.url, model.full_name(it));
    Ok(Some(match name {
        "id" => Found::Value(json!(format!("MQ_{repository}_{base}"))),
        "url" => Found::Value(json!(address())),
        "repository" => Found::Thing(Some(Thing::Repository(repository))),
        "entries" => {
            let entries = it.queue(base).iter();
            let thing = |entry: &Entry| Thing::Entry(repository, base.to_owned(), Box::new(entry.clone()));
            let all = entries.map(|entry| (entry.id.to_string(), thing(entry))).collect();
            Found::Thing(Some(Thing::Page(Page::of("MergeQueueEntryConnection", name, all, arguments)?)))
        }
        _ => return Ok(None),
    }))
}

pub(super) fn entry(model: &Model, repository: u64, base: &str, entry: &Entry, name: &str) -> Option<Found> {
    let it = model.repository(repository).ok()?;
    let commit = |sha: Option<&String>| Some(Found::Thing(sha.map(|sha| Thing::Commit(repository, sha.clone()))));
    let group = entry.group.as_ref();
    Some(Found::Value(match name {
        "id" => json!(node("MQE", entry.id)),
        "position" => json!(it.queue(base).iter().position(|it| it.id == entry.id).map_or(0, |place| place + 1)),
        "state" => json!(it.queue_state(base, entry)),
        "enqueuedAt" => json!(rfc3339(entry.enqueued_at)),
        "jump" => json!(entry.jump),
        "solo" => json!(false),
        "baseCommit" => return commit(group.map(|it| &it.base)),
        "headCommit" => return commit(group.map(|it| &it.commit)),
        "enqueuer" => return Some(Found::Thing(Some(Thing::Actor(entry.actor)))),
        "mergeQueue" => return Some(Found::Thing(Some(Thing::Queue(repository, base.to_owned())))),
        "pullRequest" => return Some(Found::Thing(Some(Thing::Pull(repository, entry.number)))),
        _ => return None,
    }))
}
