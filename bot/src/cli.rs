//! The commands of `buildit`. Each room holds one command: its arguments, its texts, its exit code.

pub mod job;
pub mod show;
