//! Integration tests of the runner: one binary.

mod applying;
mod engine;
mod executor;
mod lab;
mod process;
mod reading;
mod state;
mod tools;
