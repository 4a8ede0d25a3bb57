//! Owns `/api/graphql`: the few questions that REST cannot answer (last edits, minimised comments), strictly.
//! A field that the double does not have is an error as GitHub gives it, and is recorded.

mod parse;

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::model::Model;
use crate::model::account::{Caller, Kind};
use crate::rest::Refusal;
use crate::shape::{from_node, node};
use parse::Selection;

/// A thing that fields are asked of.
#[derive(Debug, Clone)]
enum Thing {
    Query,
    Mutation,
    Repository(u64),
    Pull(u64, u64),
    Comment(u64, u64),
    Actor(u64),
    /// A page of comments: repository, ids on it, whether more follow, the total.
    Comments(u64, Vec<u64>, bool, usize),
    /// An object whose fields are there already.
    Ready(&'static str, Map<String, Value>),
    Minimized(u64, u64),
}

impl Thing {
    fn kind(&self, model: &Model) -> &'static str {
        match self {
            Thing::Query => "Query",
            Thing::Mutation => "Mutation",
            Thing::Repository(_) => "Repository",
            Thing::Pull(..) => "PullRequest",
            Thing::Comment(..) => "IssueComment",
            Thing::Comments(..) => "IssueCommentConnection",
            Thing::Ready(kind, _) => kind,
            Thing::Minimized(..) => "MinimizeCommentPayload",
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
    let done = parse::operation(request["query"].as_str().unwrap_or_default(), variables).and_then(|operation| {
        let root = if operation.mutation { Thing::Mutation } else { Thing::Query };
        select(model, &caller, &root, &operation.selections)
    });
    Ok(match done {
        Ok(data) => {
            model.questions.push(json!({"query": request["query"], "variables": variables, "data": data}));
            json!({"data": data})
        }
        Err(why) => {
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

fn select(model: &mut Model, caller: &Caller, thing: &Thing, selections: &[Selection]) -> Result<Value, String> {
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
) -> Result<Value, String> {
    if matches!(found, Found::Value(_)) != selections.is_empty() {
        return Err(format!("Field must have selections exactly when it is an object (field '{name}')"));
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

fn field(
    model: &mut Model,
    caller: &Caller,
    thing: &Thing,
    name: &str,
    arguments: &Arguments,
) -> Result<Found, String> {
    let found = match thing {
        Thing::Query => query(model, caller, name, arguments)?,
        Thing::Mutation => mutation(model, caller, name, arguments)?,
        Thing::Repository(id) => repository(model, *id, name, arguments),
        Thing::Pull(repository, number) => pull(model, *repository, *number, name, arguments)?,
        Thing::Comment(repository, id) => comment(model, *repository, *id, name),
        Thing::Actor(id) if name == "login" => Some(Found::Value(json!(model.login(*id)))),
        Thing::Actor(_) => None,
        Thing::Comments(repository, ids, more, total) => match name {
            "nodes" => Some(Found::Things(ids.iter().map(|id| Some(Thing::Comment(*repository, *id))).collect())),
            "totalCount" => Some(Found::Value(json!(total))),
            "pageInfo" => {
                let info = json!({"hasNextPage": more, "endCursor": ids.last().map(u64::to_string)});
                info.as_object().map(|info| Found::Thing(Some(Thing::Ready("PageInfo", info.clone()))))
            }
            _ => None,
        },
        Thing::Ready(_, fields) => fields.get(name).cloned().map(Found::Value),
        Thing::Minimized(repository, id) => match name {
            "minimizedComment" | "unminimizedComment" => Some(Found::Thing(Some(Thing::Comment(*repository, *id)))),
            "clientMutationId" => Some(Found::Value(Value::Null)),
            _ => None,
        },
    };
    found.ok_or_else(|| format!("Field '{name}' doesn't exist on type '{}'", thing.kind(model)))
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
        found = found
            .or(comment.map(|comment| Thing::Comment(it.id, comment)))
            .or(pull.map(|pull| Thing::Pull(it.id, pull.number)));
    }
    found.ok_or(format!("Could not resolve to a node with the global id of '{id}'"))
}

/// Who may hide a comment: an app that writes issues or pull requests, its author, or someone with write.
fn may_minimize(model: &Model, caller: &Caller, repository: u64, comment: u64) -> bool {
    match caller {
        Caller::Installation { permissions, .. } => {
            let writes = |name: &str| permissions.get(name).is_some_and(|level| level == "write");
            crate::token::reaches(model, caller, repository) && (writes("issues") || writes("pull_requests"))
        }
        Caller::Person(id) => model.repository(repository).is_ok_and(|it| {
            let own = it.comments.get(&comment).is_some_and(|comment| comment.author == *id);
            own || model.role(*id, it) >= Some(crate::Role::Write)
        }),
        Caller::Anonymous | Caller::App(_) => false,
    }
}

fn mutation(model: &mut Model, caller: &Caller, name: &str, arguments: &Arguments) -> Result<Option<Found>, String> {
    let hide = match name {
        "minimizeComment" => true,
        "unminimizeComment" => false,
        _ => return Ok(None),
    };
    let input = arguments
        .get("input")
        .and_then(Value::as_object)
        .ok_or(format!("Field '{name}' is missing required arguments: input"))?;
    if let Some(other) =
        input.keys().find(|key| !["subjectId", "classifier", "clientMutationId"].contains(&key.as_str()))
    {
        return Err(format!("InputObject doesn't accept argument '{other}'"));
    }
    let subject = input.get("subjectId").and_then(Value::as_str).unwrap_or_default();
    let Thing::Comment(repository, id) = by_node(model, caller, subject)? else {
        return Err(format!("'{subject}' cannot be minimized"));
    };
    if !may_minimize(model, caller, repository, id) {
        return Err("Resource not accessible by integration".into());
    }
    let reasons = ["ABUSE", "DUPLICATE", "OFF_TOPIC", "OUTDATED", "RESOLVED", "SPAM"];
    let reason = input.get("classifier").and_then(Value::as_str).unwrap_or_default();
    if hide && !reasons.contains(&reason) {
        return Err(format!("Expected \"{reason}\" to be one of: {}", reasons.join(", ")));
    }
    let comment = model.comment_mut(repository, id).map_err(|error| error.to_string())?;
    comment.minimized = hide.then(|| reason.to_lowercase().replace('_', "-"));
    Ok(Some(Found::Thing(Some(Thing::Minimized(repository, id)))))
}

fn repository(model: &Model, id: u64, name: &str, arguments: &Arguments) -> Option<Found> {
    let it = model.repository(id).ok()?;
    Some(match name {
        "id" => Found::Value(json!(node("R", id))),
        "databaseId" => Found::Value(json!(id)),
        "name" => Found::Value(json!(it.name)),
        "nameWithOwner" => Found::Value(json!(model.full_name(it))),
        "pullRequest" => {
            let number = arguments.get("number").and_then(Value::as_u64).filter(|number| it.pulls.contains_key(number));
            Found::Thing(number.map(|number| Thing::Pull(id, number)))
        }
        _ => return None,
    })
}

fn pull(
    model: &Model,
    repository: u64,
    number: u64,
    name: &str,
    arguments: &Arguments,
) -> Result<Option<Found>, String> {
    let Ok(it) = model.repository(repository) else { return Ok(None) };
    let Ok(pull) = it.pull(number) else { return Ok(None) };
    let state = if pull.merged_at.is_some() {
        "MERGED"
    } else if pull.is_open() {
        "OPEN"
    } else {
        "CLOSED"
    };
    let value = match name {
        "id" => json!(node("PR", pull.id)),
        "databaseId" | "fullDatabaseId" => json!(pull.id),
        "number" => json!(number),
        "title" => json!(pull.title),
        "body" => json!(pull.body.clone().unwrap_or_default()),
        "state" => json!(state),
        "isDraft" => json!(pull.draft),
        "headRefOid" => json!(pull.head_sha),
        "headRefName" => json!(pull.head_ref),
        "baseRefOid" => json!(pull.base_sha),
        "baseRefName" => json!(pull.base_ref),
        "createdAt" => json!(rfc3339(pull.created_at)),
        "updatedAt" => json!(rfc3339(pull.updated_at)),
        "lastEditedAt" => json!(pull.last_edited_at.map(rfc3339)),
        "author" => return Ok(Some(Found::Thing(Some(Thing::Actor(pull.author))))),
        "comments" => {
            return comments(model, repository, number, arguments).map(|found| Some(Found::Thing(Some(found))));
        }
        _ => return Ok(None),
    };
    Ok(Some(Found::Value(value)))
}

fn comments(model: &Model, repository: u64, number: u64, arguments: &Arguments) -> Result<Thing, String> {
    let count = |name: &str| {
        arguments.get(name).and_then(Value::as_u64).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    };
    let (first, last) = (count("first"), count("last"));
    if first.or(last).is_none_or(|count| count > 100) {
        return Err(
            "You must provide a `first` or `last` value of at most 100 to properly paginate the `comments` connection."
                .into(),
        );
    }
    let it = model.repository(repository).map_err(|error| error.to_string())?;
    let all: Vec<u64> =
        it.comments.values().filter(|comment| comment.number == number).map(|comment| comment.id).collect();
    let after: u64 = arguments.get("after").and_then(Value::as_str).and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let total = all.len();
    let mut page: Vec<u64> = all.into_iter().filter(|id| *id > after).collect();
    let more = first.is_some_and(|first| page.len() > first);
    if let Some(first) = first {
        page.truncate(first);
    } else if let Some(last) = last {
        page = page.split_off(page.len().saturating_sub(last));
    }
    Ok(Thing::Comments(repository, page, more, total))
}

fn comment(model: &Model, repository: u64, id: u64, name: &str) -> Option<Found> {
    let it = model.repository(repository).ok()?;
    let comment = it.comments.get(&id)?;
    let url = || format!("{}/{}/pull/{}#issuecomment-{id}", model.url, model.full_name(it), comment.number);
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
