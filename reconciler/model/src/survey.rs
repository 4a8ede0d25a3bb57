//! What git and the configuration say of a pull request: the value that a survey stores.

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::affected::{Affected, ChangedFile};
use crate::config::{Directory, Weakened};
use crate::diagnostic::Diagnostics;
use crate::id::{CommitSha, RelPath, SecretName, StackName, TreeId};
use crate::stack::{NotYet, SecretBinding, Stack};

/// What git and the configuration say of a pull request at one (base, head). Stored as a fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// The base that was used.
    pub base: CommitSha,
    /// The head that was used.
    pub head: CommitSha,
    /// The tree that plans run on; `None` when the merge has conflicts.
    pub plan_tree: Option<TreeId>,
    /// Was the merge made by us, not by GitHub?
    pub ours: bool,
    /// Files with conflicts.
    pub conflicts: Vec<RelPath>,
    /// Has either side any configuration (`.buildit/*.kdl` with content)? Without it nothing is written and
    /// nothing runs.
    pub configured: bool,
    /// May the base branch's pull requests be planned at all (trusted or `preview` branch)?
    pub base_trust: BaseTrust,
    /// Findings in the head's configuration; errors stop plans.
    pub diagnostics: Diagnostics,
    /// Files of `.buildit/` that the pull request changes (annotations go there).
    pub config_changed: Vec<RelPath>,
    /// Errors in the trusted base's own configuration: its rules are not known, and nothing may be applied.
    #[serde(default, skip_serializing_if = "Diagnostics::is_empty")]
    pub trusted_errors: Diagnostics,
    /// Stacks of the plan tree that the base does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<StackName>,
    /// What the pull request would loosen once it is merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weakened: Vec<Weakened>,
    /// Who may give commands that are about no stack.
    #[serde(default)]
    pub access: Access,
    /// Parts of the configuration that this version does not execute.
    pub not_yet: Vec<NotYet>,
    /// Extra comment prefixes of the trusted base.
    pub prefixes: Vec<String>,
    /// `comment on=…` of the trusted base: "changes", "always" or "never".
    pub comment_on: String,
    /// The changed files between the base tip and the plan tree.
    pub changed: Vec<ChangedFile>,
    /// Affected stacks, with reasons.
    pub affected: Affected,
    /// Every stack of the plan tree (affected or not), sorted by name.
    pub stacks: Vec<SurveyedStack>,
}

/// What the base branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseTrust {
    /// The default branch or one that it names.
    Trusted,
    /// Named by `preview`: planned, never applied.
    Preview,
    /// Neither: nothing runs.
    Untrusted,
}

/// A stack on the plan tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurveyedStack {
    /// The stack; trusted keys are from the base.
    pub stack: Stack,
    /// What its directory holds.
    pub directory: Directory,
    /// What a job must see: the stack's directory, local modules, watched and read files.
    pub paths: Vec<RelPath>,
    /// Secrets that this change would bring to the stack, or to another variable of it, and that the trusted base
    /// does not: none of them is given before somebody allows the head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_secrets: Vec<SecretBinding>,
    /// Which value each of the stack's secrets has now; one that is not set is absent. Filled in by whoever reads the
    /// survey with the secrets beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_versions: Vec<SecretVersion>,
    /// Hash over (path, object id) of all of it, hexadecimal: equal digests mean equal inputs from git.
    pub inputs_digest: String,
}

/// A value of a secret, without the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVersion {
    /// Its name.
    pub secret: SecretName,
    /// Where it is set: "org:acme" or "repo:5".
    pub scope: String,
    /// Counts up with each change there.
    pub version: i64,
}

impl SurveyedStack {
    /// Somebody read what the change does and allowed it: it gets the secrets that it would bring.
    pub fn allow_secrets(&mut self) {
        let waiting: Vec<NotYet> = self.new_secrets.drain(..).map(|one| one.waits()).collect();
        self.stack.not_yet.retain(|need| !waiting.contains(need));
    }
}

impl Survey {
    /// The stack of that name on the plan tree.
    pub fn stack(&self, name: &StackName) -> Option<&SurveyedStack> {
        self.stacks.iter().find(|s| &s.stack.name == name)
    }
}
