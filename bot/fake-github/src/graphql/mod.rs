//! Owns `/api/graphql`: the few questions that REST cannot answer (last edits, minimised comments), strictly.
//! A field that the double does not have is an error as GitHub gives it, and is recorded.

mod mutation;
mod page;
mod parse;
mod pull;
mod queue;

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::account::{Caller, Kind};
use crate::model::landing::Method;
use crate::model::queue::Entry;
use crate::rest::Refusal;
use crate::shape::{from_node, node};
use page::Page;
use parse::Selection;

/// A thing that fields are asked of.
#[derive(Debug, Clone)]
enum Thing {
    Query,
    Mutation,
    Repository(u64),
    Pull(u64, u64),
    Comment(u64, u64),
    Thread(u64, u64, u64),
    /// The queue of a base branch.
    Queue(u64, String),
    /// An entry of a queue, as it was when it was asked for.
    Entry(u64, String, Box<Entry>),
    /// A commit as a part of a pull request.
    PullCommit(u64, String),
    Commit(u64, String),
    Actor(u64),
    Page(Page),
    /// An object whose fields are there already.
    Ready(&'static str, Map<String, Value>),
    /// What a mutation answers.
    Done(mutation::Payload, Box<Thing>),
}

impl Thing {
    fn kind(&self, model: &Model) -> &'static str {
        match self {
            Thing::Query => "Query",
            Thing::Mutation => "Mutation",
            Thing::Repository(_) => "Repository",
            Thing::Pull(..) => "PullRequest",
            Thing::Comment(..) => "IssueComment",
            Thing::Thread(..) => "PullRequestReviewThread",
            Thing::Queue(..) => "MergeQueue",
            Thing::Entry(..) => "MergeQueueEntry",
            Thing::PullCommit(..) => "PullRequestCommit",
            Thing::Commit(..) => "Commit",
            Thing::Page(page) => page.kind,
            Thing::Ready(kind, _) => kind,
            Thing::Done(payload, _) => payload.kind,
            Thing::Actor(id) => match model.accounts.get(id).map(|it| it.kind) {
                Some(Kind::Bot) => "Bot",
                Some(Kind::Organization) => "Organization",
                _ => "User",
            },
        }
    }
}

/// What a field is.
enum Found {
    Value(Value),
    Thing(Option<Thing>),
    Things(Vec<Option<Thing>>),
}

type Arguments = Map<String, Value>;

/// An answer that says no.
#[derive(Debug)]
enum No {
    /// A correct client would not have asked so.
    Wrong(String),
    /// The question was good; the state of things does not allow it.
    Refused(String),
}

impl From<String> for No {
    fn from(why: String) -> No {
        No::Wrong(why)
    }
}

impl From<&str> for No {
    fn from(why: &str) -> No {
        No::Wrong(why.into())
    }
}

/// Answers one request: `{"data"}` or `{"errors"}`, or a refusal of the credentials.
pub(crate) fn answer(model: &mut Model, authorization: Option<&str>, body: &[u8]) -> Result<Value, Refusal> {
    let caller = crate::token::caller(model, authorization)
        .inspect_err(|_| model.violations.push("graphql: bad credentials".into()))?;
    if matches!(caller, Caller::Anonymous | Caller::App(_)) {
        model.violation("graphql: a person's or an installation's token is needed");
        return Err(Refusal::new(401, "This endpoint requires you to be authenticated."));
    }
    let request: Value = serde_json::from_slice(body).map_err(|_| Refusal::new(400, "Problems parsing JSON"))?;
    let empty = json!({});
    let variables = request.get("variables").filter(|it| it.is_object()).unwrap_or(&empty);
    let read = parse::operation(request["query"].as_str().unwrap_or_default(), variables).map_err(No::from);
    let done = read.and_then(|operation| {
        let root = if operation.mutation { Thing::Mutation } else { Thing::Query };
        select(model, &caller, &root, &operation.selections)
    });
    Ok(match done {
        Ok(data) => {
            model.questions.push(json!({"query": request["query"], "variables": variables, "data": data}));
            json!({"data": data})
        }
        Err(No::Refused(why)) => json!({"errors": [{"type": "UNPROCESSABLE", "message": why}]}),
        Err(No::Wrong(why)) => {
            model.violation(format!("graphql: {why}"));
            let kind = match why.as_str() {
                why if why.starts_with("Could not resolve") => "NOT_FOUND",
                why if why.starts_with("Resource not accessible") => "FORBIDDEN",
                _ => "UNPROCESSABLE",
            };
            json!({"errors": [{"type": kind, "message": why}]})
        }
    })
}

fn select(model: &mut Model, caller: &Caller, thing: &Thing, selections: &[Selection]) -> Result<Value, No> {
    let kind = thing.kind(model);
    let mut map = Map::new();
    for selection in selections {
        match selection {
            Selection::On { kind: wanted, selections } => {
                let also = ["Node", "Comment", "Minimizable", "Actor"].contains(&wanted.as_str());
                if (wanted == kind || also)
                    && let Value::Object(more) = select(model, caller, thing, selections)?
                {
                    map.extend(more);
                }
            }
            Selection::Field { alias, name, .. } if name == "__typename" => {
                map.insert(alias.clone(), json!(kind));
            }
            Selection::Field { alias, name, arguments, selections } => {
                let found = field(model, caller, thing, name, arguments)?;
                map.insert(alias.clone(), resolved(model, caller, found, name, selections)?);
            }
        }
    }
    Ok(Value::Object(map))
}

fn resolved(
    model: &mut Model,
    caller: &Caller,
    found: Found,
    name: &str,
    selections: &[Selection],
) -> Result<Value, No> {
    if matches!(found, Found::Value(_)) != selections.is_empty() {
        return Err(format!("Field must have selections exactly when it is an object (field '{name}')").into());
    }
    match found {
        Found::Value(value) => Ok(value),
        Found::Thing(None) => Ok(Value::Null),
        Found::Thing(Some(thing)) => select(model, caller, &thing, selections),
        Found::Things(things) => {
            let mut items = Vec::new();
            for thing in things {
                items.push(match thing {
                    Some(thing) => select(model, caller, &thing, selections)?,
                    None => Value::Null,
                });
            }
            Ok(Value::Array(items))
        }
    }
}

fn field(model: &mut Model, caller: &Caller, thing: &Thing, name: &str, arguments: &Arguments) -> Result<Found, No> {
    let found = match thing {
        Thing::Query => query(model, caller, name, arguments)?,
        Thing::Mutation => mutation::run(model, caller, name, arguments)?,
        Thing::Repository(id) => repository(model, caller, *id, name, arguments)?,
        Thing::Pull(repository, number) => pull::field(model, caller, (*repository, *number), name, arguments)?,
        Thing::Comment(repository, id) => comment(model, *repository, *id, name),
        Thing::Actor(id) if name == "login" => Some(Found::Value(json!(model.login(*id)))),
        Thing::Actor(_) => None,
        Thing::Thread(repository, number, id) => pull::thread(model, *repository, *number, *id, name),
        Thing::Queue(repository, base) => queue::field(model, *repository, base, name, arguments)?,
        Thing::Entry(repository, base, entry) => queue::entry(model, *repository, base, entry, name),
        Thing::PullCommit(repository, sha) => {
            (name == "commit").then(|| Found::Thing(Some(Thing::Commit(*repository, sha.clone()))))
        }
        Thing::Commit(repository, sha) => pull::commit(model, *repository, sha, name)?,
        Thing::Page(page) => page.field(name),
        Thing::Ready(_, fields) => fields.get(name).cloned().map(Found::Value),
        Thing::Done(payload, thing) if name == payload.field => Some(Found::Thing(Some((**thing).clone()))),
        Thing::Done(..) => (name == "clientMutationId").then_some(Found::Value(Value::Null)),
    };
    found.ok_or_else(|| format!("Field '{name}' doesn't exist on type '{}'", thing.kind(model)).into())
}

fn query(model: &Model, caller: &Caller, name: &str, arguments: &Arguments) -> Result<Option<Found>, String> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    Ok(Some(match name {
        "viewer" => Found::Thing(actor(model, caller).map(Thing::Actor)),
        "repository" => {
            let full = format!("{}/{}", text("owner"), text("name"));
            let found = model.repository_id(&full).ok().filter(|id| sees(model, caller, *id));
            let id = found.ok_or(format!("Could not resolve to a Repository with the name '{full}'."))?;
            Found::Thing(Some(Thing::Repository(id)))
        }
        "node" => Found::Thing(Some(by_node(model, caller, text("id"))?)),
        "nodes" => {
            let ids = arguments
                .get("ids")
                .and_then(Value::as_array)
                .ok_or("Field 'nodes' is missing required arguments: ids")?;
            // A node that is gone is null, as on GitHub.
            Found::Things(ids.iter().map(|id| by_node(model, caller, id.as_str().unwrap_or_default()).ok()).collect())
        }
        _ => return Ok(None),
    }))
}

fn actor(model: &Model, caller: &Caller) -> Option<u64> {
    match caller {
        Caller::Person(id) => Some(*id),
        Caller::Installation { installation, .. } => {
            let app = model.installations.get(installation)?.app;
            model.apps.get(&app).map(|app| app.bot)
        }
        Caller::Anonymous | Caller::App(_) => None,
    }
}

fn sees(model: &Model, caller: &Caller, repository: u64) -> bool {
    let Ok(it) = model.repository(repository) else { return false };
    match caller {
        Caller::Person(id) => model.role(*id, it).is_some(),
        Caller::Installation { .. } => !it.private || crate::token::reaches(model, caller, repository),
        Caller::Anonymous | Caller::App(_) => false,
    }
}

fn by_node(model: &Model, caller: &Caller, id: &str) -> Result<Thing, String> {
    let mut found = None;
    for it in model.repositories.values().filter(|it| sees(model, caller, it.id)) {
        let comment = from_node("IC", id).filter(|comment| it.comments.contains_key(comment));
        let pull = from_node("PR", id).and_then(|id| it.pulls.values().find(|pull| pull.id == id));
        let thread = from_node("PRRT", id).and_then(|id| {
            let holds = |pull: &&crate::model::pull::Pull| pull.threads.iter().any(|thread| thread.id == id);
            it.pulls.values().find(holds).map(|pull| Thing::Thread(it.id, pull.number, id))
        });
        found = found
            .or(comment.map(|comment| Thing::Comment(it.id, comment)))
            .or(pull.map(|pull| Thing::Pull(it.id, pull.number)))
            .or(thread);
    }
    found.ok_or(format!("Could not resolve to a node with the global id of '{id}'"))
}

fn repository(
    model: &Model,
    caller: &Caller,
    id: u64,
    name: &str,
    arguments: &Arguments,
) -> Result<Option<Found>, String> {
    let Ok(it) = model.repository(id) else { return Ok(None) };
    Ok(Some(match name {
        "id" => Found::Value(json!(node("R", id))),
        "databaseId" => Found::Value(json!(id)),
        "name" => Found::Value(json!(it.name)),
        "nameWithOwner" => Found::Value(json!(model.full_name(it))),
        "mergeCommitAllowed" => Found::Value(json!(it.merges.allowed.contains(&Method::Merge))),
        "squashMergeAllowed" => Found::Value(json!(it.merges.allowed.contains(&Method::Squash))),
        "rebaseMergeAllowed" => Found::Value(json!(it.merges.allowed.contains(&Method::Rebase))),
        "deleteBranchOnMerge" => Found::Value(json!(it.merges.delete_branch)),
        "hasIssuesEnabled" => Found::Value(json!(it.has_issues)),
        "mergeQueue" => {
            may_read(caller, &["merge_queues"])?;
            let branch = arguments.get("branch").and_then(Value::as_str).unwrap_or(&it.default_branch);
            Found::Thing(it.queue_rules(branch).is_some().then(|| Thing::Queue(id, branch.to_owned())))
        }
        "pullRequest" => {
            may_read(caller, &["pull_requests", "issues"])?;
            let number = arguments.get("number").and_then(Value::as_u64).unwrap_or(0);
            let found = it.pulls.contains_key(&number).then_some(Thing::Pull(id, number));
            let gone = format!("Could not resolve to a PullRequest with the number of {number}.");
            Found::Thing(Some(found.ok_or(gone)?))
        }
        _ => return Ok(None),
    }))
}

/// An installation's token needs one of these permissions.
fn may_read(caller: &Caller, permissions: &[&str]) -> Result<(), String> {
    match caller {
        Caller::Installation { permissions: granted, .. }
            if !permissions.iter().any(|name| granted.contains_key(*name)) =>
        {
            Err("Resource not accessible by integration".into())
        }
        _ => Ok(()),
    }
}

fn comment(model: &Model, repository: u64, id: u64, name: &str) -> Option<Found> {
    let it = model.repository(repository).ok()?;
    let comment = it.comments.get(&id)?;
    let url = || format!("{}#issuecomment-{id}", crate::shape::issue::page(model, it, comment.number));
    Some(Found::Value(match name {
        "id" => json!(node("IC", id)),
        "databaseId" | "fullDatabaseId" => json!(id),
        "body" => json!(comment.body),
        "url" => json!(url()),
        "createdAt" => json!(rfc3339(comment.created_at)),
        "updatedAt" => json!(rfc3339(comment.updated_at)),
        "lastEditedAt" => json!(comment.last_edited_at.map(rfc3339)),
        "includesCreatedEdit" => json!(comment.last_edited_at.is_some()),
        "isMinimized" => json!(comment.minimized.is_some()),
        "minimizedReason" => json!(comment.minimized),
        "author" => return Some(Found::Thing(Some(Thing::Actor(comment.author)))),
        _ => return None,
    }))
}
