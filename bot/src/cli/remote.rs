//! Commands that ask a server over its API: `buildit state …` and `buildit secrets …`.
//!
//! Owns their common arguments and how answers are written. What the server refuses because it is not so ends with 1, all
//! else with 2.

pub mod secrets;
pub mod state;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use secrecy::SecretString;
use serde_json::Value;

use super::Exit;
use crate::app::remote::{Refused, Remote};

/// Which server.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The server's URL
    #[arg(long, env = "BUILDIT_SERVER", value_name = "URL")]
    pub server: String,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The variable that holds the token; never an argument, which others can see.
const TOKEN: &str = "BUILDIT_TOKEN";

impl ServerArgs {
    fn connect(&self) -> anyhow::Result<Remote> {
        let token = std::env::var(TOKEN).unwrap_or_default();
        anyhow::ensure!(
            !token.trim().is_empty(),
            "{TOKEN} is not set\n  do: make a token on the server's machine (buildit tokens create), and put it into {TOKEN}"
        );
        Remote::new(&self.server, SecretString::from(token.trim().to_owned()))
    }
}

/// Runs a command to its exit code.
///
/// # Errors
/// Wrong use, or a server that does not answer as one.
fn finish(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(work) {
        Ok(()) => Ok(Exit::Clean.into()),
        Err(error) => match error.downcast_ref::<Refused>() {
            Some(refused) if refused.is_finding() => {
                eprintln!("error: {refused}");
                Ok(Exit::Findings.into())
            }
            _ => Err(error),
        },
    }
}

/// A text of an answer.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A time of an answer, for people.
fn when(value: &Value, name: &str) -> String {
    let at: Option<jiff::Timestamp> = text(value, name).parse().ok();
    at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

/// Rows below their headings, in columns.
pub(super) fn table(out: &mut dyn Write, headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let headings: Vec<String> = headings.iter().map(|text| text.to_uppercase()).collect();
    for row in std::iter::once(&headings).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A part of a path.
fn segment(text: &str) -> String {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if fine(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
