//! Where a stack's state is kept.
//!
//! Invariant: a state is never put in the place of one that another backend keeps.

use serde::{Deserialize, Serialize};

use super::Stack;
use crate::config::Directory;
use crate::id::{RelPath, Workspace};

/// The `state` node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateChoice {
    /// On this server.
    Buildit,
    /// In the stack's own backend, with backend configuration files from the repository root.
    Own {
        /// `config` files.
        config: Vec<RelPath>,
    },
}

/// Who keeps the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKind {
    /// This server.
    Buildit,
    /// A backend that the configuration names.
    Own,
}

/// Why this server cannot keep the state, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateRefusal {
    /// It would be another state than the backend's.
    #[error(
        "`state buildit` and a `{backend}` block contradict each other: the state that is there would not be seen; move it with `buildit state import` and remove the block in the same pull request, or write `state own`"
    )]
    OtherBackend {
        /// "backend s3", "cloud".
        backend: String,
    },
    /// The protocol knows one state per address.
    #[error(
        "its state is kept by BuildIt, and the http backend knows no workspaces ({workspace}); write a stack with a name of its own instead of the workspace, or a backend block that keeps workspaces"
    )]
    Workspace {
        /// Which.
        workspace: Workspace,
    },
}

impl Stack {
    /// Who keeps its state. `directory` is what the tree that is planned has at its path.
    ///
    /// # Errors
    /// It would have to be this server, which cannot.
    pub fn state_kind(&self, directory: &Directory) -> Result<StateKind, StateRefusal> {
        let ours = match (&directory.backend, directory.cloud) {
            (_, true) => false,
            (None, false) => true,
            (Some(backend), false) => backend == "http" && directory.backend_empty,
        };
        match &self.state {
            Some(StateChoice::Own { .. }) => return Ok(StateKind::Own),
            Some(StateChoice::Buildit) if !ours => {
                let backend = directory.backend.as_ref().filter(|_| !directory.cloud);
                let backend = backend.map_or_else(|| "cloud".to_owned(), |name| format!("backend \"{name}\""));
                return Err(StateRefusal::OtherBackend { backend });
            }
            None if !ours => return Ok(StateKind::Own),
            Some(StateChoice::Buildit) | None => {}
        }
        if !self.workspace.is_default() {
            return Err(StateRefusal::Workspace { workspace: self.workspace.clone() });
        }
        Ok(StateKind::Buildit)
    }
}
