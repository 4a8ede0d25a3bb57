//! Owns the pages that a person looks at, as what GitHub shows: lists, a pull request, an issue, a check; and the forms to
//! act on them. Never shows Markdown that was not made harmless, and lets nobody act unless the starter allowed it.

mod acts;
mod checks;
mod files;
mod issue;
mod lists;
mod markdown;
mod merge_box;
mod pull;
mod talk;

pub(crate) use acts::act;

use crate::error::Error;
use crate::model::Model;
use crate::model::account::Role;
use crate::model::repository::Repository;
use markdown::escaped;

const STYLE: &str = include_str!("page.css");
/// The cookie that says as whom a visitor acts. Cookies of one machine are shared by all its ports: the name is ours.
pub(crate) const COOKIE: &str = "fake-github-as";

/// What a page answers.
#[derive(Debug)]
pub(crate) enum Page {
    /// Status and HTML.
    Html(u16, String),
    /// After a form: look at this path again.
    Back(String),
    /// The same, as this account from now on.
    Enter(String, String),
    /// Status and a sentence.
    No(u16, String),
}

/// Who looks, and at what.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) model: &'a Model,
    /// As whom the visitor acts; `None` where nobody may act.
    me: Option<u64>,
    path: &'a str,
}

impl<'a> Look<'a> {
    pub(crate) fn new(model: &'a Model, path: &'a str, login: Option<&str>) -> Look<'a> {
        let known = login.and_then(|login| model.account_id(login));
        let person = |id: &u64| model.accounts.get(id).is_some_and(|account| account.is_person());
        let first = || model.accounts.values().find(|account| account.is_person()).map(|account| account.id);
        let me = known.filter(person).or_else(first).filter(|_| model.act_as_anyone);
        Look { model, me, path }
    }

    fn login(&self, account: u64) -> String {
        escaped(&self.model.login(account))
    }

    fn name(&self, it: &Repository) -> String {
        escaped(&self.model.full_name(it))
    }

    /// May the visitor do what takes this role here?
    fn may(&self, it: &Repository, role: Role) -> bool {
        self.me.is_some_and(|me| self.model.role(me, it) >= Some(role))
    }

    /// A button that does one thing. `more` are fields that go with it, as name and value.
    fn button(&self, class: &str, act: &str, label: &str, more: &[(&str, &str)]) -> String {
        let fields: String = more
            .iter()
            .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value)))
            .collect();
        format!(
            "<form method=\"post\" action=\"{}\">{fields}<button class=\"{class}\" name=\"do\" value=\"{act}\">{}</button></form>",
            escaped(self.path),
            escaped(label)
        )
    }

    fn shell(&self, title: &str, body: &str) -> Page {
        self.shell_as(200, title, body)
    }

    fn shell_as(&self, status: u16, title: &str, body: &str) -> Page {
        let html = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>{}</title><style>{STYLE}</style><header class=\"top\"><a class=\"home\" href=\"/\">fake GitHub</a>\
             <span class=\"mute\">a double for tests and demos</span>{}</header><main>{body}</main></html>",
            escaped(title),
            self.switch()
        );
        Page::Html(status, html)
    }

    /// Who the visitor is, and the way to be another.
    fn switch(&self) -> String {
        let Some(me) = self.me else { return String::new() };
        let option = |account: &crate::model::account::Account| {
            let chosen = if account.id == me { " selected" } else { "" };
            format!("<option{chosen}>{}</option>", escaped(&account.login))
        };
        let people: String = self.model.accounts.values().filter(|account| account.is_person()).map(option).collect();
        format!(
            "<form class=\"who\" method=\"post\" action=\"/as\"><input type=\"hidden\" name=\"back\" value=\"{}\">\
             <label>You are <select name=\"as\">{people}</select></label><button>Switch</button></form>",
            escaped(self.path)
        )
    }

    /// The head of a repository's pages.
    fn bar(&self, it: &Repository, here: &str) -> String {
        let name = self.name(it);
        let (owner, short) = name.split_once('/').unwrap_or(("", &name));
        let tab = |word: &str, path: &str, count: usize| {
            let current = if word == here { " aria-current=\"page\"" } else { "" };
            format!("<a href=\"/{name}{path}\"{current}>{word} <span class=\"count\">{count}</span></a>")
        };
        let pulls = it.pulls.values().filter(|pull| pull.is_open()).count();
        let issues = it.issues.values().filter(|issue| issue.open).count();
        format!(
            "<p class=\"crumb\">{owner} / <a href=\"/{name}\"><b>{short}</b></a> <span class=\"pill\">{}</span></p>\
             <nav class=\"tabs\" aria-label=\"Repository\">{}{}</nav>",
            if it.private { "private" } else { "public" },
            tab("Pull requests", "", pulls),
            tab("Issues", "/issues", issues),
        )
    }
}

/// Answers a GET of a page.
pub(crate) fn show(model: &Model, path: &str, login: Option<&str>) -> Page {
    let look = Look::new(model, path, login);
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let number = |text: &str| text.parse().unwrap_or(0);
    match parts.as_slice() {
        [""] => lists::home(look),
        [owner, name] | [owner, name, "pulls"] => found(look, owner, name, |it| Ok(lists::pulls(look, it))),
        [owner, name, "issues"] => found(look, owner, name, |it| Ok(lists::issues(look, it))),
        [owner, name, "pull", at] => found(look, owner, name, |it| pull::page(look, it, it.pull(number(at))?)),
        [owner, name, "issues", at] => found(look, owner, name, |it| issue::page(look, it, number(at))),
        [owner, name, "runs", at] => found(look, owner, name, |it| checks::page(look, it, number(at))),
        _ => look.shell_as(404, "Not found", "<h1>There is no such page</h1>"),
    }
}

fn found(look: Look<'_>, owner: &str, name: &str, page: impl Fn(&Repository) -> Result<Page, Error>) -> Page {
    let it = look.model.repository_id(&format!("{owner}/{name}")).and_then(|id| look.model.repository(id));
    it.and_then(page).unwrap_or_else(|error| {
        let why = escaped(&error.to_string());
        look.shell_as(404, "Not found", &format!("<h1>There is no such page</h1><p class=\"mute\">{why}</p>"))
    })
}
