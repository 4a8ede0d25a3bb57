//! `buildit job DIR`: what the process executor starts; see the crate `entry`.
//!
//! Must stay a plain call: no settings, no logging, no runtime. Its standard input is the start signal, its
//! standard output the job's lock.

use std::path::Path;
use std::process::ExitCode;

/// Runs the job of that directory to its end.
pub fn run(directory: &Path) -> ExitCode {
    ExitCode::from(entry::run(directory))
}
