//! The state of the double and GitHub's rules over it: accounts, apps, repositories, pull requests, checks.
//! Never knows HTTP; what it tells apps goes into `deliveries` as webhooks.

pub(crate) mod account;
pub(crate) mod activity;
pub(crate) mod app;
mod asking;
pub(crate) mod check;
pub(crate) mod comment;
pub(crate) mod deployment;
pub(crate) mod event;
pub(crate) mod issue;
pub(crate) mod landing;
pub(crate) mod merge;
pub(crate) mod owners;
pub(crate) mod protection;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod queue;
pub(crate) mod repository;
pub(crate) mod review;
pub(crate) mod status;
pub(crate) mod team;
pub(crate) mod thread;
mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::Options;
use crate::clock::Clock;
use crate::error::Error;
use crate::git::Person;
use crate::limits::{Limits, Meter};
use crate::outage::Outages;
use crate::surprise::Surprise;

use account::{Account, Token};
use app::{App, Installation};
use event::Deliveries;
use repository::Repository;
use team::Team;

/// Everything that the double knows.
pub(crate) struct Model {
    /// `http://127.0.0.1:PORT`, no slash at the end.
    pub(crate) url: String,
    pub(crate) data: PathBuf,
    pub(crate) clock: Clock,
    /// `mergeable` is there at once; otherwise null until it is asked for the first time.
    pub(crate) mergeable_at_once: bool,
    /// Everything is checked against GitHub's description.
    pub(crate) validate: bool,
    /// The view lets its visitor be anybody.
    pub(crate) act_as_anyone: bool,
    pub(crate) limits: Option<Limits>,
    pub(crate) meter: Meter,
    next_id: u64,
    pub(crate) accounts: BTreeMap<u64, Account>,
    pub(crate) teams: BTreeMap<u64, Team>,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) apps: BTreeMap<u64, App>,
    pub(crate) installations: BTreeMap<u64, Installation>,
    pub(crate) repositories: BTreeMap<u64, Repository>,
    pub(crate) deliveries: Deliveries,
    pub(crate) violations: Vec<String>,
    /// GraphQL questions that were answered.
    pub(crate) questions: Vec<serde_json::Value>,
    pub(crate) requests: u64,
    pub(crate) outages: Outages,
    pub(crate) surprises: Vec<Surprise>,
}

impl Model {
    pub(crate) fn new(url: String, data: PathBuf, options: &Options) -> Model {
        Model {
            url,
            data,
            clock: options.clock.clone(),
            mergeable_at_once: options.mergeable_at_once,
            validate: options.validate,
            act_as_anyone: options.act_as_anyone,
            limits: options.limits,
            meter: Meter::default(),
            next_id: 1000,
            accounts: account::built_in(),
            teams: BTreeMap::new(),
            tokens: HashMap::new(),
            apps: BTreeMap::new(),
            installations: BTreeMap::new(),
            repositories: BTreeMap::new(),
            deliveries: Deliveries::default(),
            violations: Vec::new(),
            questions: Vec::new(),
            requests: 0,
            outages: Outages::default(),
            surprises: Vec::new(),
        }
    }

    /// An id that nothing else has: mixing up two kinds of ids never works by luck.
    pub(crate) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    pub(crate) fn api(&self) -> String {
        format!("{}/api/v3", self.url)
    }

    pub(crate) fn violation(&mut self, what: impl Into<String>) {
        let what = what.into();
        tracing::warn!(violation = %what, "the double refuses");
        self.violations.push(what);
    }

    /// The author line of commits that an account makes here.
    pub(crate) fn person(&self, account: u64) -> Person {
        let login = self.login(account);
        Person { email: format!("{login}@users.noreply.github.com"), name: login, at: self.now() }
    }

    /// Who commits what is made on GitHub's own pages.
    pub(crate) fn web_flow(&self) -> Person {
        Person { name: "GitHub".into(), email: "noreply@github.com".into(), at: self.now() }
    }

    /// Finds a repository by `owner/name`, in any case of letters.
    pub(crate) fn repository_id(&self, full_name: &str) -> Result<u64, Error> {
        let found =
            self.repositories.values().find(|repository| self.full_name(repository).eq_ignore_ascii_case(full_name));
        found.map(|repository| repository.id).ok_or_else(|| Error::NotFound(format!("repository {full_name}")))
    }

    pub(crate) fn repository(&self, id: u64) -> Result<&Repository, Error> {
        self.repositories.get(&id).ok_or_else(|| Error::NotFound(format!("repository {id}")))
    }

    pub(crate) fn repository_mut(&mut self, id: u64) -> Result<&mut Repository, Error> {
        self.repositories.get_mut(&id).ok_or_else(|| Error::NotFound(format!("repository {id}")))
    }

    pub(crate) fn full_name(&self, repository: &Repository) -> String {
        format!("{}/{}", self.login(repository.owner), repository.name)
    }
}
