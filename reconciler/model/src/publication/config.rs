//! What is told of a changed configuration.

use serde::{Deserialize, Serialize};

use crate::config::Weakened;
use crate::id::StackName;

/// What a pull request does to the configuration of the base: which stacks come and go, and what it loosens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigView {
    /// Stacks that only the change has.
    pub added: Vec<StackName>,
    /// Stacks that it takes away.
    pub removed: Vec<StackName>,
    /// What it loosens.
    pub weakened: Vec<Weakened>,
    /// Who said that this is meant so.
    pub approved: Vec<String>,
    /// Who said that it must not be.
    pub rejected: Vec<String>,
    /// Who may say so, in words.
    pub who: String,
    /// The first error of the change's own configuration: what it comes to is not known.
    pub error: Option<String>,
}
