//! Executors: where jobs run.
//!
//! One contract (`model::ports::Executor`), held by one suite in `runner/tests/it/executor.rs`.

mod process;
mod scripted;
mod unpack;

pub use process::Process;
pub use scripted::{Script, Scripted, ScriptedJob};
