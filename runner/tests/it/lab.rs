//! What the suites need: executors of both kinds and jobs that do the same in both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use model::id::{FileName, JobName, RelPath};
use model::job::{Cursor, JobEnd, JobEvent, JobEventKind, JobSpec, SourceTree, Stdout, Step};
use model::ports::{Clock, ExecError, Executor, JobStatus};
use model::time::Timestamp;
use runner::exec::{Process, Script, Scripted, ScriptedJob};

/// No wait of a test is longer.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// What a job of the suite does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Step `a` prints "one", step `b` "three"; leaves `kept.txt`.
    Hello,
    /// Step `a` prints "bad" on standard error and ends with 3; `b` never runs.
    Fails,
    /// Prints "ready" and waits for its release; an interrupt ends it.
    Waits,
    /// Prints "ready" and goes on in spite of an interrupt.
    Stubborn,
    /// Step `a` is a program that is not there.
    Missing,
    /// Prints 100,000 bytes where 1,000 are kept.
    Huge,
}

pub(crate) trait Lab: Sync {
    fn executor(&self) -> Arc<dyn Executor>;
    /// As a server that was started anew would have it.
    fn reopened(&self) -> Arc<dyn Executor>;
    fn release(&self, job: &JobName);
    /// Makes the grace of an interrupted job end, where time does not do it.
    fn end_grace(&self, job: &JobName);
    /// Makes the timeout pass, where time does not do it.
    fn time_out(&self, job: &JobName);
}

pub(crate) fn job(name: &str) -> JobName {
    JobName::parse(name).expect("a job name")
}

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::parse(text).expect("a path")
}

pub(crate) fn file(name: &str) -> FileName {
    FileName::parse(name).expect("a file name")
}

pub(crate) fn shell(name: &str, script: &str) -> Step {
    Step {
        name: name.to_owned(),
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        dir: RelPath::root(),
        stdout: Stdout::Log,
        ok: vec![0],
    }
}

pub(crate) fn spec(steps: Vec<Step>) -> JobSpec {
    JobSpec {
        place: None,
        source: SourceTree::Empty,
        steps,
        env: BTreeMap::new(),
        secret_env: BTreeMap::new(),
        files: BTreeMap::new(),
        collect: BTreeMap::new(),
        timeout: Duration::from_secs(60),
        grace: Duration::from_secs(60),
        log_limit: 1 << 20,
    }
}

const WAIT: &str = "echo ready; while [ ! -e go ]; do sleep 0.02; done; echo released";

pub(crate) fn deed(deed: Deed) -> JobSpec {
    let mut spec = match deed {
        Deed::Hello => spec(vec![shell("a", "echo one; printf keep > kept.txt"), shell("b", "echo three")]),
        Deed::Fails => spec(vec![shell("a", "echo bad >&2; exit 3"), shell("b", "echo never")]),
        Deed::Waits => spec(vec![shell("a", &format!("trap 'exit 130' INT; {WAIT}"))]),
        Deed::Stubborn => spec(vec![shell("a", &format!("trap '' INT; {WAIT}"))]),
        Deed::Missing => {
            let mut step = shell("a", "");
            step.argv = vec!["/nowhere/program".to_owned()];
            spec(vec![step])
        }
        Deed::Huge => spec(vec![shell("a", "head -c 100000 /dev/zero | tr '\\0' x")]),
    };
    if deed == Deed::Huge {
        spec.log_limit = 1000;
    }
    spec.env.insert("DEED".to_owned(), format!("{deed:?}"));
    spec.collect.insert(file("kept.txt"), path("kept.txt"));
    spec.collect.insert(file("none.txt"), path("none.txt"));
    spec
}

/// Real processes below a temporary directory.
pub(crate) struct ProcessLab {
    pub(crate) root: tempfile::TempDir,
}

impl ProcessLab {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn process(&self) -> Process {
        Process::new(self.root.path().join("jobs"), vec![env!("CARGO_BIN_EXE_entry").into()])
    }

    pub(crate) fn directory(&self, job: &JobName) -> PathBuf {
        self.root.path().join("jobs").join(job.as_str())
    }
}

impl Drop for ProcessLab {
    fn drop(&mut self) {
        // No job outlives its test: entries obey this request.
        for entry in std::fs::read_dir(self.root.path().join("jobs")).into_iter().flatten().flatten() {
            let _ = std::fs::write(entry.path().join("kill"), b"");
        }
    }
}

impl Lab for ProcessLab {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(self.process())
    }
    fn reopened(&self) -> Arc<dyn Executor> {
        Arc::new(self.process())
    }
    fn release(&self, job: &JobName) {
        std::fs::write(self.directory(job).join("work/go"), b"").expect("released");
    }
    fn end_grace(&self, _: &JobName) {}
    fn time_out(&self, _: &JobName) {}
}

pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_000)
    }
}

/// The double, playing the same deeds.
pub(crate) struct ScriptedLab {
    pub(crate) scripted: Scripted,
}

impl ScriptedLab {
    pub(crate) fn new() -> Self {
        Self { scripted: Scripted::new(Arc::new(FixedClock), play) }
    }
}

fn play(job: &ScriptedJob) -> Script {
    match job.env.get("DEED").map(String::as_str) {
        Some("Hello") => Script::new().step("a", "one\n", 0).step("b", "three\n", 0).file("kept.txt", "keep"),
        Some("Fails") => Script::new().step_error("a", "bad\n", 3),
        Some("Waits") => Script::new().step("a", "ready\n", 0).waits(),
        Some("Stubborn") => Script::new().step("a", "ready\n", 0).waits().ignores_interrupt(),
        Some("Missing") => Script::new().cannot_start("the program \"/nowhere/program\" was not found"),
        Some("Huge") => Script::new().step("a", &"x".repeat(100_000), 0),
        _ => Script::new(),
    }
}

impl Lab for ScriptedLab {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(self.scripted.clone())
    }
    fn reopened(&self) -> Arc<dyn Executor> {
        Arc::new(self.scripted.reopened())
    }
    fn release(&self, job: &JobName) {
        self.scripted.release(job);
    }
    fn end_grace(&self, job: &JobName) {
        self.scripted.let_grace_end(job);
    }
    fn time_out(&self, job: &JobName) {
        self.scripted.time_out(job);
    }
}

/// All events from the cursor to the end.
pub(crate) async fn events(executor: &dyn Executor, job: &JobName, from: Cursor) -> Vec<JobEvent> {
    let all = executor.events(job, from).collect::<Vec<_>>();
    let all = tokio::time::timeout(BOUND, all).await.expect("the job ends within the bound");
    all.into_iter().collect::<Result<_, _>>().expect("events")
}

/// Waits until the job has printed this.
pub(crate) async fn until_printed(executor: &dyn Executor, job: &JobName, text: &str) {
    let mut stream = executor.events(job, Cursor::default());
    let mut seen = String::new();
    let wait = async {
        while let Some(event) = stream.next().await {
            if let JobEventKind::Output { bytes, .. } = event.expect("an event").kind {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
            if seen.contains(text) {
                return true;
            }
        }
        false
    };
    let found = tokio::time::timeout(BOUND, wait).await.expect("it prints within the bound");
    assert!(found, "{text:?} is not in {seen:?}");
}

pub(crate) async fn end(executor: &dyn Executor, job: &JobName) -> JobEnd {
    match events(executor, job, Cursor::default()).await.pop().expect("an end").kind {
        JobEventKind::Ended(end) => {
            assert_eq!(executor.status(job).await.expect("a status"), JobStatus::Ended(end.clone()));
            end
        }
        other => panic!("the last event is {other:?}"),
    }
}

/// All output of both kinds as text.
pub(crate) async fn output(executor: &dyn Executor, job: &JobName) -> String {
    let mut text = Vec::new();
    for event in events(executor, job, Cursor::default()).await {
        if let JobEventKind::Output { bytes, .. } = event.kind {
            text.extend_from_slice(&bytes);
        }
    }
    String::from_utf8(text).expect("text")
}

pub(crate) async fn content(executor: &dyn Executor, job: &JobName, name: &str) -> Result<Vec<u8>, ExecError> {
    let mut stream = executor.file(job, &file(name)).await?;
    let mut all = Vec::new();
    while let Some(bytes) = stream.next().await {
        all.extend_from_slice(&bytes.expect("bytes"));
    }
    Ok(all)
}
