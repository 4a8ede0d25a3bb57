//! The brain: from hints to rows, from rows to decisions, from decisions to effects.
//!
//! Invariant: it sees GitHub, git and jobs through the ports of `model` only.

pub mod blobs;
pub mod inbox;
pub mod logs;
pub mod seal;
#[expect(dead_code, reason = "the engine, its caller, is not written yet")]
pub mod store;
#[expect(dead_code, reason = "the engine, its caller, is not written yet")]
mod world;
