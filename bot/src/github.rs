//! GitHub: octocrab as transport, our own small shapes, the ports `ForgeRead` and `ForgeWrite`, the webhook.
//!
//! Owns: tokens, HTTP, the classes of errors, hidden markers. It must never decide anything: what is asked and
//! written comes from the brain, every text from `render`.

pub mod auth;
pub mod client;
mod deployment;
mod facts;
mod issue;
pub mod manifest;
mod merge;
mod read;
mod shape;
pub mod webhook;
mod write;

pub use auth::{AppKey, AuthError};
pub use client::{GitHub, GitHubOptions};
