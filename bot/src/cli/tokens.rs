//! `buildit tokens …` and `buildit audit`: on the server's own machine, over its database.
//!
//! Owns the arguments and what is printed. Whoever can open the database and the keys may do everything here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use model::id::RepoName;
use model::time::Timestamp;
use reconciler::audit::{Actor, Audit, AuditError};
use reconciler::tokens::{ApiToken, Bound, NewToken, Scope, Tokens, TokensError};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::Exit;
use super::remote::{Format, table};
use crate::app::data;
use crate::clock::{SystemClock, UuidIds};
use crate::settings::{Settings, Sources};

/// Where the server's database and keys are.
#[derive(Debug, Args)]
pub struct HereArgs {
    /// The server's settings file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// Arguments of `tokens`.
#[derive(Debug, Args)]
pub struct TokensArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an API token; it is shown once
    Create {
        /// What it will be called
        #[arg(long)]
        name: String,
        /// Whose it will be, such as a login of GitHub
        #[arg(long)]
        owner: String,
        /// What it is good for: read, plan, apply, state:read, state:write, secrets, admin (several times)
        #[arg(long = "scope", required = true, value_parser = scope)]
        scopes: Vec<Scope>,
        /// Good in one repository only
        #[arg(long, value_name = "OWNER/NAME")]
        repo: Option<RepoName>,
        /// Good in the repositories of one organisation or user only
        #[arg(long, value_name = "OWNER", conflicts_with = "repo")]
        org: Option<String>,
        /// For how long, such as 90d or 12h; never: until it is revoked
        #[arg(long, default_value = "90d", value_parser = lasts)]
        expires: Lasts,
        #[command(flatten)]
        here: HereArgs,
    },
    /// All tokens, without themselves
    List {
        #[command(flatten)]
        here: HereArgs,
    },
    /// End a token
    Revoke {
        /// Its name or id
        token: String,
        #[command(flatten)]
        here: HereArgs,
    },
}

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    here: HereArgs,
}

/// For how long a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lasts(Option<Duration>);

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        format!("no scope is called so; write one of {}", known.join(", "))
    })
}

fn lasts(text: &str) -> Result<Lasts, String> {
    if text == "never" {
        return Ok(Lasts(None));
    }
    let wrong = || "write days or hours, such as 90d or 12h, or never".to_owned();
    let (number, unit) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(days), _) => (days, 24 * 3600),
        (None, Some(hours)) => (hours, 3600),
        (None, None) => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit).filter(|seconds| (1..=100 * 365 * 24 * 3600).contains(seconds));
    Ok(Lasts(Some(Duration::from_secs(seconds.ok_or_else(wrong)?))))
}

impl HereArgs {
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        let flags: BTreeMap<&'static str, String> = self.data_dir.iter().map(|dir| ("data_dir", dir.clone())).collect();
        Ok(Settings::read(Sources::of_process(self.config.as_deref(), flags)?)?)
    }
}

/// Runs `tokens …`.
///
/// # Errors
/// Wrong use, or a database that cannot be opened.
pub fn run(args: TokensArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let here = match &args.command {
        Command::Create { here, .. } | Command::List { here } | Command::Revoke { here, .. } => here,
    };
    let (settings, format) = (here.settings()?, here.format);
    runtime.block_on(async {
        let (store, seal) = data::attach(&settings.data_dir, &settings.database).await?;
        let tokens = Tokens::new(store.clone(), seal, Arc::new(SystemClock::new()), Arc::new(UuidIds::new()));
        let done = match args.command {
            Command::Create { name, owner, scopes, repo, org, expires, .. } => {
                let scopes: BTreeSet<Scope> = scopes.into_iter().collect();
                let bound = match (repo, org) {
                    (Some(repo), _) => tokens.repository(&repo).await.map_err(told)?,
                    (None, Some(org)) => Bound::Owner(org),
                    (None, None) => Bound::Everywhere,
                };
                create(&tokens, NewToken { name, owner, scopes, bound, lasts: expires.0 }, format, out).await
            }
            Command::List { .. } => list(&tokens, format, out).await,
            Command::Revoke { token, .. } => revoke(&tokens, &token, format, out).await,
        };
        store.close().await;
        done
    })
}

fn told(error: TokensError) -> anyhow::Error {
    let help = match &error {
        TokensError::NoRepository { .. } => "install the App there, or open a pull request; then the server knows it",
        TokensError::NoToken { .. } | TokensError::Several { .. } => "buildit tokens list shows names and ids",
        _ => return error.into(),
    };
    anyhow::anyhow!("{error}\n  do: {help}")
}

async fn create(tokens: &Tokens, new: NewToken, format: Format, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let (token, text) = tokens.create(new, &Actor::command_line()).await.map_err(told)?;
    match format {
        Format::Text => {
            let until = token
                .expires_at
                .map_or_else(|| "good until it is revoked".to_owned(), |at| format!("until {}", day(at)));
            writeln!(out, "{}", text.expose_secret())?;
            eprintln!("{}: {}, {until}; it is shown this once", token.name, words(&token.scopes));
        }
        Format::Json => {
            let mut shown = shown(&token);
            shown["token"] = text.expose_secret().into();
            writeln!(out, "{shown}")?;
        }
    }
    Ok(Exit::Clean.into())
}

async fn list(tokens: &Tokens, format: Format, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let all = tokens.list().await?;
    if format == Format::Json {
        let all: Vec<_> = all.iter().map(shown).collect();
        writeln!(out, "{}", json!({ "tokens": all }))?;
        return Ok(Exit::Clean.into());
    }
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    table(out, &["name", "owner", "scopes", "where", "until", "used", "id"], &rows)?;
    Ok(Exit::Clean.into())
}

async fn revoke(tokens: &Tokens, which: &str, format: Format, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match tokens.revoke(which, &Actor::command_line()).await {
        Ok(token) if format == Format::Json => writeln!(out, "{}", shown(&token))?,
        Ok(token) => writeln!(out, "{} is good for nothing any more", token.name)?,
        Err(error @ TokensError::NoToken { .. }) => {
            eprintln!("error: {}", told(error));
            return Ok(Exit::Findings.into());
        }
        Err(error) => return Err(told(error)),
    }
    Ok(Exit::Clean.into())
}

fn words(scopes: &BTreeSet<Scope>) -> String {
    scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
}

fn place(bound: &Bound) -> String {
    match bound {
        Bound::Everywhere => "everywhere".to_owned(),
        Bound::Owner(owner) => format!("{owner}/*"),
        Bound::Repository(repo) => format!("repository {repo}"),
    }
}

fn row(token: &ApiToken) -> Vec<String> {
    let until = match (token.revoked_at, token.expires_at) {
        (Some(at), _) => format!("revoked {}", day(at)),
        (None, Some(at)) => day(at),
        (None, None) => "revoked by hand".to_owned(),
    };
    let used = token.used_at.map(day).unwrap_or_default();
    let (name, owner) = (token.name.clone(), token.owner.clone());
    vec![name, owner, words(&token.scopes), place(&token.bound), until, used, token.id.clone()]
}

fn shown(token: &ApiToken) -> serde_json::Value {
    json!({
        "id": token.id,
        "name": token.name,
        "owner": token.owner,
        "scopes": token.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>(),
        "where": place(&token.bound),
        "created_at": instant(token.created_at),
        "created_by": token.created_by,
        "expires_at": token.expires_at.map(instant),
        "used_at": token.used_at.map(instant),
        "revoked_at": token.revoked_at.map(instant),
    })
}

fn instant(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map(|at| at.to_string()).unwrap_or_default()
}

fn day(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(at.micros());
    at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

/// Runs `audit`: all entries, each held against the one before; 1 when they do not fit.
///
/// # Errors
/// Wrong use, or a database that cannot be opened.
pub fn audit(args: &AuditArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settings = args.here.settings()?;
    runtime.block_on(async {
        let (store, seal) = data::attach(&settings.data_dir, &settings.database).await?;
        let mut rows = Vec::new();
        let read = Audit::new(store.clone(), seal).read(|entry| rows.push(entry)).await;
        store.close().await;
        for it in &rows {
            let line = match args.here.format {
                Format::Text => {
                    let token = it.token.as_ref().map(|id| format!(" (token {id})")).unwrap_or_default();
                    format!(
                        "{:>6}  {}  {}{token}  {}  {}  {}",
                        it.seq,
                        day(it.at),
                        it.actor,
                        it.action,
                        it.place,
                        it.detail
                    )
                }
                Format::Json => json!({
                    "seq": it.seq, "at": instant(it.at), "actor": it.actor, "token": it.token,
                    "action": it.action, "place": it.place, "detail": it.detail,
                })
                .to_string(),
            };
            writeln!(out, "{line}")?;
        }
        match read {
            Ok(count) => {
                eprintln!("{count} entries, each as it was written");
                Ok(Exit::Clean.into())
            }
            Err(error @ AuditError::Damaged { .. }) => {
                eprintln!("error: {error}\n  do: restore the database from a backup, and find out who changed it");
                Ok(Exit::Findings.into())
            }
            Err(error) => Err(error.into()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_scopes_are_read_or_told() {
        let days = |text| lasts(text).map(|it| it.0.map(|it| it.as_secs()));
        assert_eq!(days("90d"), Ok(Some(90 * 24 * 3600)));
        assert_eq!(days("12h"), Ok(Some(12 * 3600)));
        assert_eq!(days("never"), Ok(None));
        for wrong in ["", "d", "0d", "-1d", "5", "5m", "99999999999999d"] {
            assert!(lasts(wrong).is_err(), "{wrong}");
        }
        assert_eq!(scope("state:write"), Ok(Scope::StateWrite));
        assert!(scope("write").expect_err("none").contains("state:read, state:write"));
    }
}
