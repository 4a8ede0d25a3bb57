//! Owns mutations: hiding comments, resolving conversations, merge queues.

use serde_json::Value;

use super::{Arguments, Found, No, Thing, actor, by_node};
use crate::Role;
use crate::error::Error;
use crate::model::Model;
use crate::model::account::Caller;
use crate::model::queue::Entry;

/// What a mutation answers with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Payload {
    pub(super) kind: &'static str,
    /// The field that holds what was changed.
    pub(super) field: &'static str,
}

const REASONS: [&str; 6] = ["ABUSE", "DUPLICATE", "OFF_TOPIC", "OUTDATED", "RESOLVED", "SPAM"];

pub(super) fn run(model: &mut Model, caller: &Caller, name: &str, arguments: &Arguments) -> Result<Option<Found>, No> {
    let input = || input(name, arguments);
    let (payload, thing) = match name {
        "minimizeComment" => {
            let input = input()?;
            known(input, &["subjectId", "classifier"])?;
            let reason = text(input, "classifier");
            if !REASONS.contains(&reason) {
                return Err(format!("Expected \"{reason}\" to be one of: {}", REASONS.join(", ")).into());
            }
            let hidden = minimize(model, caller, text(input, "subjectId"), Some(reason))?;
            (Payload { kind: "MinimizeCommentPayload", field: "minimizedComment" }, hidden)
        }
        "unminimizeComment" => {
            let input = input()?;
            known(input, &["subjectId"])?;
            let shown = minimize(model, caller, text(input, "subjectId"), None)?;
            (Payload { kind: "UnminimizeCommentPayload", field: "unminimizedComment" }, shown)
        }
        "resolveReviewThread" | "unresolveReviewThread" => {
            let input = input()?;
            known(input, &["threadId"])?;
            let resolved = name == "resolveReviewThread";
            let thread = resolve(model, caller, text(input, "threadId"), resolved)?;
            let kind = if resolved { "ResolveReviewThreadPayload" } else { "UnresolveReviewThreadPayload" };
            (Payload { kind, field: "thread" }, thread)
        }
        "enqueuePullRequest" => {
            let input = input()?;
            known(input, &["pullRequestId", "expectedHeadOid", "jump"])?;
            let head = input.get("expectedHeadOid").and_then(Value::as_str);
            let jump = input.get("jump").and_then(Value::as_bool).unwrap_or(false);
            let entry = queued(model, caller, text(input, "pullRequestId"), |model, repository, number, by| {
                model.enqueue(repository, number, by, head, jump)
            })?;
            (Payload { kind: "EnqueuePullRequestPayload", field: "mergeQueueEntry" }, entry)
        }
        "dequeuePullRequest" => {
            let input = input()?;
            known(input, &["id"])?;
            let entry = queued(model, caller, text(input, "id"), |model, repository, number, by| {
                model.dequeue(repository, number, by)
            })?;
            (Payload { kind: "DequeuePullRequestPayload", field: "mergeQueueEntry" }, entry)
        }
        _ => return Ok(None),
    };
    Ok(Some(Found::Thing(Some(Thing::Done(payload, Box::new(thing))))))
}

fn input<'a>(name: &str, arguments: &'a Arguments) -> Result<&'a Arguments, String> {
    let input = arguments.get("input").and_then(Value::as_object);
    input.ok_or(format!("Field '{name}' is missing required arguments: input"))
}

fn known(input: &Arguments, names: &[&str]) -> Result<(), String> {
    match input.keys().find(|key| !names.contains(&key.as_str()) && *key != "clientMutationId") {
        Some(other) => Err(format!("InputObject doesn't accept argument '{other}'")),
        None => Ok(()),
    }
}

fn text<'a>(input: &'a Arguments, name: &str) -> &'a str {
    input.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn minimize(model: &mut Model, caller: &Caller, subject: &str, reason: Option<&str>) -> Result<Thing, String> {
    let Thing::Comment(repository, id) = by_node(model, caller, subject)? else {
        return Err(format!("'{subject}' cannot be minimized"));
    };
    if !may_minimize(model, caller, repository, id) {
        return Err("Resource not accessible by integration".into());
    }
    let comment = model.comment_mut(repository, id).map_err(|error| error.to_string())?;
    comment.minimized = reason.map(|reason| reason.to_lowercase().replace('_', "-"));
    Ok(Thing::Comment(repository, id))
}

/// Who may hide a comment: an app that writes issues or pull requests, its author, or someone with write.
fn may_minimize(model: &Model, caller: &Caller, repository: u64, comment: u64) -> bool {
    match caller {
        Caller::Installation { .. } => writes(model, caller, repository, &["issues", "pull_requests"]),
        Caller::Person(id) => model.repository(repository).is_ok_and(|it| {
            let own = it.comments.get(&comment).is_some_and(|comment| comment.author == *id);
            own || model.role(*id, it) >= Some(Role::Write)
        }),
        Caller::Anonymous | Caller::App(_) => false,
    }
}

fn resolve(model: &mut Model, caller: &Caller, thread: &str, resolved: bool) -> Result<Thing, String> {
    let Thing::Thread(repository, number, id) = by_node(model, caller, thread)? else {
        return Err(format!("Could not resolve to PullRequestReviewThread node with the global id of '{thread}'"));
    };
    let app = matches!(caller, Caller::Installation { .. });
    let by = actor(model, caller).filter(|_| !app || writes(model, caller, repository, &["pull_requests"]));
    let by = by.ok_or("Resource not accessible by integration")?;
    model.resolve_thread(repository, number, id, by, resolved).map_err(|error| error.to_string())?;
    Ok(Thing::Thread(repository, number, id))
}

/// Puts a pull request into its queue or takes it out; its entry.
fn queued(
    model: &mut Model,
    caller: &Caller,
    id: &str,
    run: impl FnOnce(&mut Model, u64, u64, u64) -> Result<(String, Entry), Error>,
) -> Result<Thing, No> {
    let Thing::Pull(repository, number) = by_node(model, caller, id)? else {
        return Err(format!("Could not resolve to PullRequest node with the global id of '{id}'").into());
    };
    let may = match caller {
        Caller::Installation { .. } => {
            let rights = ["contents", "pull_requests", "merge_queues"];
            rights.iter().all(|right| writes(model, caller, repository, &[right]))
        }
        Caller::Person(id) => model.repository(repository).is_ok_and(|it| model.role(*id, it) >= Some(Role::Write)),
        Caller::Anonymous | Caller::App(_) => false,
    };
    let by = actor(model, caller).filter(|_| may).ok_or("Resource not accessible by integration")?;
    let done = run(model, repository, number, by);
    let (base, entry) = done.map_err(|error| match error {
        Error::NotAllowed(why) => No::Refused(why),
        other => No::Wrong(other.to_string()),
    })?;
    Ok(Thing::Entry(repository, base, Box::new(entry)))
}

fn writes(model: &Model, caller: &Caller, repository: u64, any_of: &[&str]) -> bool {
    let Caller::Installation { permissions, .. } = caller else { return false };
    let granted = |name: &&str| permissions.get(*name).is_some_and(|level| level == "write");
    crate::token::reaches(model, caller, repository) && any_of.iter().any(granted)
}
