//! `buildit state …`: states that a server keeps.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, Subcommand};
use model::id::{RepoName, StackName};
use serde_json::{Value, json};

use super::{Format, ServerArgs, finish, segment, table, text, when};
use crate::app::remote::Verb;

/// Arguments of `state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(subcommand)]
    command: Command,
}

/// The repository, and where to ask.
#[derive(Debug, Args)]
struct Place {
    /// The repository, such as acme/infra
    #[arg(long, value_name = "OWNER/NAME")]
    repo: RepoName,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Stacks whose states are kept there, with their locks
    List {
        #[command(flatten)]
        place: Place,
    },
    /// All versions of a stack's state, newest first
    Versions {
        stack: StackName,
        #[command(flatten)]
        place: Place,
    },
    /// Write the state, or a version of it
    Pull {
        stack: StackName,
        /// Which version; the state itself without it
        #[arg(long, value_name = "NUMBER")]
        version: Option<i64>,
        /// Where to; standard output without it
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Make the content of an earlier version the state again
    Rollback {
        stack: StackName,
        version: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Make a version that was refused the state
    Promote {
        stack: StackName,
        version: i64,
        #[command(flatten)]
        place: Place,
    },
    /// End a lock whose holder is dead
    Unlock {
        stack: StackName,
        /// The lock's id, as `list` shows it
        id: String,
        #[command(flatten)]
        place: Place,
    },
    /// Bring a state in (the file that `terraform state pull` wrote)
    Import {
        stack: StackName,
        /// The file; `-` is standard input
        file: PathBuf,
        /// In the place of what is there
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        place: Place,
    },
}

impl Place {
    async fn ask(&self, verb: Verb, what: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let path = format!("/api/v1/repos/{}/{}/state{what}", self.repo.owner(), self.repo.name());
        self.server.connect()?.ask(verb, &path, body).await
    }

    async fn json(&self, verb: Verb, what: &str, body: Bytes) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.ask(verb, what, body).await?).context("the server did not answer in JSON")
    }

    /// What was done, as a line or as the server said it.
    fn told(&self, out: &mut dyn Write, answer: &Value, line: &str) -> anyhow::Result<()> {
        match self.server.format {
            Format::Text => writeln!(out, "{line}")?,
            Format::Json => writeln!(out, "{answer}")?,
        }
        Ok(())
    }
}

/// Runs `state …`.
///
/// # Errors
/// Wrong use, or a server that does not answer as one.
pub fn run(args: StateArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    finish(async move {
        match args.command {
            Command::List { place } => list(&place, out).await,
            Command::Versions { stack, place } => versions(&place, &stack, out).await,
            Command::Pull { stack, version, output, place } => {
                pull(&place, &stack, version, output.as_deref(), out).await
            }
            Command::Rollback { stack, version, place } => again(&place, &stack, "rollback", version, out).await,
            Command::Promote { stack, version, place } => again(&place, &stack, "promote", version, out).await,
            Command::Unlock { stack, id, place } => unlock(&place, &stack, &id, out).await,
            Command::Import { stack, file, replace, place } => import(&place, &stack, &file, replace, out).await,
        }
    })
}

fn at(what: &str, stack: &StackName) -> String {
    format!("/{what}/{}", segment(stack.as_str()))
}

async fn list(place: &Place, out: &mut dyn Write) -> anyhow::Result<()> {
    let answer = place.json(Verb::Get, "", Bytes::new()).await?;
    if place.server.format == Format::Json {
        return Ok(writeln!(out, "{answer}")?);
    }
    let rows = answer["stacks"].as_array().into_iter().flatten().map(|it| {
        if let Some(error) = it["error"].as_str() {
            return vec![text(it, "stack").to_owned(), String::new(), String::new(), error.to_owned()];
        }
        let lock = match it["lock"].is_null() {
            true => String::new(),
            false => format!("{} since {}", text(&it["lock"], "holder"), when(&it["lock"], "since")),
        };
        let id = text(&it["lock"], "id");
        let note = match (id.is_empty(), it["frozen"].is_null()) {
            (false, _) => format!("lock {id}"),
            (true, false) => format!("frozen: {}", text(&it["frozen"], "why")),
            (true, true) => String::new(),
        };
        let head = match it["head"].is_null() {
            true => "none".to_owned(),
            false => format!("{} (serial {})", it["head"]["version"], it["head"]["serial"]),
        };
        vec![text(it, "stack").to_owned(), head, lock, note]
    });
    table(out, &["stack", "version", "locked by", "note"], &rows.collect::<Vec<_>>())
}

async fn versions(place: &Place, stack: &StackName, out: &mut dyn Write) -> anyhow::Result<()> {
    let answer = place.json(Verb::Get, &at("versions", stack), Bytes::new()).await?;
    if place.server.format == Format::Json {
        return Ok(writeln!(out, "{answer}")?);
    }
    let rows = answer["versions"].as_array().into_iter().flatten().map(|it| {
        let note = match (it["refused"].as_str(), it["from"].as_i64(), text(it, "origin")) {
            (Some(why), ..) => format!("refused: {why}"),
            (None, Some(from), origin) => format!("{origin} of {from}"),
            (None, None, "write") => String::new(),
            (None, None, origin) => origin.to_owned(),
        };
        let number = it["version"].to_string();
        let (standing, by) = (text(it, "standing").to_owned(), text(it, "by").to_owned());
        vec![number, standing, it["serial"].to_string(), when(it, "created_at"), by, note]
    });
    table(out, &["version", "standing", "serial", "written", "by", "note"], &rows.collect::<Vec<_>>())
}

async fn pull(
    place: &Place,
    stack: &StackName,
    version: Option<i64>,
    output: Option<&Path>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let query = version.map(|number| format!("?version={number}")).unwrap_or_default();
    let bytes = place.ask(Verb::Get, &(at("download", stack) + &query), Bytes::new()).await?;
    match output {
        Some(path) => std::fs::write(path, &bytes).with_context(|| format!("{} cannot be written", path.display())),
        None => Ok(out.write_all(&bytes)?),
    }
}

async fn again(place: &Place, stack: &StackName, what: &str, number: i64, out: &mut dyn Write) -> anyhow::Result<()> {
    let body = json!({ "version": number }).to_string();
    let answer = place.json(Verb::Post, &at(what, stack), body.into()).await?;
    let line = format!("version {} is the state of {stack}, serial {}", answer["version"], answer["serial"]);
    place.told(out, &answer, &line)
}

async fn unlock(place: &Place, stack: &StackName, id: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let body = json!({ "id": id }).to_string();
    let answer = place.json(Verb::Post, &at("unlock", stack), body.into()).await?;
    let line = format!("{stack} is unlocked; {} held it", text(&answer["unlocked"], "holder"));
    place.told(out, &answer, &line)
}

async fn import(
    place: &Place,
    stack: &StackName,
    file: &Path,
    replace: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    let query = if replace { "?replace=true" } else { "" };
    let answer = place.json(Verb::Post, &(at("import", stack) + query), bytes.into()).await?;
    let line = format!("version {} is the state of {stack}, serial {}", answer["version"], answer["serial"]);
    place.told(out, &answer, &line)
}
