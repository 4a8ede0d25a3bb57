//! The whole walk with the real terraform and OpenTofu in real processes, which outlive the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use model::id::JobName;
use model::job::{Cursor, JobEventKind};
use model::ports::Executor;
use model::stack::Tool;
use runner::exec::Process;

use super::machine::{Database, missing};
use super::server::BOUND;
use super::{Plan, Town, main_tf};

/// The program, when this machine has it.
pub(crate) fn program(tool: Tool) -> Option<PathBuf> {
    let named = match tool {
        Tool::OpenTofu => std::env::var_os("BUILDIT_TOFU").map(PathBuf::from),
        Tool::Terraform => None,
    };
    let found = named.filter(|path| path.is_file()).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(tool.program())).find(|path| path.is_file())
    });
    if found.is_none() {
        missing(tool.program(), "it is not on this machine; run dev/setup");
    }
    found
}

/// A town whose jobs are processes of this program.
fn town(program: &Path, folder: &Path) -> Town {
    let empty = main_tf(&[], "");
    let files = [(".buildit/stacks.kdl", "discover\n"), ("network/main.tf", &*empty), ("cache/main.tf", &*empty)];
    let jobs = folder.join("jobs");
    let executor = move || process(&jobs);
    Town::real(&Plan { files: &files, slots: 2 }, &Database::Sqlite, program, Arc::new(move || Arc::new(executor())))
}

fn process(jobs: &Path) -> Process {
    Process::new(jobs, vec![env!("CARGO_BIN_EXE_buildit").into(), "job".into()])
}

/// Names of all jobs that have a folder.
fn names(jobs: &Path) -> Vec<JobName> {
    let entries = std::fs::read_dir(jobs).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
    let mut names: Vec<JobName> = names.filter_map(|name| JobName::parse(name.to_str()?).ok()).collect();
    names.sort();
    names
}

/// What a person sees, without what differs from machine to machine; `version` as "terraform 1.11.4".
fn seen(town: &Town, version: &str) -> String {
    let shown = town.shown().replace(version, "<tool>");
    let words = shown.split(" · ").map(|part| {
        let number = part.strip_suffix(" s").or_else(|| part.strip_suffix(" ms"));
        let is_time = number.is_some_and(|number| number.parse::<f64>().is_ok());
        if is_time { "<time>" } else { part }
    });
    words.collect::<Vec<_>>().join(" · ")
}

fn version(program: &Path, town: &Town) -> String {
    let found = town.tools();
    let tool = found.iter().find(|it| it.path == program).expect("the program is found");
    format!("{} {}", tool.tool.name(), tool.version)
}

fn walk(tool: Tool) -> Option<String> {
    let program = program(tool)?;
    let folder = tempfile::tempdir().expect("a folder");
    let mut town = town(&program, folder.path());
    let files = [
        ("network/main.tf", &*main_tf(&[("vpc", "a")], "output \"id\" {\n  value = terraform_data.vpc.id\n}\n")),
        ("cache/main.tf", "terraform {\n  backend \"s3\" {}\n}\n"),
    ];
    let number = town.open("topic", "Grow", &files);
    town.settle();
    let version = version(&program, &town);
    let mut told = seen(&town, &version);
    town.commit("topic", "Mend", &[("cache/main.tf", &main_tf(&[], ""))]);
    town.settle();
    town.say(number, "ben", "buildit plan -p network");
    town.settle();
    told.push_str(&seen(&town, &version));
    assert_eq!(town.double.violations(), Vec::<String>::new());
    assert_eq!(names(&folder.path().join("jobs")), [], "ended jobs leave nothing on the disk");
    Some(told)
}

#[test]
fn a_person_reads_what_terraform_says() {
    if let Some(told) = walk(Tool::Terraform) {
        insta::assert_snapshot!(told);
    }
}

#[test]
fn a_person_reads_what_tofu_says() {
    if let Some(told) = walk(Tool::OpenTofu) {
        insta::assert_snapshot!(told);
    }
}

/// The program behind a gate: `plan` prints 5,000 lines, waits until the file is there, prints 5,000 more.
fn gated(program: &Path, folder: &Path) -> (PathBuf, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let (gate, path) = (folder.join("gate"), folder.join(program.file_name().expect("a name")));
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = plan ]; then\n  i=0\n  while [ $i -lt 5000 ]; do echo \"line $i\"; i=$((i+1)); done\n  \
         echo at the gate\n  while [ ! -e '{}' ]; do sleep 0.02; done\n  \
         while [ $i -lt 10000 ]; do echo \"line $i\"; i=$((i+1)); done\nfi\nexec '{}' \"$@\"\n",
        gate.display(),
        program.display()
    );
    std::fs::write(&path, script).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    (path, gate)
}

/// Until the job has ended, whoever else reads it.
fn ended(jobs: &Path, job: &JobName) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let all = async { process(jobs).events(job, Cursor::default()).collect::<Vec<_>>().await };
    let all = runtime.block_on(async { tokio::time::timeout(BOUND, all).await }).expect("it ends within the bound");
    let last = all.last().expect("events").as_ref().expect("an event");
    assert!(matches!(last.kind, JobEventKind::Ended(_)), "{last:?}");
}

#[test]
fn a_job_goes_on_without_its_server_and_its_log_is_whole() {
    let Some(program) = program(Tool::Terraform) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let jobs = folder.path().join("jobs");
    let (program, gate) = gated(&program, folder.path());
    let mut town = town(&program, folder.path());
    town.open("topic", "Grow", &[("network/main.tf", &main_tf(&[("vpc", "a")], ""))]);
    town.work();
    let all = names(&jobs);
    let job = all.first().expect("one job");
    town.until_logged(job, "at the gate\n");
    town.kill();
    std::fs::write(&gate, "").expect("opened");
    ended(&jobs, job);
    town.start();
    town.settle();
    let log = town.log(job);
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("line ")).collect();
    let expected: Vec<String> = (0..10_000).map(|number| format!("line {number}")).collect();
    assert_eq!(lines.len(), expected.len());
    assert!(lines.iter().zip(&expected).all(|(line, expected)| line == expected), "in order, each once");
    assert!(log.contains("Plan: 1 to add"), "{}", &log[log.len().saturating_sub(2000)..]);
    assert_eq!(names(&jobs), [], "it was found again, stored and removed");
    assert!(town.shown().contains("1 to add"), "{}", town.shown());
    assert_eq!(town.double.violations(), Vec::<String>::new());
}
