//! `buildit check [DIR]`: everything that is wrong with `.buildit/`, and what it comes to.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use model::config::{ResolveInput, Resolved, parse, resolve};
use model::diagnostic::Diagnostics;
use model::stack::NotYet;
use serde_json::json;

use super::folder;
use crate::cli::diagnostics;
use crate::render::words::count;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The repository's folder
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Show the effective configuration with the file and line of each value
    #[arg(long)]
    pub explain: bool,
    /// Count warnings as errors
    #[arg(long)]
    pub deny_warnings: bool,
}

/// Forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// With excerpts of the source
    Human,
    /// For programs
    Json,
    /// Workflow commands of GitHub Actions
    Github,
}

/// Writes the findings to `out`; true when one is an error (exit code 1). An `Err` is wrong use: exit code 2.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<bool> {
    let files = folder::configuration(&args.dir)?;
    let repo = folder::name(&args.dir)?;
    let parsed = parse(&files);
    let layout = folder::layout(&args.dir)?;
    let resolved = resolve(ResolveInput { repo: &repo, config: &parsed.config, organisation: None, layout: &layout });
    let mut all = parsed.diagnostics;
    all.extend(resolved.diagnostics.clone());
    all.sort();
    let failed = all.has_errors() || (args.deny_warnings && !all.is_empty());
    let sources: BTreeMap<String, String> = files.into_iter().map(|file| (file.path, file.text)).collect();
    let not_yet = parsed.config.not_yet();
    let text = match args.format {
        Format::Human => human(args, &all, &sources, &resolved, not_yet),
        Format::Github => diagnostics::github(&all),
        Format::Json => machine(args, &all, &resolved, not_yet)?,
    };
    out.write_all(text.as_bytes())?;
    Ok(failed)
}

fn human(
    args: &CheckArgs,
    all: &Diagnostics,
    sources: &BTreeMap<String, String>,
    resolved: &Resolved,
    not_yet: &[NotYet],
) -> String {
    let mut text = diagnostics::human(all, sources, std::io::stdout().is_terminal());
    if args.explain {
        for (name, values) in &resolved.explained {
            text.push_str(&format!("{name}\n"));
            for value in values {
                let at =
                    value.at.as_ref().map_or_else(|| "built in".to_owned(), |at| format!("{}:{}", at.file, at.line));
                text.push_str(&format!("    {:<24} {:<32} {at}\n", value.key, value.value));
            }
        }
    }
    for later in not_yet {
        let at = later.at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
        text.push_str(&format!("note: {at}{} is valid; this version does not execute it\n", later.what));
    }
    let errors = all.errors().count();
    text.push_str(&format!(
        "{} in {}, {}, {}\n",
        count(resolved.stacks.len(), "stack"),
        count(sources.len(), "file"),
        count(errors, "error"),
        count(all.len() - errors, "warning")
    ));
    text
}

fn machine(args: &CheckArgs, all: &Diagnostics, resolved: &Resolved, not_yet: &[NotYet]) -> anyhow::Result<String> {
    let mut document = json!({ "diagnostics": all, "stacks": resolved.stacks, "not_yet": not_yet });
    if args.explain {
        let explained: BTreeMap<String, serde_json::Value> = resolved
            .explained
            .iter()
            .map(|(name, values)| {
                let values: Vec<_> =
                    values.iter().map(|v| json!({ "key": v.key, "value": v.value, "at": v.at })).collect();
                (name.to_string(), json!(values))
            })
            .collect();
        document["explained"] = json!(explained);
    }
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checked(config: &str, format: Format, explain: bool) -> (bool, String) {
        let dir = tempfile::tempdir().expect("folder");
        fs::create_dir_all(dir.path().join(".buildit")).expect("folder");
        fs::create_dir_all(dir.path().join("infra/net")).expect("folder");
        fs::write(dir.path().join(".buildit/stacks.kdl"), config).expect("file");
        fs::write(dir.path().join("infra/net/main.tf"), "terraform {\n  backend \"s3\" {}\n}\n").expect("file");
        let args = CheckArgs { dir: dir.path().to_owned(), format, explain, deny_warnings: false };
        let mut out = Vec::new();
        let failed = run(&args, &mut out).expect("runs");
        (failed, String::from_utf8(out).expect("text"))
    }

    #[test]
    fn a_clean_configuration_names_its_stacks() {
        let (failed, text) = checked("discover\n", Format::Human, true);
        assert!(!failed, "{text}");
        assert!(text.contains("infra/net") && text.contains("1 stack in 1 file, 0 errors, 0 warnings"), "{text}");
    }

    #[test]
    fn explain_names_the_line_of_a_value() {
        let (_, text) = checked("discover\ndefaults {\n    plan timeout=\"9m\"\n}\n", Format::Human, true);
        let line = text.lines().find(|line| line.contains("plan timeout")).expect("the value is listed");
        assert!(line.contains(".buildit/stacks.kdl:3"), "{line}");
    }

    #[test]
    fn an_error_fails_and_is_in_the_document() {
        let (failed, text) = checked("discover\naproval 2\n", Format::Json, false);
        assert!(failed);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value.pointer("/diagnostics/0/span/line"), Some(&json!(2)));
    }

    #[test]
    fn no_configuration_is_wrong_use() {
        let dir = tempfile::tempdir().expect("folder");
        let args =
            CheckArgs { dir: dir.path().to_owned(), format: Format::Human, explain: false, deny_warnings: false };
        let error = run(&args, &mut Vec::new()).expect_err("nothing to check").to_string();
        assert!(error.contains("buildit init"), "{error}");
    }
}
