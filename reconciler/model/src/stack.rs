//! A stack after every layer of configuration was applied: what one run needs to know.
//!
//! Invariant: built by `config::resolve` only; a value here is valid and complete.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::diagnostic::Span;
use crate::id::{RelPath, StackName, Workspace};
use crate::requirement::Requirements;

mod apply;
mod secret;
mod state;

pub use apply::{AfterUpstream, ApplyMode, ApplyOptions, Automerge, Lock, LockMode, MergeMethod};
pub use secret::{Bound, SecretBinding};
pub use state::{StateChoice, StateKind, StateRefusal};

/// One IaC root with path, workspace, variables and rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Unique in the repository.
    pub name: StackName,
    /// Its directory.
    pub path: RelPath,
    /// Terraform's workspace.
    pub workspace: Workspace,
    /// How it came to be.
    pub origin: Origin,
    /// The node that declared it; `None` when discovered by `discover` without one of its own.
    pub declared_at: Option<Span>,
    /// Earlier names or directories.
    pub was: Vec<String>,
    /// The tool that the configuration names. `None`: version files, `required_version`, the lock file's
    /// host, then the server's default decide.
    pub tool: Option<ToolChoice>,
    /// Labels for selectors.
    pub tags: BTreeSet<String>,
    /// Input variables.
    pub var: BTreeMap<String, Value>,
    /// Environment of its runs.
    pub env: BTreeMap<String, Value>,
    /// The secrets that `var` and `env` name, in the order of kind and name.
    #[serde(default)]
    pub secrets: Vec<SecretBinding>,
    /// Variable files, from the repository root.
    pub var_files: Vec<RelPath>,
    /// The user's own watch globs.
    pub watch: Watch,
    /// Stacks that come first.
    pub depends_on: Vec<Dependency>,
    /// How plans are made.
    pub plan: PlanSettings,
    /// When an apply happens.
    pub apply: ApplyMode,
    /// How it goes on around an apply.
    #[serde(default)]
    pub apply_options: ApplyOptions,
    /// What holds other pull requests off.
    #[serde(default)]
    pub lock: Lock,
    /// What must hold before an apply.
    #[serde(default)]
    pub require: Requirements,
    /// Who may give which command for it.
    #[serde(default)]
    pub access: Access,
    /// Where state is kept, when the configuration says so.
    pub state: Option<StateChoice>,
    /// What this stack's plan would need that this version cannot give: the plan is not made, and the check
    /// names these.
    pub not_yet: Vec<NotYet>,
}

impl Stack {
    /// The effective settings, for people: one line each, secrets by name only.
    pub fn describe(&self) -> String {
        let mut lines = vec![format!("stack \"{}\" path=\"{}\"", self.name, self.path)];
        let mut add = |name: &str, value: String| lines.push(format!("    {name} {value}"));
        if !self.workspace.is_default() {
            add("workspace", self.workspace.to_string());
        }
        if let Some(choice) = &self.tool {
            add("tool", format!("{} {}", choice.tool.name(), choice.version.as_deref().unwrap_or("any version")));
        }
        if !self.tags.is_empty() {
            add("tags", self.tags.iter().cloned().collect::<Vec<_>>().join(", "));
        }
        for (kind, values) in [("var", &self.var), ("env", &self.env)] {
            for (name, value) in values {
                let value = match value {
                    Value::Plain(value) => value.to_string(),
                    Value::Secret(secret) => format!("the secret {secret}"),
                    Value::AtStart(text) => text.clone(),
                };
                add(kind, format!("{name} = {value}"));
            }
        }
        self.var_files.iter().for_each(|file| add("var-file", file.to_string()));
        self.depends_on.iter().for_each(|it| add("depends-on", it.stack.to_string()));
        let plan = &self.plan;
        add("plan", format!("auto={} drafts={} timeout={}s", plan.auto, plan.drafts, plan.timeout_seconds));
        add("apply", format!("on={} {}", self.apply.name(), self.apply_options));
        add("lock", self.lock.to_string());
        self.require.items().iter().for_each(|item| add("require", item.to_string()));
        self.access.rules.iter().for_each(|rule| add("access", rule.to_string()));
        lines.join("\n") + "\n"
    }
}

/// How a stack came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A `stack` node with a literal name.
    Literal,
    /// A `stack` node with captures or a matrix.
    Family,
    /// Found by `discover`.
    Discovered,
}

/// Which program plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// HashiCorp terraform.
    Terraform,
    /// OpenTofu, the program `tofu`.
    #[serde(rename = "opentofu")]
    OpenTofu,
}

impl Tool {
    /// The name in configuration and texts.
    pub const fn name(self) -> &'static str {
        match self {
            Tool::Terraform => "terraform",
            Tool::OpenTofu => "opentofu",
        }
    }
    /// The program's file name.
    pub const fn program(self) -> &'static str {
        match self {
            Tool::Terraform => "terraform",
            Tool::OpenTofu => "tofu",
        }
    }
}

/// A `tool` node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolChoice {
    /// The program.
    pub tool: Tool,
    /// As written: "1.10" is the newest 1.10.x, "=1.10.3" exactly that; `None` any.
    pub version: Option<String>,
}

/// A value of `var` or `env`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Written in the configuration: a JSON scalar, list or object. `env` holds strings only.
    Plain(serde_json::Value),
    /// The name of a secret.
    Secret(String),
    /// A text with `${…}` references that are known when the run starts.
    AtStart(String),
}

/// The user's `watch` globs: relative to the repository root after resolution, in written order, `!` negates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Globs; the last match wins.
    pub patterns: Vec<WatchPattern>,
    /// Replace the defaults and the module graph?
    pub only: bool,
}

/// One glob of `watch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchPattern {
    /// The doublestar glob from the repository root, without the `!`.
    pub glob: String,
    /// Was it written with `!`?
    pub negated: bool,
    /// Where.
    pub at: Option<Span>,
}

/// A `depends-on` or `input`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// The upstream stack.
    pub stack: StackName,
    /// Keep the order but do not pull the dependent in.
    pub only_if_changed: bool,
    /// The variable and output when it is an `input`.
    pub input: Option<InputBinding>,
    /// Where.
    pub at: Option<Span>,
}

/// `input vpc_id from="network.vpc_id"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputBinding {
    /// The variable that is set.
    pub variable: String,
    /// The upstream's output.
    pub output: String,
    /// May a sensitive output cross?
    pub sensitive: bool,
}

/// The `plan` node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSettings {
    /// Plan without being asked?
    pub auto: bool,
    /// Plan drafts?
    pub drafts: bool,
    /// Refuse `-p`/`-d` for stacks that the pull request does not affect?
    pub restrict: bool,
    /// How long a plan may be applied, in seconds.
    pub ttl_seconds: u64,
    /// How long a plan may run, in seconds.
    pub timeout_seconds: u64,
}

impl Default for PlanSettings {
    fn default() -> Self {
        Self { auto: true, drafts: false, restrict: false, ttl_seconds: 7 * 24 * 3600, timeout_seconds: 30 * 60 }
    }
}

/// Something that is valid configuration but not executed by this version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotYet {
    /// In plain words, for example "the secret `COST_CENTER`".
    pub what: String,
    /// Where it is written.
    pub at: Option<Span>,
}

/// A program on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedTool {
    /// Which.
    pub tool: Tool,
    /// Its version, such as "1.11.4".
    pub version: String,
    /// Where.
    pub path: std::path::PathBuf,
}
