//! The parts of GitHub's answers that we read, no more, so that a new field never breaks us.

use model::id::CommitSha;
use model::ports::ForgeError;
use model::pull::{PullState, Role};
use model::time::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a value as `T`; a misfit is a bug of ours, named.
pub(crate) fn read<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, ForgeError> {
    serde_json::from_value(value)
        .map_err(|error| ForgeError::Bug { message: format!("GitHub's answer about {what} cannot be read: {error}") })
}

#[derive(Debug, Deserialize)]
pub(crate) struct Token {
    pub(crate) token: String,
    pub(crate) expires_at: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Installation {
    pub(crate) id: i64,
    #[serde(default)]
    pub(crate) suspended_at: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct App {
    pub(crate) slug: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Repository {
    pub(crate) id: i64,
    pub(crate) full_name: String,
    #[serde(default)]
    pub(crate) default_branch: Option<String>,
    #[serde(default)]
    pub(crate) archived: bool,
    #[serde(default)]
    pub(crate) disabled: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Repositories {
    pub(crate) repositories: Vec<Repository>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) login: String,
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Side {
    pub(crate) sha: String,
    #[serde(rename = "ref")]
    pub(crate) branch: String,
    pub(crate) repo: Option<SideRepo>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SideRepo {
    pub(crate) id: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Label {
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pull {
    pub(crate) number: i64,
    pub(crate) title: String,
    pub(crate) user: Option<User>,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) merged: bool,
    #[serde(default)]
    pub(crate) draft: bool,
    pub(crate) head: Side,
    pub(crate) base: Side,
    #[serde(default)]
    pub(crate) merge_commit_sha: Option<String>,
    #[serde(default)]
    pub(crate) mergeable: Option<bool>,
    /// Lists do not tell.
    #[serde(default)]
    pub(crate) mergeable_state: String,
    #[serde(default)]
    pub(crate) commits: u64,
    #[serde(default)]
    pub(crate) labels: Vec<Label>,
    pub(crate) updated_at: String,
    /// Absent where GitHub leaves it out.
    #[serde(default)]
    pub(crate) merged_at: Option<String>,
}

impl Pull {
    pub(crate) fn state(&self) -> PullState {
        match (self.state.as_str(), self.merged) {
            (_, true) => PullState::Merged,
            ("open", false) => PullState::Open,
            _ => PullState::Closed,
        }
    }
}

/// A pull request in a list: GitHub leaves `merged` out there, and has `merged_at`.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    pub(crate) number: i64,
    #[serde(default)]
    pub(crate) merged_at: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Branch {
    pub(crate) commit: BranchCommit,
    #[serde(default)]
    pub(crate) protected: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BranchCommit {
    pub(crate) sha: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Comment {
    pub(crate) id: i64,
    pub(crate) node_id: String,
    pub(crate) user: Option<User>,
    #[serde(default)]
    pub(crate) body: Option<String>,
    pub(crate) created_at: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Permission {
    pub(crate) permission: String,
    #[serde(default)]
    pub(crate) role_name: Option<String>,
}

impl Permission {
    /// The role; a custom one counts as what it builds on.
    pub(crate) fn role(&self) -> Role {
        let named = |name: &str| match name {
            "admin" => Some(Role::Admin),
            "maintain" => Some(Role::Maintain),
            "write" => Some(Role::Write),
            "triage" => Some(Role::Triage),
            "read" => Some(Role::Read),
            "none" => Some(Role::None),
            _ => None,
        };
        self.role_name.as_deref().and_then(named).or_else(|| named(&self.permission)).unwrap_or(Role::None)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct CheckRuns {
    pub(crate) check_runs: Vec<CheckRun>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CheckRun {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) external_id: Option<String>,
    #[serde(default)]
    pub(crate) app: Option<CheckApp>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CheckApp {
    pub(crate) id: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Annotation {
    pub(crate) path: String,
    pub(crate) start_line: u32,
    #[serde(default)]
    pub(crate) message: Option<String>,
}

/// Reads GitHub's time.
pub(crate) fn time(text: &str) -> Result<Timestamp, ForgeError> {
    text.parse::<jiff::Timestamp>()
        .map(|at| Timestamp::from_micros(at.as_microsecond()))
        .map_err(|_| ForgeError::Bug { message: format!("GitHub's time {text:?} cannot be read") })
}

/// Writes a time for GitHub, in whole seconds.
pub(crate) fn written(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.seconds()).map(|at| at.to_string()).unwrap_or_default()
}

/// Reads a commit id.
pub(crate) fn commit(text: &str) -> Result<CommitSha, ForgeError> {
    CommitSha::parse(text).map_err(|error| ForgeError::Bug { message: error.to_string() })
}
