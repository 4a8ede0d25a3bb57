//! Owns REST under `/api/v3`: finding the endpoint, asking who calls, and saying no as GitHub does.
//! Each resource answers in a file of its own; the rules themselves are the model's.

mod activity;
mod apps;
mod asking;
mod branches;
mod checks;
mod collaborators;
mod comments;
mod commits;
mod contents;
mod deployments;
mod git;
mod installations;
mod issues;
mod matching;
mod merges;
mod meta;
mod pulls;
mod reactions;
mod repositories;
mod reviews;
mod routes;
mod rules;
mod statuses;
mod teams;
mod threads;
mod users;

pub(crate) use matching::decoded;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::description;
use crate::error::Error;
use crate::model::Model;
use crate::model::account::{Caller, Kind, Role};
use crate::model::repository::Repository;
use routes::{Level, Need, ROUTES, Route};

pub(crate) type Handler = fn(&mut Call<'_>) -> Result<Answer, Refusal>;

/// A request to one endpoint, already allowed.
pub(crate) struct Call<'a> {
    pub(crate) model: &'a mut Model,
    pub(crate) caller: Caller,
    /// The repository of the path, 0 when the path has none.
    pub(crate) repository: u64,
    params: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// A good answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
    pub(crate) pages: Option<Pages>,
}

/// Where more of a list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pages {
    /// This page and the last one.
    Numbered(usize, usize),
    /// More follows after this entry.
    After(String),
}

impl Answer {
    fn ok(body: Value) -> Result<Answer, Refusal> {
        Ok(Answer { status: 200, body: Some(body), pages: None })
    }

    fn created(body: Value) -> Result<Answer, Refusal> {
        Ok(Answer { status: 201, body: Some(body), pages: None })
    }

    fn empty(status: u16) -> Result<Answer, Refusal> {
        Ok(Answer { status, body: None, pages: None })
    }
}

/// An answer that says no.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) errors: Option<Value>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into(), errors: None }
    }

    pub(crate) fn body(&self) -> Value {
        let mut it = json!({"message": self.message, "documentation_url": "https://docs.github.com/rest", "status": self.status.to_string()});
        if let Some(errors) = &self.errors {
            it["errors"] = errors.clone();
        }
        it
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        match error {
            Error::NotFound(_) => Refusal::new(404, "Not Found"),
            Error::Forbidden(message) => Refusal::new(403, message),
            Error::NotAllowed(message) => Refusal::new(405, message),
            Error::Gone(message) => Refusal::new(410, message),
            Error::Conflict(message) => Refusal::new(409, message),
            Error::Unprocessable { message, errors } => {
                let errors: Vec<Value> = errors
                    .iter()
                    .map(|error| {
                        let mut it = json!({"resource": error.resource, "field": error.field, "code": error.code});
                        if let Some(message) = &error.message {
                            it["message"] = json!(message);
                        }
                        it
                    })
                    .collect();
                let errors = (!errors.is_empty()).then(|| json!(errors));
                Refusal { status: 422, message, errors }
            }
            other => Refusal::new(500, other.to_string()),
        }
    }
}

impl From<crate::git::GitError> for Refusal {
    fn from(error: crate::git::GitError) -> Refusal {
        Error::from(error).into()
    }
}

impl Call<'_> {
    fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.param(name).parse().map_err(|_| Refusal::new(404, "Not Found"))
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.body.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    fn here(&self) -> Result<&Repository, Error> {
        self.model.repository(self.repository)
    }

    /// The account in whose name things happen.
    fn actor(&self) -> Result<u64, Refusal> {
        let bot = |app: &u64| self.model.apps.get(app).map(|app| app.bot);
        let found = match &self.caller {
            Caller::Anonymous => None,
            Caller::Person(id) => Some(*id),
            Caller::App(app) => bot(app),
            Caller::Installation { .. } => self.app().as_ref().and_then(bot),
        };
        found.ok_or_else(|| Refusal::new(401, "Requires authentication"))
    }

    /// The app that is calling.
    fn app(&self) -> Option<u64> {
        match &self.caller {
            Caller::App(app) => Some(*app),
            Caller::Installation { installation, .. } => self.model.installations.get(installation).map(|it| it.app),
            _ => None,
        }
    }

    /// A person must have this role; apps were asked for their permission before.
    fn at_least(&self, role: Role) -> Result<(), Refusal> {
        let Caller::Person(id) = self.caller else { return Ok(()) };
        if self.model.role(id, self.here()?) >= Some(role) {
            return Ok(());
        }
        Err(Refusal::new(403, format!("Must have {} rights to Repository.", role.name())))
    }

    /// One page of a list, by `per_page` and `page`.
    fn paged(&self, items: Vec<Value>) -> (Vec<Value>, Pages) {
        let number = |name: &str, or: usize| self.query(name).and_then(|text| text.parse().ok()).unwrap_or(or);
        let size = number("per_page", 30).clamp(1, 100);
        let page = number("page", 1).max(1);
        let last = items.len().div_ceil(size).max(1);
        (items.into_iter().skip((page - 1) * size).take(size).collect(), Pages::Numbered(page, last))
    }

    fn list(&self, items: Vec<Value>) -> Result<Answer, Refusal> {
        let (items, pages) = self.paged(items);
        Ok(Answer { status: 200, body: Some(json!(items)), pages: Some(pages) })
    }

    /// A list inside an object with its total.
    fn counted(&self, name: &str, items: Vec<Value>) -> Result<Answer, Refusal> {
        let total = items.len();
        let (items, pages) = self.paged(items);
        Ok(Answer { status: 200, body: Some(json!({"total_count": total, name: items})), pages: Some(pages) })
    }
}

/// What `answer` made: status, body, and the pages for the Link header.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) body: Option<Value>,
    pub(crate) pages: Option<Pages>,
}

/// A request as HTTP brought it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    /// Below `/api/v3`, still percent-encoded.
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Has the double an endpoint of that key (`METHOD /template`)?
pub(crate) fn known(key: &str) -> bool {
    ROUTES.iter().any(|route| route.key == key)
}

/// Is it this endpoint that a request to the path below `/api/v3` reaches?
pub(crate) fn fits(key: &str, method: &str, path: &str) -> bool {
    let found = ROUTES.iter().find(|route| matching::params(route.key, method, path).is_some());
    found.is_some_and(|route| route.key == key)
}

/// Answers one REST request. Everything that a correct client would not have sent is recorded.
pub(crate) fn answer(model: &mut Model, incoming: &Incoming) -> Outcome {
    let name = format!("{} {}", incoming.method, incoming.path);
    let found = ROUTES
        .iter()
        .find_map(|route| matching::params(route.key, &incoming.method, &incoming.path).map(|params| (route, params)));
    let Some((route, params)) = found else {
        model.violation(format!("{name}: the double has no such endpoint"));
        return refused(&Refusal::new(404, "Not Found"));
    };
    match run(model, route, params, incoming) {
        Ok(answer) => {
            if model.validate
                && let Err(why) = description::answer(route.key, answer.status, answer.body.as_ref())
            {
                model.violation(format!("the double's own answer to {name} is not as GitHub describes it: {why}"));
            }
            Outcome { status: answer.status, body: answer.body, pages: answer.pages }
        }
        Err(refusal) => {
            if matches!(refusal.status, 401 | 500) {
                model.violation(format!("{name}: {} {}", refusal.status, refusal.message));
            }
            refused(&refusal)
        }
    }
}

fn refused(refusal: &Refusal) -> Outcome {
    Outcome { status: refusal.status, body: Some(refusal.body()), pages: None }
}

fn run(
    model: &mut Model,
    route: &Route,
    params: BTreeMap<String, String>,
    incoming: &Incoming,
) -> Result<Answer, Refusal> {
    let name = format!("{} {}", incoming.method, incoming.path);
    let caller = crate::token::caller(model, incoming.authorization.as_deref())?;
    let body = if incoming.body.iter().all(u8::is_ascii_whitespace) {
        Value::Null
    } else {
        serde_json::from_slice(&incoming.body).map_err(|_| Refusal::new(400, "Problems parsing JSON"))?
    };
    let repository = allow(model, route.need, &caller, &params, &name)?;
    if model.validate
        && let Err(wrong) = description::request(route.key, &incoming.query, &body)
    {
        model.violation(format!("{name}: the request is not as GitHub describes it: {wrong}"));
        if wrong.refused {
            let errors = Some(json!([wrong.to_string()]));
            return Err(Refusal { status: 422, message: "Invalid request.".into(), errors });
        }
    }
    let query = incoming.query.clone();
    (route.run)(&mut Call { model, caller, repository, params, query, body })
}

/// Lets a caller through or says no; answers the repository of the path.
fn allow(
    model: &mut Model,
    need: Need,
    caller: &Caller,
    params: &BTreeMap<String, String>,
    name: &str,
) -> Result<u64, Refusal> {
    let wrong = match (need, caller) {
        (Need::Nobody, _) | (Need::Repository(_) | Need::Organization(_), _) => None,
        (Need::Jwt, Caller::App(_)) | (Need::Person, Caller::Person(_)) => None,
        (Need::Installation, Caller::Installation { .. }) => None,
        (_, Caller::Anonymous) => Some(Refusal::new(401, "Requires authentication")),
        (Need::Jwt, _) => Some(Refusal::new(401, "A JSON web token could not be decoded")),
        (Need::Person, _) | (Need::Installation, _) => {
            Some(Refusal::new(403, "Resource not accessible by integration"))
        }
    };
    if let Some(refusal) = wrong {
        if refusal.status == 403 {
            model.violation(format!("{name}: wrong kind of token"));
        }
        return Err(refusal);
    }
    if let Need::Organization(permission) = need {
        return organization(model, permission, caller, params, name).map(|()| 0);
    }
    let Need::Repository(permissions) = need else { return Ok(0) };
    let (Some(owner), Some(repo)) = (params.get("owner"), params.get("repo")) else { return Ok(0) };
    let id = model.repository_id(&format!("{owner}/{repo}"))?;
    let write = permissions.iter().any(|(_, level)| *level == Level::Write);
    match caller {
        Caller::App(_) => return Err(Refusal::new(401, "Bad credentials")),
        Caller::Anonymous if write => return Err(Refusal::new(401, "Requires authentication")),
        Caller::Anonymous if model.repository(id)?.private => return Err(Refusal::new(404, "Not Found")),
        Caller::Person(account) if model.role(*account, model.repository(id)?).is_none() => {
            return Err(Refusal::new(404, "Not Found"));
        }
        Caller::Anonymous | Caller::Person(_) => {}
        Caller::Installation { .. } if !crate::token::reaches(model, caller, id) => {
            if write || model.repository(id)?.private {
                model.violation(format!("{name}: the token does not reach this repository"));
                return Err(Refusal::new(404, "Not Found"));
            }
        }
        Caller::Installation { permissions: granted, .. } => {
            let enough = |(permission, level): &(&str, Level)| {
                granted.get(*permission).is_some_and(|have| *level == Level::Read || have == "write" || have == "admin")
            };
            // What is no pull request takes the permission for issues.
            let issue = is_of_issue(model.repository(id)?, params);
            let permissions: Vec<(&str, Level)> =
                permissions.iter().copied().filter(|(name, _)| !issue || *name == "issues").collect();
            if !permissions.iter().any(enough) {
                let wanted: Vec<String> =
                    permissions.iter().map(|(name, level)| format!("{name}:{level:?}").to_lowercase()).collect();
                model.violation(format!("{name}: the token lacks {}", wanted.join(" or ")));
                return Err(Refusal::new(403, "Resource not accessible by integration"));
            }
        }
    }
    Ok(id)
}

/// Is it an issue, or a comment on one, that the path names?
fn is_of_issue(it: &Repository, params: &BTreeMap<String, String>) -> bool {
    let number = |name: &str| params.get(name).and_then(|text| text.parse::<u64>().ok());
    let commented = number("comment_id").and_then(|id| it.comments.get(&id)).map(|comment| comment.number);
    number("issue_number").or(commented).is_some_and(|number| it.is_issue(number))
}

/// Lets a member of the organisation in the path through, or an app with the permission.
fn organization(
    model: &mut Model,
    permission: &str,
    caller: &Caller,
    params: &BTreeMap<String, String>,
    name: &str,
) -> Result<(), Refusal> {
    let id = model.account(params.get("org").map_or("", String::as_str))?;
    if model.accounts.get(&id).is_none_or(|it| it.kind != Kind::Organization) {
        return Err(Refusal::new(404, "Not Found"));
    }
    match caller {
        Caller::Anonymous => Err(Refusal::new(401, "Requires authentication")),
        Caller::App(_) => Err(Refusal::new(401, "Bad credentials")),
        Caller::Person(account) if model.is_member(id, *account) => Ok(()),
        Caller::Person(_) => Err(Refusal::new(404, "Not Found")),
        Caller::Installation { installation, permissions, .. } => {
            if model.installations.get(installation).is_none_or(|it| it.account != id) {
                model.violation(format!("{name}: the token is of another account's installation"));
                return Err(Refusal::new(404, "Not Found"));
            }
            if !permissions.contains_key(permission) {
                model.violation(format!("{name}: the token lacks {permission}:read"));
                return Err(Refusal::new(403, "Resource not accessible by integration"));
            }
            Ok(())
        }
    }
}
