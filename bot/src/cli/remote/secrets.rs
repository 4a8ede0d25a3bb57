//! `buildit secrets …`: names and values that stacks are bound to.
//!
//! Invariant: a value comes by standard input or a file, never as an argument, and is never written.

use std::io::{IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, Subcommand};
use model::id::{RepoName, SecretName};
use serde_json::{Value, json};

use super::{Format, ServerArgs, finish, segment, table, text, when};
use crate::app::remote::Verb;

/// Arguments of `secrets`.
#[derive(Debug, Args)]
pub struct SecretsArgs {
    #[command(subcommand)]
    command: Command,
}

/// Whose secrets, and where to ask.
#[derive(Debug, Args)]
struct Place {
    /// Of a repository, such as acme/infra
    #[arg(long, value_name = "OWNER/NAME", required_unless_present = "org")]
    repo: Option<RepoName>,
    /// Of an organisation or user: for all its repositories
    #[arg(long, value_name = "OWNER", conflicts_with = "repo")]
    org: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a secret; the value comes from standard input
    Set {
        name: SecretName,
        /// A file that holds the value
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Names and versions of what is set
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Remove a secret
    Rm {
        name: SecretName,
        #[command(flatten)]
        place: Place,
    },
}

impl Place {
    fn path(&self) -> String {
        match (&self.repo, &self.org) {
            (Some(repo), _) => format!("/api/v1/repos/{}/{}/secrets", repo.owner(), repo.name()),
            (None, org) => format!("/api/v1/orgs/{}/secrets", segment(org.as_deref().unwrap_or_default())),
        }
    }

    fn whose(&self) -> String {
        match (&self.repo, &self.org) {
            (Some(repo), _) => repo.to_string(),
            (None, org) => org.clone().unwrap_or_default(),
        }
    }
}

/// Runs `secrets …`.
///
/// # Errors
/// Wrong use, or a server that does not answer as one.
pub fn run(args: SecretsArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    finish(async move {
        match args.command {
            Command::Set { name, file, place } => set(&place, &name, file.as_deref(), out).await,
            Command::List { place } => list(&place, out).await,
            Command::Rm { name, place } => remove(&place, &name, out).await,
        }
    })
}

async fn set(place: &Place, name: &SecretName, file: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    let remote = place.server.connect()?;
    let value = read(name, file)?;
    let path = format!("{}/{name}", place.path());
    let answer = remote.ask(Verb::Put, &path, json!({ "value": value }).to_string().into()).await?;
    let answer: Value = serde_json::from_slice(&answer).context("the server did not answer in JSON")?;
    match place.server.format {
        Format::Text => writeln!(out, "{name} is set for {} (version {})", place.whose(), answer["version"])?,
        Format::Json => writeln!(out, "{answer}")?,
    }
    Ok(())
}

/// The value; of the one line's end that most programs write, nothing is left.
fn read(name: &SecretName, file: Option<&Path>) -> anyhow::Result<String> {
    let mut text = String::new();
    match file {
        Some(path) => {
            text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        }
        None if std::io::stdin().is_terminal() => {
            eprint!("value of {name}: ");
            text = hidden_line()?;
            eprintln!();
        }
        None => {
            std::io::stdin().read_to_string(&mut text).context("the value is no text")?;
        }
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// A line of the terminal that it does not show.
fn hidden_line() -> anyhow::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let terminal = std::io::stdin();
    let before = tcgetattr(&terminal)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
    let mut line = String::new();
    let read = terminal.read_line(&mut line);
    tcsetattr(&terminal, OptionalActions::Flush, &before)?;
    read?;
    Ok(line)
}

async fn list(place: &Place, out: &mut dyn Write) -> anyhow::Result<()> {
    let answer = place.server.connect()?.ask(Verb::Get, &place.path(), Bytes::new()).await?;
    let answer: Value = serde_json::from_slice(&answer).context("the server did not answer in JSON")?;
    if place.server.format == Format::Json {
        return Ok(writeln!(out, "{answer}")?);
    }
    let rows = answer["secrets"].as_array().into_iter().flatten().map(|it| {
        vec![text(it, "name").to_owned(), it["version"].to_string(), when(it, "changed_at"), text(it, "by").to_owned()]
    });
    table(out, &["name", "version", "set", "by"], &rows.collect::<Vec<_>>())
}

async fn remove(place: &Place, name: &SecretName, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = format!("{}/{name}", place.path());
    place.server.connect()?.ask(Verb::Delete, &path, Bytes::new()).await?;
    match place.server.format {
        Format::Text => writeln!(out, "{name} is removed from {}", place.whose())?,
        Format::Json => writeln!(out, "{}", json!({ "name": name, "removed": true }))?,
    }
    Ok(())
}
