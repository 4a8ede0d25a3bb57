//! terraform and OpenTofu, seen from the brain.

use std::collections::BTreeMap;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::config::Directory;
use crate::id::JobName;
use crate::job::{JobEnd, JobSpec, SourceTree};
use crate::plan::{AppliedItem, PlanDocument, PlanFailure, PlanOptions, StateSeen};
use crate::stack::{ResolvedTool, Stack, ToolChoice};

/// Makes jobs for a tool and reads what they leave.
#[async_trait]
pub trait IacEngine: Send + Sync {
    /// Which program plans this stack: its `tool`, else version files, `required_version`, the lock file's
    /// host, else the server's default; looked up on the machine and downloaded where that is allowed.
    async fn resolve(&self, choice: Option<&ToolChoice>, directory: &Directory) -> Result<ResolvedTool, IacError>;
    /// The job of a plan: init, plan without lock into a saved file with `-detailed-exitcode`, `show -json`.
    /// Collects `plan.bin`, `plan.json` and `lock.hcl`.
    fn plan_job(&self, request: PlanRequest<'_>) -> Result<JobSpec, IacError>;
    /// The job of an apply: init held to the plan's lock file, then `apply -json` of exactly this plan file, at the
    /// path where it was made. Collects `errored.tfstate`.
    fn apply_job(&self, request: ApplyRequest<'_>) -> Result<JobSpec, IacError>;
    /// The state that a plan file was made on, as the file says; `None` when it cannot be read (OpenTofu may encrypt
    /// it). Its `digest` is never known here.
    fn state_of_plan(&self, plan: &[u8]) -> Option<StateSeen>;
    /// One line of what the step `apply` says, as people read it in the log, and what it tells.
    fn apply_line(&self, line: &str) -> ApplyLine;
    /// Reads the `show -json` document once: counts, diffs, reasons, outputs, risk, fingerprint. Sensitive
    /// leaves, and whatever holds one of `secrets`, enter the fingerprint as HMAC(stack key, path, value) and leave as a
    /// mask.
    fn read_plan(
        &self,
        document: &[u8],
        stack_key: &SecretString,
        secrets: &[SecretString],
    ) -> Result<PlanDocument, IacError>;
    /// The `show -json` document as it may be stored: the same shape, sensitive values masked by their marks and
    /// wherever else they stand, `secrets` too.
    fn mask_plan(&self, document: &[u8], secrets: &[SecretString]) -> Result<Vec<u8>, IacError>;
    /// What a job that did not make a plan failed of, from its end and the tail of its log. Files are as the
    /// tool names them, from the stack's directory: `PlanFailure::within` makes them repository paths.
    fn explain_failure(&self, end: &JobEnd, log_tail: &str) -> PlanFailure;
}

/// How a job gets at its stack's state.
#[derive(Debug)]
pub enum StateAccess {
    /// In the stack's own backend.
    Own,
    /// It is kept here: read by plans; read, locked and written by applies.
    Kept {
        /// The URL of the stack's state, as terraform's `http` backend wants it.
        address: String,
        /// What the job shows there: the token of this run alone.
        token: SecretString,
    },
    /// It would be kept here, but this program keeps none: the plan is made on an empty one.
    Empty,
}

/// What a plan needs.
#[derive(Debug)]
pub struct PlanRequest<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// The program.
    pub tool: &'a ResolvedTool,
    /// The materialised tree, repository root at the top.
    pub source: SourceTree,
    /// Secret variables by name.
    pub secret_var: BTreeMap<String, SecretString>,
    /// Secret environment by name.
    pub secret_env: BTreeMap<String, SecretString>,
    /// Where the state is read.
    pub state: StateAccess,
    /// Input variables that are outputs of other stacks, by name.
    pub inputs: BTreeMap<String, serde_json::Value>,
    /// Flags that a command gave.
    pub options: PlanOptions,
    /// Resources that exist and that the state does not know: addresses as the tool writes them, and ids.
    pub import: Vec<(String, String)>,
}

/// What an apply needs: all that the plan saw, and the plan.
#[derive(Debug)]
pub struct ApplyRequest<'a> {
    /// The stack, as it was planned.
    pub stack: &'a Stack,
    /// The program that planned.
    pub tool: &'a ResolvedTool,
    /// The tree that was planned on.
    pub source: SourceTree,
    /// The plan's job, at whose path the apply runs.
    pub place: JobName,
    /// The plan file.
    pub plan: Vec<u8>,
    /// The lock file that the plan's init left.
    pub lock: Option<Vec<u8>>,
    /// Secret variables by name: the plan file holds the plain ones.
    pub secret_var: BTreeMap<String, SecretString>,
    /// Secret environment by name.
    pub secret_env: BTreeMap<String, SecretString>,
    /// Where the state is read, locked and written.
    pub state: StateAccess,
}

/// A line of an apply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyLine {
    /// For the log; ends without a newline.
    pub text: String,
    /// The resource instance that it says is done.
    pub done: Option<AppliedItem>,
}

/// Why the tool cannot do it.
#[derive(Debug, thiserror::Error)]
pub enum IacError {
    /// No program of that kind or version; says what to do.
    #[error("{message}")]
    NoTool {
        /// What is missing, where it was looked for, what to do.
        message: String,
    },
    /// The stack cannot be planned as configured; says what and where.
    #[error("{message}")]
    Refused {
        /// What and what to do.
        message: String,
    },
    /// The document is not a plan that we understand.
    #[error("not a readable plan document: {message}")]
    Unreadable {
        /// Where and why.
        message: String,
    },
}
