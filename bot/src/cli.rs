//! The command line of `buildit`: which words there are, and how a command's end becomes an exit code.
//!
//! Owns: the list of subcommands and the exit codes (0 clean, 1 findings, 2 wrong use or an error). Each
//! subcommand has a room of its own with `Args` and `run`.

pub mod check;
pub mod clone;
pub mod demo;
pub mod diagnostics;
pub mod explain;
pub mod fmt;
pub mod folder;
pub mod init;
pub mod job;
pub mod keys;
pub mod preview;
pub mod remote;
pub mod serve;
pub mod show;
pub mod tokens;
pub mod tools;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing to complain about: 0.
    Clean,
    /// It worked and found something: 1.
    Findings,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Clean => ExitCode::SUCCESS,
            Exit::Findings => ExitCode::from(1),
        }
    }
}

#[derive(Debug, Parser)]
#[command(
    name = "buildit",
    version,
    about = "Plans terraform and OpenTofu for pull requests, on your own machine",
    after_help = "Exit codes: 0 clean, 1 findings, 2 wrong use or an error",
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write .buildit/stacks.kdl from what the folder holds
    Init(init::InitArgs),
    /// Validate .buildit/
    Check(check::CheckArgs),
    /// Format .buildit/
    Fmt(fmt::FmtArgs),
    /// Say which stacks a change affects, and the file, rule and line that decided
    Explain(explain::ExplainArgs),
    /// Show the whole way of a pull request on this machine, without a GitHub account
    Demo(demo::DemoArgs),
    /// Plan what a change affects, on a clone on this disk, and print the comment
    Preview(preview::PreviewArgs),
    /// Run the server: webhooks, plans, pages
    Serve(serve::ServeArgs),
    /// List, read and mend states that a server keeps
    State(remote::state::StateArgs),
    /// Set, list and remove secrets on a server
    Secrets(remote::secrets::SecretsArgs),
    /// Make, list and end API tokens (on the server's machine)
    Tokens(tokens::TokensArgs),
    /// Change the keys that seal what the server keeps (on the server's machine)
    Keys(keys::KeysArgs),
    /// Write the audit log, and say whether it is as it was written (on the server's machine)
    Audit(tokens::AuditArgs),
    /// Render a plan document as the comment on GitHub would
    Show(show::ShowArgs),
    /// Print the version
    Version(version::Args),
    /// Run one job (started by the server, not by people)
    #[command(hide = true)]
    Job {
        /// The job's directory, with its spec
        directory: PathBuf,
    },
}

/// Runs the command line of the process.
pub fn main() -> ExitCode {
    // clap ends the process by itself: 0 for help, 2 for wrong use.
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", error_text(&error));
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let findings = |found: bool| if found { Exit::Findings } else { Exit::Clean };
    match command {
        Command::Init(args) => {
            init::run(&args, &mut std::io::stdout().lock())?;
            Ok(Exit::Clean.into())
        }
        Command::Check(args) => Ok(findings(check::run(&args, &mut std::io::stdout().lock())?).into()),
        Command::Fmt(args) => Ok(findings(fmt::run(&args, &mut std::io::stdout().lock())?).into()),
        Command::Explain(args) => Ok(explain::run(&args, &mut std::io::stdout().lock())?.into()),
        Command::Demo(args) => Ok(demo::run(&args, &mut std::io::stdout().lock())?.into()),
        Command::Preview(args) => preview::run(&args, &mut std::io::stdout().lock()),
        Command::Serve(args) => {
            serve::run(&args)?;
            Ok(Exit::Clean.into())
        }
        Command::State(args) => remote::state::run(args, &mut std::io::stdout().lock()),
        Command::Secrets(args) => remote::secrets::run(args, &mut std::io::stdout().lock()),
        Command::Tokens(args) => tokens::run(args, &mut std::io::stdout().lock()),
        Command::Keys(args) => keys::run(args, &mut std::io::stdout().lock()),
        Command::Audit(args) => tokens::audit(&args, &mut std::io::stdout().lock()),
        Command::Show(args) => {
            show::run(&args, &mut std::io::stdout().lock())?;
            Ok(Exit::Clean.into())
        }
        Command::Version(args) => Ok(version::run(&args).into()),
        Command::Job { directory } => Ok(job::run(&directory)),
    }
}

/// `error: what`, then the causes, each on its line. A message that brings its own lines keeps them.
fn error_text(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !last.contains(&cause) {
            text.push_str(&format!("\n  {cause}"));
        }
        last = cause;
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_error_shows_its_causes_once() {
        let error = anyhow::anyhow!("no such file").context("the settings cannot be read: no such file");
        insta::assert_snapshot!(error_text(&error), @"error: the settings cannot be read: no such file");
        let error = anyhow::anyhow!("no such file").context("the settings cannot be read");
        insta::assert_snapshot!(error_text(&error), @r"
        error: the settings cannot be read
          no such file
        ");
    }
}
