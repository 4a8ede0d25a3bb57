//! Whom rules name: one person, a team, a role, the author, everyone.
//!
//! Invariant: what is not known (a team that cannot be read, a role that was not asked for) is answered as not
//! known; whoever asks must then refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pull::Role;

/// One entry of `who`, `any-of` or `all-of`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Who {
    /// `user:ana`; the login in lower case.
    User(String),
    /// `team:sre`: a team of the repository's organisation by its slug, with its child teams.
    Team(String),
    /// `role:write`: this right on the repository or a higher one.
    Role(Role),
    /// `author`: who opened the pull request.
    Author,
    /// `*`.
    Anyone,
}

/// A text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names nobody")]
pub struct WhoError {
    /// As written.
    pub text: String,
    /// What to write.
    pub help: String,
}

/// Roles in configuration, lowest first.
const ROLES: [(&str, Role); 5] = [
    ("read", Role::Read),
    ("triage", Role::Triage),
    ("write", Role::Write),
    ("maintain", Role::Maintain),
    ("admin", Role::Admin),
];

impl Who {
    /// Reads one entry.
    pub fn parse(text: &str) -> Result<Self, WhoError> {
        let refuse = |help: String| Err(WhoError { text: text.to_owned(), help });
        let Some((kind, name)) = text.split_once(':') else {
            return match text {
                "author" => Ok(Who::Author),
                "*" => Ok(Who::Anyone),
                word if is_name(word) => refuse(format!("write user:{word} or team:{word}")),
                _ => refuse("write user:LOGIN, team:SLUG, role:write, author or \"*\"".to_owned()),
            };
        };
        match kind {
            "user" if is_name(name) => Ok(Who::User(name.to_ascii_lowercase())),
            "user" => refuse("a login has letters, digits and -".to_owned()),
            "team" if is_name(name) => Ok(Who::Team(name.to_ascii_lowercase())),
            "team" => refuse("write the team's slug, without its organisation: team:sre".to_owned()),
            "role" => match ROLES.iter().find(|(word, _)| *word == name) {
                Some((_, role)) => Ok(Who::Role(*role)),
                None => refuse(format!("roles are {}", ROLES.map(|(word, _)| word).join(", "))),
            },
            _ => refuse("write user:LOGIN, team:SLUG, role:write, author or \"*\"".to_owned()),
        }
    }

    /// Is everyone whom this names named by the other too, whoever that is?
    pub fn is_within(&self, other: &Who) -> bool {
        match (self, other) {
            (_, Who::Anyone) => true,
            (Who::Role(high), Who::Role(low)) => high >= low,
            _ => self == other,
        }
    }

    /// Is the person meant? `None` when that is not known.
    pub fn means(&self, person: &Person<'_>) -> Option<bool> {
        match self {
            Who::User(login) => Some(login.eq_ignore_ascii_case(person.login)),
            Who::Team(slug) => person.teams.has(slug, person.login),
            Who::Role(least) => person.role.map(|role| role >= *least),
            Who::Author => person.is_author,
            Who::Anyone => Some(true),
        }
    }
}

/// Letters of any case, digits, `-`, `_` and `.`; bots end in `[bot]`.
fn is_name(text: &str) -> bool {
    let stem = text.strip_suffix("[bot]").unwrap_or(text);
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !stem.is_empty() && stem.len() <= 100 && stem.chars().all(legal)
}

/// The name of a role in configuration and texts.
pub fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(_, known)| *known == role).map_or("none", |(word, _)| word)
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::User(login) => write!(f, "user:{login}"),
            Who::Team(slug) => write!(f, "team:{slug}"),
            Who::Role(role) => write!(f, "role:{}", role_name(*role)),
            Who::Author => f.write_str("author"),
            Who::Anyone => f.write_str("*"),
        }
    }
}

impl From<Who> for String {
    fn from(who: Who) -> Self {
        who.to_string()
    }
}

impl TryFrom<String> for Who {
    type Error = WhoError;
    fn try_from(text: String) -> Result<Self, WhoError> {
        Who::parse(&text)
    }
}

/// `team:sre, user:ana`, for texts.
pub fn listed<'a>(who: impl IntoIterator<Item = &'a Who>) -> String {
    who.into_iter().map(Who::to_string).collect::<Vec<_>>().join(", ")
}

/// A person at the moment of the question.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// The login, in any case.
    pub login: &'a str,
    /// An account of a program?
    pub bot: bool,
    /// The right on the repository; `None` when it was not asked for.
    pub role: Option<Role>,
    /// Did they open the pull request? `None` where there is none, or it is not known.
    pub is_author: Option<bool>,
    /// Members of the teams that rules name.
    pub teams: &'a Teams,
}

/// Members of teams, child teams included, as read at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Teams(BTreeMap<String, Option<BTreeSet<String>>>);

impl Teams {
    /// Nothing is known of any.
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Notes a team's members by login; `None` when they cannot be read.
    pub fn note<'a>(&mut self, slug: &str, members: Option<impl IntoIterator<Item = &'a str>>) {
        let members = members.map(|all| all.into_iter().map(str::to_ascii_lowercase).collect());
        self.0.insert(slug.to_ascii_lowercase(), members);
    }

    /// Is the person in the team? `None` when nobody could read that.
    pub fn has(&self, slug: &str, login: &str) -> Option<bool> {
        let members = self.0.get(slug)?.as_ref()?;
        Some(members.contains(&login.to_ascii_lowercase()))
    }

    /// Could the team be read?
    pub fn is_known(&self, slug: &str) -> bool {
        self.0.get(slug).is_some_and(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_named_in_one_way() {
        for (text, shown) in [
            ("user:Ana", "user:ana"),
            ("team:SRE", "team:sre"),
            ("role:maintain", "role:maintain"),
            ("author", "author"),
            ("*", "*"),
            ("user:renovate[bot]", "user:renovate[bot]"),
        ] {
            assert_eq!(Who::parse(text).map(|who| who.to_string()), Ok(shown.to_owned()));
        }
        for (text, help) in [
            ("sre", "write user:sre or team:sre"),
            ("team:acme/sre", "write the team's slug, without its organisation: team:sre"),
            ("role:owner", "roles are read, triage, write, maintain, admin"),
            ("user:", "a login has letters, digits and -"),
            ("group:x", "write user:LOGIN, team:SLUG, role:write, author or \"*\""),
        ] {
            assert_eq!(Who::parse(text).map_err(|error| error.help), Err(help.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_answered() {
        let mut teams = Teams::default();
        teams.note("sre", Some(["Ana", "ben"]));
        teams.note("dba", None::<[&str; 0]>);
        let person = Person { login: "ANA", bot: false, role: None, is_author: None, teams: &teams };
        let means = |text: &str| Who::parse(text).expect("a name").means(&person);
        assert_eq!(means("team:sre"), Some(true));
        assert_eq!(means("team:dba"), None);
        assert_eq!(means("team:ops"), None);
        assert_eq!(means("role:read"), None);
        assert_eq!(means("author"), None);
        assert_eq!(means("user:ana"), Some(true));
        assert_eq!(means("user:ben"), Some(false));
        assert_eq!(means("*"), Some(true));
    }
}
