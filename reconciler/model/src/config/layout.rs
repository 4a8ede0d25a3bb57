//! What the configuration needs to know of a tree to find stacks; filled by the port `Source`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::RelPath;

/// The directories of one tree that hold terraform or OpenTofu configuration files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// By path. Directories without configuration files are absent.
    pub directories: BTreeMap<RelPath, Directory>,
}

/// One directory with configuration files (`*.tf`, `*.tf.json`; with OpenTofu `*.tofu`, `*.tofu.json`; or
/// `terragrunt.hcl`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// The type of its top-level `backend` block ("s3", "http", …), if any.
    pub backend: Option<String>,
    /// Is that block empty, so that whoever runs the tool says where the state is?
    #[serde(default)]
    pub backend_empty: bool,
    /// Has it a `cloud` block?
    pub cloud: bool,
    /// Has it a top-level `provider` block?
    pub provider: bool,
    /// Does another directory use it as a module?
    pub used_as_module: bool,
    /// Are all its configuration files targets of other directories' symlinks?
    pub only_linked: bool,
    /// Has it a `terragrunt.hcl`?
    pub terragrunt: bool,
    /// `required_version`, when written as one literal.
    pub required_version: Option<String>,
    /// Registry hosts named by its lock file, such as "registry.opentofu.org".
    pub lock_hosts: Vec<String>,
    /// Nearest `.opentofu-version` in the directory or above: (path, first line).
    pub opentofu_version: Option<(RelPath, String)>,
    /// Nearest `.terraform-version` in the directory or above: (path, first line).
    pub terraform_version: Option<(RelPath, String)>,
}
