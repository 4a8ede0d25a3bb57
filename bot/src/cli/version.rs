//! `buildit version`.

use super::Exit;

/// Nothing to choose.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Prints `buildit X.Y.Z`.
pub(crate) fn run(_: &Args) -> Exit {
    println!("buildit {}", env!("CARGO_PKG_VERSION"));
    Exit::Clean
}
