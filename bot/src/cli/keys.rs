//! `buildit keys …`: the keys that seal what the server keeps, on its own machine.
//!
//! Owns the order in which a key is changed: it seals, everything is wrapped anew, the old one is retired. Each step can be
//! killed and run again. A key is never written to the terminal.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use model::ports::Clock as _;
use reconciler::audit::Actor;
use reconciler::rotation::{Progress, Rotation, RotationError};
use reconciler::seal::Seal;
use reconciler::store::{Dialect, Store};
use serde_json::json;

use super::Exit;
use super::remote::{Format, table};
use super::tokens::HereArgs;
use crate::app::data;
use crate::clock::SystemClock;
use crate::keys::{FileKeys, KeyFile, KeyFileBusy};

/// How often it says how far it is.
const TELL: u64 = 1000;

/// Arguments of `keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The keys, and how many values each seals
    List {
        #[command(flatten)]
        here: HereArgs,
    },
    /// Let a new key seal, and wrap everything anew; killed in the middle, it goes on when it is run again
    Rotate {
        /// Only make the key, so that it can be copied to the other servers first
        #[arg(long)]
        prepare: bool,
        #[command(flatten)]
        here: HereArgs,
    },
    /// Take the old keys away, once nothing needs them; they are kept in keys.retired for old backups
    Retire {
        /// Also when there are values that cannot be opened even with them
        #[arg(long)]
        lose_damaged: bool,
        #[command(flatten)]
        here: HereArgs,
    },
}

/// The key file, and what its keys seal.
struct Place<'a> {
    path: String,
    file: KeyFile,
    seal: Seal,
    store: &'a Store,
    format: Format,
}

/// Runs `keys …`.
///
/// # Errors
/// Wrong use, or a database or key file that cannot be opened.
pub fn run(args: KeysArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let here = match &args.command {
        Command::List { here } | Command::Rotate { here, .. } | Command::Retire { here, .. } => here,
    };
    let (settings, format) = (here.settings()?, here.format);
    runtime.block_on(async {
        let (store, _) = data::attach(&settings.data_dir, &settings.database).await?;
        let path = settings.data_dir.join("keys");
        let file = KeyFile::edit(&path)?.map_err(|KeyFileBusy| {
            anyhow::anyhow!("another buildit changes the keys of {}\n  do: wait for its end", path.display())
        })?;
        let seal = Seal::new(Arc::new(FileKeys::open(&path)?));
        let place = Place { path: path.display().to_string(), file, seal, store: &store, format };
        let done = match args.command {
            Command::List { .. } => list(place, out).await,
            Command::Rotate { prepare: true, .. } => prepare(place, out).await,
            Command::Rotate { .. } => rotate(place, out).await,
            Command::Retire { lose_damaged, .. } => retire(place, lose_damaged, out).await,
        };
        store.close().await;
        done
    })
}

async fn list(place: Place<'_>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let counts = Rotation::new(place.store.clone(), place.seal.clone()).counts().await?;
    let current = place.seal.current();
    let known: BTreeMap<&str, &str> = place
        .file
        .names()
        .map(|(id, prepared)| {
            (
                id,
                if id == current {
                    "seals"
                } else if prepared {
                    "prepared"
                } else {
                    "opens"
                },
            )
        })
        .collect();
    let mut rows: Vec<(String, &str, u64)> = known
        .iter()
        .map(|(id, what)| ((*id).to_owned(), *what, counts.get(&Some((*id).to_owned())).copied().unwrap_or_default()))
        .collect();
    for (id, count) in &counts {
        match id {
            Some(id) if known.contains_key(id.as_str()) => {}
            Some(id) => rows.push((id.clone(), "is not there", *count)),
            None => rows.push(("none".to_owned(), "no sealed value", *count)),
        }
    }
    let lost = rows.iter().any(|(_, what, _)| matches!(*what, "is not there" | "no sealed value"));
    match place.format {
        Format::Text => {
            let rows: Vec<_> =
                rows.into_iter().map(|(id, what, count)| vec![id, what.to_owned(), count.to_string()]).collect();
            table(out, &["key", "what", "values"], &rows)?;
        }
        Format::Json => {
            let rows: Vec<_> =
                rows.into_iter().map(|(id, what, count)| json!({ "key": id, "what": what, "values": count })).collect();
            writeln!(out, "{}", json!({ "keys": rows }))?;
        }
    }
    Ok(if lost { Exit::Findings.into() } else { Exit::Clean.into() })
}

async fn prepare(mut place: Place<'_>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let id = place.file.prepare()?;
    match place.format {
        Format::Text => writeln!(
            out,
            "{id} is in {path} and seals nothing yet\n  do: copy {path} to every server, then: buildit keys rotate",
            path = place.path
        )?,
        Format::Json => writeln!(out, "{}", json!({ "prepared": id }))?,
    }
    Ok(Exit::Clean.into())
}

async fn rotate(mut place: Place<'_>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let rotation = Rotation::new(place.store.clone(), place.seal.clone());
    let begun = place.file.begin()?;
    let current = place.seal.current();
    if let Some(id) = &begun {
        note(&rotation, "keys.rotate", format!("{id} seals")).await?;
    }
    let progress = rotation.run(teller()).await.map_err(told)?;
    let next = match place.store.dialect() {
        Dialect::Sqlite => format!("back up {}, then: buildit keys retire", place.path),
        Dialect::Postgres => format!(
            "back up {path}, copy it to every server, then on one of them: buildit keys retire",
            path = place.path
        ),
    };
    match place.format {
        Format::Text => writeln!(
            out,
            "{current} seals; {} values were wrapped anew, {} are under it\n  do: {next}",
            progress.rewrapped, progress.current
        )?,
        Format::Json => writeln!(out, "{}", shown(&current, &progress))?,
    }
    Ok(findings(&progress).into())
}

async fn retire(mut place: Place<'_>, lose_damaged: bool, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let rotation = Rotation::new(place.store.clone(), place.seal.clone());
    let current = place.seal.current();
    let old: Vec<String> = place.file.names().filter(|it| it.0 != current && !it.1).map(|it| it.0.to_owned()).collect();
    if old.is_empty() {
        eprintln!("error: there is no old key\n  do: to change the key: buildit keys rotate");
        return Ok(Exit::Findings.into());
    }
    let progress = rotation.finish(teller()).await.map_err(told)?;
    if findings(&progress) == Exit::Findings && !lose_damaged {
        eprintln!(
            "error: the old keys stay: these values are not under {current}\n  do: restore them, or give them up for ever: buildit keys retire --lose-damaged"
        );
        return Ok(Exit::Findings.into());
    }
    note(&rotation, "keys.retire", old.join(", ")).await?;
    let gone = place.file.retire()?;
    match place.format {
        Format::Text => writeln!(
            out,
            "{} opens nothing here any more; it is kept in {path}.retired for backups of before\n  do: back up {path}.retired apart from the database, and remove it when those backups are gone",
            gone.join(", "),
            path = place.path
        )?,
        Format::Json => {
            let mut shown = shown(&current, &progress);
            shown["retired"] = json!(gone);
            writeln!(out, "{shown}")?;
        }
    }
    Ok(Exit::Clean.into())
}

async fn note(rotation: &Rotation, action: &'static str, detail: String) -> anyhow::Result<()> {
    Ok(rotation.note(&Actor::command_line(), action, detail, SystemClock::new().now()).await?)
}

fn told(error: RotationError) -> anyhow::Error {
    let help = match &error {
        RotationError::Busy { .. } => "copy the key file to every server that uses this database, then run it again",
        RotationError::Seal(_) | RotationError::Store(_) | RotationError::Random => return error.into(),
    };
    anyhow::anyhow!("{error}\n  do: {help}")
}

/// Says how far a walk is, when it has gone on enough.
fn teller() -> impl FnMut(&Progress) {
    let mut last = 0;
    move |progress| {
        if progress.current / TELL != last {
            last = progress.current / TELL;
            eprintln!("{} values are under the new key", progress.current);
        }
    }
}

/// Tells of what cannot be opened.
fn findings(progress: &Progress) -> Exit {
    for what in &progress.damaged {
        eprintln!("damaged: {what}");
    }
    if progress.damaged.is_empty() { Exit::Clean } else { Exit::Findings }
}

fn shown(current: &str, progress: &Progress) -> serde_json::Value {
    json!({ "seals": current, "rewrapped": progress.rewrapped, "values": progress.current, "damaged": progress.damaged })
}
