//! The brain: from hints to rows, from rows to decisions, from decisions to effects.
//!
//! Invariant: it sees GitHub, git and jobs through the ports of `model` only.

mod act;
mod attend;
pub mod audit;
pub mod blobs;
mod brief;
mod decide;
pub mod desk;
pub mod engine;
pub mod gate;
pub mod inbox;
pub mod logs;
mod observe;
mod parts;
mod retry;
pub mod rotation;
pub mod seal;
pub mod secrets;
mod server_secret;
pub mod states;
pub mod store;
pub mod tokens;
pub mod views;
mod world;
