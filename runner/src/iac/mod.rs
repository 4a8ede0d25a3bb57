//! terraform and OpenTofu: one implementor over `enum Tool`.
//!
//! Makes jobs and reads what they leave. It must never run a tool on someone's code itself: the only command
//! that it starts is `version`, in an empty environment.

mod apply;
mod env;
mod failure;
mod find;
mod job;
mod read;
mod state;
mod version;

use std::path::PathBuf;

use async_trait::async_trait;
use model::config::Directory;
use model::job::{JobEnd, JobSpec};
use model::plan::{PlanDocument, PlanFailure, StateSeen};
use model::ports::{ApplyLine, ApplyRequest, IacEngine, IacError, PlanRequest};
use model::stack::ResolvedTool;
use model::stack::{Tool, ToolChoice};
use secrecy::SecretString;

pub use read::masked_json;

/// How the tools are found and run.
#[derive(Debug, Clone, Default)]
pub struct IacSettings {
    /// Programs that the operator names; looked at before all others.
    pub tools: Vec<PathBuf>,
    /// What plans a stack that nothing else decides; `None`: OpenTofu when it is there, else terraform.
    pub default: Option<Tool>,
    /// Look in `PATH` too?
    pub search_path: bool,
    /// A directory that holds downloaded or built tools, at any depth up to 3 (`tofu-1.12.6/tofu`).
    pub cache: Option<PathBuf>,
    /// `TF_CLI_CONFIG_FILE` of all jobs; the server's own environment never decides it.
    pub cli_config: Option<PathBuf>,
    /// `TF_PLUGIN_CACHE_DIR` of OpenTofu jobs from 1.10 on, which lock it; terraform's is unsafe for
    /// concurrent inits.
    pub plugin_cache: Option<PathBuf>,
}

/// The engine.
#[derive(Debug)]
pub struct Iac {
    settings: IacSettings,
    finder: find::Finder,
}

impl Iac {
    /// Nothing is looked for before the first `resolve`.
    pub fn new(settings: IacSettings) -> Self {
        let finder = find::Finder::new(settings.clone());
        Self { settings, finder }
    }

    /// Every program that was found, best first; for `doctor` and the demo's first lines.
    pub async fn tools(&self) -> Vec<ResolvedTool> {
        self.finder.all().await
    }
}

#[async_trait]
impl IacEngine for Iac {
    async fn resolve(&self, choice: Option<&ToolChoice>, directory: &Directory) -> Result<ResolvedTool, IacError> {
        self.finder.resolve(choice, directory).await
    }

    fn plan_job(&self, request: PlanRequest<'_>) -> Result<JobSpec, IacError> {
        job::plan_job(&self.settings, request)
    }

    fn read_plan(
        &self,
        document: &[u8],
        stack_key: &SecretString,
        secrets: &[SecretString],
    ) -> Result<PlanDocument, IacError> {
        read::read_plan(document, stack_key, secrets)
    }

    fn apply_job(&self, request: ApplyRequest<'_>) -> Result<JobSpec, IacError> {
        apply::apply_job(&self.settings, request)
    }

    fn state_of_plan(&self, plan: &[u8]) -> Option<StateSeen> {
        state::of_plan(plan)
    }

    fn apply_line(&self, line: &str) -> ApplyLine {
        apply::line(line)
    }

    fn mask_plan(&self, document: &[u8], secrets: &[SecretString]) -> Result<Vec<u8>, IacError> {
        read::masked_json(document, secrets)
    }

    fn explain_failure(&self, end: &JobEnd, log_tail: &str) -> PlanFailure {
        failure::explain(end, log_tail)
    }
}
