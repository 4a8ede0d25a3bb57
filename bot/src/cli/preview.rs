//! `buildit preview`: runs what a pull request would run, on a clone on this disk, and prints the comment.
//!
//! Owns the arguments, what is wrong with them, the lines of progress and the forms of the answer. It plans what
//! is committed; nothing is written outside of a temporary directory.

mod environment;
mod progress;
mod report;

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use model::id::StackName;
use model::mask::Masker;
use model::ports::Clock as _;
use model::survey::Survey;
use runner::source::LocalClone;

use super::{Exit, clone, tools};
use crate::app::preview::{Ended, PreviewJob};
use crate::clock::SystemClock;
use crate::local::Preview;
use crate::render::words::count;
use progress::Progress;

/// How a process ends that a person stopped with Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Arguments of `preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// What the change would be merged into; without it origin's default branch, else main or master
    #[arg(long, value_name = "REF")]
    pub base: Option<String>,
    /// The branch or commit with the change; without it what is checked out
    #[arg(long, value_name = "REF")]
    pub head: Option<String>,
    /// A clone of the repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub repo: PathBuf,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// The terraform or tofu to plan with, and no other
    #[arg(long, value_name = "PATH")]
    pub tool: Option<PathBuf>,
    /// Plan this stack, affected or not; may be repeated
    #[arg(short = 'p', value_name = "STACK")]
    pub stacks: Vec<String>,
    /// Let the tool see this variable of your environment too; may be repeated
    #[arg(long = "env", value_name = "NAME")]
    pub environment: Vec<String>,
}

/// Forms of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain text
    Human,
    /// The comment as on GitHub
    Markdown,
    /// For programs
    Json,
}

/// Plans and writes the answer to `out`. An error is wrong use: exit code 2.
pub fn run(args: &PreviewArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(previewed(args, out))
}

async fn previewed(args: &PreviewArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    // From here on Ctrl-C ends what was begun instead of the process.
    let stop = crate::app::stop_signal()?;
    let here = clone::open(&args.repo, "--repo")?;
    let preview = sides(args, &here)?;
    let survey = crate::app::preview::survey(&args.repo, &preview).await;
    let survey = survey.map_err(|error| clone::unreadable(error, &preview.base_branch, &preview.head_branch))?;
    let stacks = check(args, &here, &preview, &survey)?;
    let iac = tools::iac(args.tool.as_deref(), tools::personal()).await?;
    tools::default(&iac, args.tool.as_deref()).await?;
    progress::begin(&preview, uncommitted(args, &here)?);
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    let environment = environment::passing(names(), &args.environment);
    let secrets: Vec<String> = environment
        .iter()
        .filter(|name| environment::is_secret(name))
        .filter_map(|name| std::env::var(name).ok())
        .collect();
    let job = PreviewJob {
        clone: args.repo.clone(),
        preview: preview.clone(),
        stacks,
        iac,
        environment,
        masks: Masker::new(secrets.iter().map(String::as_str)),
        slots: std::thread::available_parallelism()
            .map_or(2, |cores| u32::try_from(cores.get()).unwrap_or(8).clamp(2, 8)),
    };
    let ended = crate::app::preview::run(job, &mut |published| progress.show(published), stop).await;
    progress.end();
    match ended? {
        Ended::Interrupted => {
            eprintln!("stopped: its jobs were ended, nothing is left");
            Ok(ExitCode::from(INTERRUPTED))
        }
        Ended::Done(published) => {
            out.write_all(report::text(args.format, &preview, &published)?.as_bytes())?;
            let found = if report::is_good(&published) { Exit::Clean } else { Exit::Findings };
            Ok(found.into())
        }
    }
}

fn sides(args: &PreviewArgs, here: &LocalClone) -> anyhow::Result<Preview> {
    let head = clone::head(here, args.head.as_deref())?;
    let base = clone::base(here, args.base.as_deref())?;
    anyhow::ensure!(
        base.commit != head.commit,
        "{} and {} are the same commit ({}): there is no change to preview\n  do: commit on a branch, or name another base, such as --base {}~1",
        base.name,
        head.name,
        head.commit.short(),
        base.name
    );
    Ok(Preview {
        name: clone::name(here)?,
        path: args.repo.display().to_string(),
        base: base.commit,
        base_branch: base.name,
        head: head.commit,
        head_branch: head.name,
        at: SystemClock::new().now(),
    })
}

/// What is known to be wrong before anything runs; the stacks that were asked for.
fn check(args: &PreviewArgs, here: &LocalClone, preview: &Preview, survey: &Survey) -> anyhow::Result<Vec<StackName>> {
    if !survey.configured {
        let written = here.working_tree().is_some_and(|tree| tree.join(".buildit").is_dir());
        let (what, how) = if written {
            (", only in the working tree", "git add .buildit && git commit")
        } else {
            ("", "buildit init, then commit what it wrote")
        };
        anyhow::bail!(
            "no .buildit/ in {} or {}{what}: no stack would be planned\n  do: {how}",
            preview.base_branch,
            preview.head_branch
        );
    }
    let named = args.stacks.iter().map(|text| {
        let name = StackName::parse(text)?;
        let known: Vec<&str> = survey.stacks.iter().map(|one| one.stack.name.as_str()).take(20).collect();
        // With errors in the configuration no stack can be known.
        if !survey.diagnostics.has_errors() && survey.stack(&name).is_none() {
            let known = if known.is_empty() { "this repository has no stacks".to_owned() } else { known.join(", ") };
            anyhow::bail!("no stack is named {name}\n  do: one of {known}");
        }
        Ok(name)
    });
    named.collect()
}

fn names() -> Vec<String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

/// What is not planned though it is there; only said of what is checked out.
fn uncommitted(args: &PreviewArgs, here: &LocalClone) -> anyhow::Result<Option<String>> {
    if args.head.is_some() {
        return Ok(None);
    }
    let files = here.uncommitted()?;
    let is = if files == 1 { "is" } else { "are" };
    Ok((files > 0).then(|| format!("{} {is} not committed, and so not planned", count(files, "file"))))
}
