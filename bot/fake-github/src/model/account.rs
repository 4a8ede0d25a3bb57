//! Owns people, organisations, bots and their tokens; and what a person may do on a repository.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::model::Model;
use crate::model::repository::Repository;

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Organization,
    Bot,
}

/// GitHub's own account, by which it commits.
const WEB_FLOW: u64 = 19_864_447;
/// GitHub's own account, by which merge queues push and merge.
pub(crate) const MERGE_QUEUE: u64 = 118_344_674;

/// Accounts that are there before anyone comes.
pub(crate) fn built_in() -> BTreeMap<u64, Account> {
    let own = |id: u64, login: &str, kind: Kind| {
        // 2016-06-10, when GitHub made the first of them.
        let created_at = 1_465_560_000_000_000;
        (id, Account { id, login: login.into(), kind, members: Vec::new(), free: false, created_at })
    };
    BTreeMap::from([own(WEB_FLOW, "web-flow", Kind::User), own(MERGE_QUEUE, "github-merge-queue[bot]", Kind::Bot)])
}

impl Account {
    /// Somebody who works here, whom a visitor may act as.
    pub(crate) fn is_person(&self) -> bool {
        self.kind == Kind::User && self.id != WEB_FLOW
    }
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Organization => "Organization",
            Kind::Bot => "Bot",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: u64,
    pub(crate) login: String,
    pub(crate) kind: Kind,
    /// Owners of an organisation; its other members are those of its teams.
    pub(crate) members: Vec<u64>,
    /// Pays nothing: its private repositories have no rules.
    pub(crate) free: bool,
    pub(crate) created_at: i64,
}

/// Permission names to levels (`read`, `write`, `admin`), as GitHub names them.
pub(crate) type Permissions = BTreeMap<String, String>;

/// What a token proves.
#[derive(Debug, Clone)]
pub(crate) enum Token {
    /// A personal token, or the password in Basic credentials.
    Person { account: u64 },
    /// An installation's token of one hour.
    Installation {
        installation: u64,
        /// Narrowed to these; `None` means all of the installation.
        repositories: Option<Vec<u64>>,
        permissions: Permissions,
        expires_at: i64,
    },
}

/// Who is calling.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    Anonymous,
    Person(u64),
    /// By its own JWT.
    App(u64),
    Installation {
        installation: u64,
        repositories: Option<Vec<u64>>,
        permissions: Permissions,
    },
}

/// What a person may do on a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See it.
    Read,
    /// Manage issues.
    Triage,
    /// Push.
    Write,
    /// Manage without dangerous actions.
    Maintain,
    /// Everything.
    Admin,
}

impl Role {
    /// GitHub's `role_name`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Triage => "triage",
            Role::Write => "write",
            Role::Maintain => "maintain",
            Role::Admin => "admin",
        }
    }

    /// GitHub's older `permission`, which folds triage and maintain.
    pub(crate) fn permission(self) -> &'static str {
        match self {
            Role::Read | Role::Triage => "read",
            Role::Write | Role::Maintain => "write",
            Role::Admin => "admin",
        }
    }

    /// Reads a role by GitHub's name (also `pull` and `push`).
    pub fn from_name(name: &str) -> Option<Role> {
        Some(match name {
            "read" | "pull" => Role::Read,
            "triage" => Role::Triage,
            "write" | "push" => Role::Write,
            "maintain" => Role::Maintain,
            "admin" => Role::Admin,
            _ => return None,
        })
    }
}

impl Model {
    pub(crate) fn add_account(&mut self, login: &str, kind: Kind) -> Result<u64, Error> {
        let plain = login.strip_suffix("[bot]").unwrap_or(login);
        if plain.is_empty() || !plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(Error::Use(format!("`{login}` cannot be a login: letters, digits and hyphens only")));
        }
        if self.account_id(login).is_some() {
            return Err(Error::Use(format!("the account `{login}` exists already")));
        }
        let (id, created_at) = (self.id(), self.now());
        self.accounts
            .insert(id, Account { id, login: login.into(), kind, members: Vec::new(), free: false, created_at });
        Ok(id)
    }

    pub(crate) fn account_id(&self, login: &str) -> Option<u64> {
        self.accounts.values().find(|account| account.login.eq_ignore_ascii_case(login)).map(|account| account.id)
    }

    pub(crate) fn account(&self, login: &str) -> Result<u64, Error> {
        self.account_id(login).ok_or_else(|| Error::NotFound(format!("account {login}")))
    }

    pub(crate) fn login(&self, account: u64) -> String {
        self.accounts.get(&account).map_or_else(|| "ghost".into(), |account| account.login.clone())
    }

    /// The role of an account on a repository; `None` when it may not even see it.
    pub(crate) fn role(&self, account: u64, repository: &Repository) -> Option<Role> {
        let owner = self.accounts.get(&repository.owner);
        let owns = repository.owner == account || owner.is_some_and(|owner| owner.members.contains(&account));
        let public = (!repository.private).then_some(Role::Read);
        if owns {
            return Some(Role::Admin);
        }
        let own = repository.collaborators.get(&account).copied();
        own.max(self.team_role(account, repository)).max(public)
    }

    /// GitHub's `author_association` of an account to a repository.
    pub(crate) fn association(&self, account: u64, repository: &Repository) -> &'static str {
        if repository.owner == account {
            "OWNER"
        } else if self.is_member(repository.owner, account) {
            "MEMBER"
        } else if repository.collaborators.contains_key(&account) {
            "COLLABORATOR"
        } else if repository.pulls.values().any(|pull| pull.author == account && pull.merged_at.is_some()) {
            "CONTRIBUTOR"
        } else {
            "NONE"
        }
    }
}
