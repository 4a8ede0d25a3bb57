//! Owns the answers to forms: which button does what, and for whom. Every rule is the model's.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::model::Model;
use crate::model::account::Role;
use crate::model::issue::IssueEdit;
use crate::model::landing::Method;
use crate::model::merge::MergeRequest;
use crate::model::pull::PullEdit;
use crate::model::review::Verdict;
use crate::view::markdown::escaped;
use crate::view::{Look, Page};

/// What a form sent.
pub(crate) type Fields = BTreeMap<String, String>;

/// Answers a form. `same_origin` is false when another page sent it.
pub(crate) fn act(model: &mut Model, path: &str, fields: &Fields, same_origin: bool, login: Option<&str>) -> Page {
    if !model.act_as_anyone || !same_origin {
        return Page::No(403, "Acting from the page is not allowed here.".into());
    }
    let field = |name: &str| fields.get(name).map(String::as_str);
    if path == "/as" {
        let back = field("back").filter(|path| path.starts_with('/') && !path.starts_with("//")).unwrap_or("/");
        return match field("as").and_then(|login| model.account_id(login)) {
            Some(id) => Page::Enter(back.to_owned(), model.login(id)),
            None => Page::No(422, "There is nobody of that name.".into()),
        };
    }
    // A form may say for whom it is; else it is for whom the visitor acts as.
    let login = field("as").or(login);
    let done = acted(model, path, fields, login);
    let look = Look::new(model, path, login);
    match done {
        Ok(next) => Page::Back(next.unwrap_or_else(|| path.to_owned())),
        Err(error) => {
            let (why, back) = (escaped(&error.to_string()), escaped(path));
            let body = format!("<h1>That was refused</h1><p>{why}</p><p><a href=\"{back}\">Back</a></p>");
            look.shell_as(422, "Refused", &body)
        }
    }
}

/// Carries a form out; the path to look at next, when it is another.
fn acted(model: &mut Model, path: &str, fields: &Fields, login: Option<&str>) -> Result<Option<String>, Error> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let [owner, name, kind, rest @ ..] = parts.as_slice() else { return Err(nothing(path)) };
    let me = Look::new(model, path, login).me.ok_or_else(|| nothing(path))?;
    let id = model.repository_id(&format!("{owner}/{name}"))?;
    let role = model.role(me, model.repository(id)?);
    let seen = role.ok_or_else(|| Error::Forbidden(format!("{} may not see {owner}/{name}", model.login(me))))?;
    let it = Act { model, id, me, role: seen, fields };
    let number = |text: &str| text.parse().unwrap_or(0);
    match (*kind, rest) {
        ("pull", [at]) => it.pull(number(at)),
        ("issues", []) => it.open_issue().map(|number| Some(format!("/{owner}/{name}/issues/{number}"))),
        ("issues", [at]) => it.issue(number(at)).map(|()| None),
        ("runs", [_]) => it.check().map(|()| None),
        _ => Err(nothing(path)),
    }
}

fn nothing(path: &str) -> Error {
    Error::NotFound(format!("a form at {path}"))
}

/// Somebody presses a button.
struct Act<'a> {
    model: &'a mut Model,
    id: u64,
    me: u64,
    role: Role,
    fields: &'a Fields,
}

impl Act<'_> {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn body(&self) -> String {
        self.field("body").replace("\r\n", "\n")
    }

    fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap_or(0)
    }

    fn needs(&self, role: Role, own: bool) -> Result<(), Error> {
        if self.role >= role || own {
            return Ok(());
        }
        Err(Error::Forbidden(format!("{} has no {} access here", self.model.login(self.me), role.name())))
    }

    /// A button of a pull request; the path of what it made.
    fn pull(self, number: u64) -> Result<Option<String>, Error> {
        let (id, me, body) = (self.id, self.me, self.body());
        match self.field("do") {
            "comment" => return self.model.comment(id, number, me, None, &body).map(|_| None),
            "approve" => return self.review(number, Verdict::Approve),
            "against" => return self.review(number, Verdict::RequestChanges),
            "press" | "rerun" if !self.field("check").is_empty() => return self.check().map(|()| None),
            _ => {}
        }
        let own = self.model.repository(id)?.pull(number)?.author == me;
        let opening = matches!(self.field("do"), "close" | "reopen" | "ready");
        self.needs(if opening { Role::Triage } else { Role::Write }, opening && own)?;
        let turn = |open: bool| PullEdit { open: Some(open), ..PullEdit::default() };
        match self.field("do") {
            "close" => self.model.edit_pull(id, number, me, &turn(false))?,
            "reopen" => self.model.edit_pull(id, number, me, &turn(true))?,
            "ready" => self.model.set_draft(id, number, me, false)?,
            "dismiss" => self.model.dismiss_review(id, number, self.number("review"), me)?,
            "enqueue" => self.model.enqueue(id, number, me, None, false).map(drop)?,
            "dequeue" => self.model.dequeue(id, number, me).map(drop)?,
            "merge" => {
                let method = Method::from_name(self.field("method"));
                let how = MergeRequest { method, ..MergeRequest::default() };
                self.model.merge_pull(id, number, me, &how).map(drop)?;
            }
            "revert" => {
                let made = self.model.revert_pull(id, number, me)?;
                let name = self.model.full_name(self.model.repository(id)?);
                return Ok(Some(format!("/{name}/pull/{made}")));
            }
            "delete" => {
                let branch = self.model.repository(id)?.pull(number)?.head_ref.clone();
                self.model.remove_ref(id, &format!("refs/heads/{branch}"), me)?;
            }
            "rerun" | "rerun-all" => {
                let it = self.model.repository(id)?;
                let head = it.pull(number)?.head_sha.clone();
                let suites = it.suites.values().filter(|suite| suite.head_sha == head).map(|suite| suite.id);
                let suites: Vec<u64> = suites.collect();
                suites.into_iter().try_for_each(|suite| self.model.rerequest_suite(id, suite, me))?;
            }
            other => return Err(Error::Use(format!("there is no button `{other}`"))),
        }
        Ok(None)
    }

    fn review(self, number: u64, verdict: Verdict) -> Result<Option<String>, Error> {
        let body = self.body();
        self.model.review(self.id, number, self.me, verdict, &body, None).map(|_| None)
    }

    /// A button of a check.
    fn check(self) -> Result<(), Error> {
        self.needs(Role::Write, false)?;
        let (check, identifier) = (self.number("check"), self.field("identifier").to_owned());
        match self.field("do") {
            "press" => self.model.request_action(self.id, check, self.me, &identifier),
            _ => self.model.rerequest_run(self.id, check, self.me),
        }
    }

    fn open_issue(self) -> Result<u64, Error> {
        let (title, body) = (self.field("title").to_owned(), self.body());
        self.model.open_issue(self.id, self.me, None, &title, Some(&body))
    }

    fn issue(self, number: u64) -> Result<(), Error> {
        let (id, me, body) = (self.id, self.me, self.body());
        if self.field("do") == "comment" {
            return self.model.comment(id, number, me, None, &body).map(drop);
        }
        let own = self.model.repository(id)?.issue(number)?.author == me;
        self.needs(Role::Triage, own)?;
        let open = match self.field("do") {
            "close" => false,
            "reopen" => true,
            other => return Err(Error::Use(format!("there is no button `{other}`"))),
        };
        self.model.edit_issue(id, number, me, &IssueEdit { open: Some(open), ..IssueEdit::default() })
    }
}
