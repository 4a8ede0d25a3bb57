//! `buildit explain [STACK]`: which stacks a change affects, and the file, rule and line that decided.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use model::affected::{Affected, AffectedStack};
use model::id::{RepoId, StackName};
use model::ports::{Source as _, SurveyRequest};
use model::survey::Survey;
use runner::source::GitSource;

use super::{Exit, clone};
use crate::render::words::count;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Only this stack
    pub stack: Option<String>,
    /// The branch or commit that the change would be merged into
    #[arg(long, default_value = "main")]
    pub base: String,
    /// The branch or commit with the change
    #[arg(long, default_value = "HEAD")]
    pub head: String,
    /// A clone of the repository
    #[arg(short = 'C', long = "directory", default_value = ".")]
    pub directory: PathBuf,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Forms of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// For programs
    Json,
}

/// Writes the answer. An error is wrong use: exit code 2.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let survey = survey(args)?;
    anyhow::ensure!(
        survey.configured,
        "no .buildit/ in {} or {}: no stack would be planned\n  do: write .buildit/stacks.kdl; its shortest form is one line: discover",
        args.base,
        args.head
    );
    let affected = match &args.stack {
        Some(text) => {
            let name = StackName::parse(text)?;
            let one = only(&survey, &name);
            one.ok_or_else(|| anyhow::anyhow!("no stack is named {name}\n  do: {}", known(&survey)))?
        }
        None => survey.affected.clone(),
    };
    let text = match args.format {
        Format::Json => serde_json::to_string_pretty(&affected)? + "\n",
        Format::Human => human(args, &survey, &affected),
    };
    out.write_all(text.as_bytes())?;
    Ok(Exit::Clean)
}

fn survey(args: &ExplainArgs) -> anyhow::Result<Survey> {
    let clone = clone::open(&args.directory, "-C")?;
    let base = clone::side(&clone, "--base", &args.base)?.commit;
    let head = clone::side(&clone, "--head", &args.head)?.commit;
    let name = clone::name(&clone)?;
    let request = SurveyRequest {
        repo: RepoId::new(0),
        name,
        base: base.clone(),
        base_branch: args.base.clone(),
        default_tip: base,
        default_branch: args.base.clone(),
        head,
        test_merge: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let survey = runtime.block_on(GitSource::over_clone(&args.directory).survey(request));
    survey.map_err(|error| clone::unreadable(error, &args.base, &args.head))
}

/// What the answer says of one stack; `None` when no stack has that name.
fn only(survey: &Survey, name: &StackName) -> Option<Affected> {
    let keep = |list: &[AffectedStack]| -> Vec<AffectedStack> {
        list.iter().filter(|one| &one.stack == name).cloned().collect()
    };
    let (affected, removed) = (keep(&survey.affected.affected), keep(&survey.affected.removed));
    let known = survey.stack(name).is_some() || !removed.is_empty();
    known.then(|| Affected { affected, removed, ..Affected::default() })
}

fn known(survey: &Survey) -> String {
    let names: Vec<&str> = survey.stacks.iter().map(|one| one.stack.name.as_str()).take(20).collect();
    if names.is_empty() { "this repository has no stacks".to_owned() } else { format!("one of {}", names.join(", ")) }
}

fn human(args: &ExplainArgs, survey: &Survey, affected: &Affected) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if survey.plan_tree.is_none() {
        let files: Vec<&str> = survey.conflicts.iter().map(model::id::RelPath::as_str).collect();
        writeln!(text, "{} does not merge into {}: conflicts in {}\n", args.head, args.base, files.join(", ")).ok();
    }
    for one in &affected.affected {
        stack(&mut text, "affected", one);
    }
    for one in &affected.removed {
        stack(&mut text, "removed", one);
    }
    if let (Some(name), true) = (&args.stack, affected.affected.is_empty() && affected.removed.is_empty()) {
        writeln!(text, "{name} is not affected: {} and none belongs to it, to a module", changed(survey)).ok();
        writeln!(text, "or file that it reads, or matches its `watch`.").ok();
        return text;
    }
    for path in &affected.unclaimed {
        writeln!(text, "belongs to no stack: {path}  (name it with `watch` if one reads it)").ok();
    }
    for finding in &affected.diagnostics {
        writeln!(text, "{}: {}", finding.code, finding.summary).ok();
    }
    if args.stack.is_none() {
        let (affected, removed) = (affected.affected.len(), affected.removed.len());
        let of = count(survey.stacks.len(), "stack");
        writeln!(text, "{affected} of {of} affected, {removed} removed, by {}", changed(survey)).ok();
    }
    text
}

fn stack(text: &mut String, word: &str, one: &AffectedStack) {
    // Writing to a String cannot fail.
    let path = if one.path.is_root() { "." } else { one.path.as_str() };
    writeln!(text, "{word}  {}  ({path})", one.stack).ok();
    for why in &one.why {
        let at = why.at.as_ref().map_or_else(String::new, |at| format!("   {at}"));
        writeln!(text, "    {:<48} {}{at}", why.file, why.rule).ok();
    }
}

fn changed(survey: &Survey) -> String {
    count(survey.changed.len(), "changed file")
}
