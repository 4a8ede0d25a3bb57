//! The hands: where jobs run, terraform and OpenTofu, git.
//!
//! Sees `model` and `entry`; never the store, never GitHub.

pub mod exec;
pub mod iac;
pub mod source;
