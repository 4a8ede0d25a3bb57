//! The brain: from hints to rows, from rows to decisions, from decisions to effects.
//!
//! Invariant: it sees GitHub, git and jobs through the ports of `model` only.

pub mod blobs;
mod brief;
#[cfg_attr(not(test), expect(dead_code, reason = "the engine calls this next; tests reach all of it"))]
mod decide;
pub mod inbox;
pub mod logs;
#[cfg_attr(not(test), expect(dead_code, reason = "the engine calls this next; tests reach all of it"))]
mod retry;
pub mod seal;
#[expect(dead_code, reason = "the engine, its caller, is not written yet")]
pub mod store;
pub mod views;
#[expect(dead_code, reason = "the engine, its caller, is not written yet")]
mod world;
