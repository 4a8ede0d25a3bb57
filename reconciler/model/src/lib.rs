//! The language of BuildIt: nouns, states, configuration and ports.
//!
//! Every floor speaks it and it sees nobody: no tokio, no sqlx, no client. A type lives here when two
//! floors need the same word for it.

pub mod access;
pub mod affected;
pub mod command;
pub mod config;
pub mod diagnostic;
pub mod gate;
pub mod group;
pub mod id;
pub mod job;
pub mod mask;
pub mod plan;
pub mod ports;
pub mod publication;
pub mod pull;
pub mod requirement;
pub mod run;
pub mod stack;
pub mod survey;
pub mod time;
pub mod who;
pub mod window;
