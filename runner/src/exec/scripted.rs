//! The double of an executor: test code says what each job does.
//!
//! Holds the same contract as the real ones, without processes and without time: a job that waits goes on when
//! the test releases it, and times out when the test says so.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{iter, try_unfold};
use model::id::{FileName, JobName, RelPath};
use model::job::{Cursor, JobEnd, JobEvent, JobEventKind, JobSpec, Outcome, SourceTree, Step, StepEnd};
use model::ports::{BoxStream, Clock, ExecError, Executor, JobStatus, Started};
use tokio::sync::watch;

/// What a job that was started looked like. Names of secrets only.
#[derive(Debug, Clone)]
pub struct ScriptedJob {
    /// Its name.
    pub name: JobName,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Its plain environment.
    pub env: BTreeMap<String, String>,
    /// Names of its secret environment.
    pub secret_names: Vec<String>,
    /// Its files.
    pub files: BTreeMap<RelPath, Vec<u8>>,
    /// Its source.
    pub source: SourceTree,
}

/// Chunks: on standard error?, bytes.
type Output = Vec<(bool, Bytes)>;

/// What a job does.
#[derive(Debug, Clone)]
pub struct Script {
    steps: Vec<(String, Output, i32)>,
    files: BTreeMap<FileName, Bytes>,
    waits: bool,
    heeds_interrupt: bool,
    code_when_interrupted: Option<i32>,
    cannot_start: Option<String>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            files: BTreeMap::new(),
            waits: false,
            heeds_interrupt: true,
            code_when_interrupted: None,
            cannot_start: None,
        }
    }
}

impl Script {
    /// Completes at once, each step of the job with code 0 and without output, unless told otherwise.
    pub fn new() -> Self {
        Self::default()
    }
    /// What the step of that name prints on standard output, and its code. A code that the job does not accept
    /// ends it there.
    #[must_use]
    pub fn step(mut self, name: &str, output: &str, code: i32) -> Self {
        let output = vec![(false, Bytes::copy_from_slice(output.as_bytes()))];
        self.steps.push((name.to_owned(), output, code));
        self
    }
    /// As `step`, on standard error.
    #[must_use]
    pub fn step_error(mut self, name: &str, output: &str, code: i32) -> Self {
        let output = vec![(true, Bytes::copy_from_slice(output.as_bytes()))];
        self.steps.push((name.to_owned(), output, code));
        self
    }
    /// A file that the job leaves when it ends.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: impl Into<Bytes>) -> Self {
        if let Ok(name) = FileName::parse(name) {
            self.files.insert(name, bytes.into());
        }
        self
    }
    /// Waits behind the output of its last step until `Scripted::release`.
    #[must_use]
    pub fn waits(mut self) -> Self {
        self.waits = true;
        self
    }
    /// Goes on when it is interrupted; only a kill (or `Scripted::let_grace_end`) ends it.
    #[must_use]
    pub fn ignores_interrupt(mut self) -> Self {
        self.heeds_interrupt = false;
        self
    }
    /// When it is interrupted its step ends by itself with this code, and not by the signal.
    #[must_use]
    pub fn exits_when_interrupted(mut self, code: i32) -> Self {
        self.code_when_interrupted = Some(code);
        self
    }
    /// The first step cannot be started for this reason.
    #[must_use]
    pub fn cannot_start(mut self, reason: &str) -> Self {
        self.cannot_start = Some(reason.to_owned());
        self
    }
}

type Play = dyn Fn(&ScriptedJob) -> Script + Send + Sync;

/// The double. Clones, and those that `reopened` gives, see the same jobs.
#[derive(Clone)]
pub struct Scripted {
    shared: Arc<Shared>,
}

struct Shared {
    play: Box<Play>,
    clock: Arc<dyn Clock>,
    jobs: Mutex<Jobs>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Jobs {
    now: BTreeMap<JobName, Job>,
    started: Vec<ScriptedJob>,
    unavailable: Option<String>,
}

struct Job {
    spec: ScriptedJob,
    log_limit: u64,
    script: Script,
    events: Vec<JobEvent>,
    ended_steps: Vec<StepEnd>,
    dropped: u64,
    current: String,
    interrupts: u32,
    end: Option<JobEnd>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripted").finish_non_exhaustive()
    }
}

impl Scripted {
    /// `play` is asked once for each job that starts.
    pub fn new(clock: Arc<dyn Clock>, play: impl Fn(&ScriptedJob) -> Script + Send + Sync + 'static) -> Self {
        let (changed, _) = watch::channel(0);
        Self { shared: Arc::new(Shared { play: Box::new(play), clock, jobs: Mutex::default(), changed }) }
    }

    /// As a new server would find it: the same jobs.
    #[must_use]
    pub fn reopened(&self) -> Self {
        self.clone()
    }

    /// Every job that was ever started, in order.
    pub fn started(&self) -> Vec<ScriptedJob> {
        self.jobs().started.clone()
    }

    /// Names of the jobs that run now, sorted.
    pub fn running(&self) -> Vec<JobName> {
        self.jobs().now.iter().filter(|(_, job)| job.end.is_none()).map(|(name, _)| name.clone()).collect()
    }

    /// How often SIGINT reached the job.
    pub fn interrupts(&self, job: &JobName) -> u32 {
        self.jobs().now.get(job).map_or(0, |job| job.interrupts)
    }

    /// Lets a waiting job go on to its end.
    pub fn release(&self, job: &JobName) {
        self.change(job, |job, clock| job.finish(clock));
    }

    /// The timeout of a running job passes.
    pub fn time_out(&self, job: &JobName) {
        self.change(job, |job, clock| {
            job.interrupts += 1;
            job.stop(clock, |step| Outcome::TimedOut { step });
        });
    }

    /// The grace of an interrupted job passes: it is killed.
    pub fn let_grace_end(&self, job: &JobName) {
        self.change(job, |job, clock| {
            if job.interrupts > 0 {
                job.stop(clock, |step| Outcome::Killed { step });
            }
        });
    }

    /// The job's process is gone without an end.
    pub fn vanish(&self, job: &JobName) {
        self.change(job, |job, clock| job.end(clock, Outcome::Vanished));
    }

    /// From now on nothing can be started, for this reason; `None` mends it.
    pub fn set_unavailable(&self, reason: Option<&str>) {
        self.jobs().unavailable = reason.map(str::to_owned);
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, job: &JobName, change: impl FnOnce(&mut Job, &dyn Clock)) {
        if let Some(job) = self.jobs().now.get_mut(job).filter(|job| job.end.is_none()) {
            change(job, self.shared.clock.as_ref());
        }
        self.shared.changed.send_modify(|version| *version += 1);
    }
}

impl Job {
    fn push(&mut self, clock: &dyn Clock, kind: JobEventKind) {
        let is_end = matches!(kind, JobEventKind::Ended(_));
        let next = self.events.len() as u64 + u64::from(!is_end);
        self.events.push(JobEvent { next: Cursor(next), at: clock.now(), kind });
    }

    fn output(&mut self, clock: &dyn Clock, stderr: bool, bytes: &Bytes) {
        let left = self.log_limit.min(bytes.len() as u64);
        self.log_limit -= left;
        self.dropped += bytes.len() as u64 - left;
        if left > 0 {
            let bytes = bytes.slice(..usize::try_from(left).unwrap_or(bytes.len()));
            self.push(clock, JobEventKind::Output { stderr, bytes });
        }
    }

    /// Plays everything up to the wait or the end.
    fn play(&mut self, clock: &dyn Clock) {
        let steps = self.spec.steps.clone();
        for (index, step) in steps.iter().enumerate() {
            self.current = step.name.clone();
            self.push(clock, JobEventKind::StepStarted(step.name.clone()));
            if let Some(reason) = self.script.cannot_start.clone() {
                return self.end(clock, Outcome::CannotStart { step: step.name.clone(), reason });
            }
            let scripted = self.script.steps.iter().find(|(name, ..)| *name == step.name).cloned();
            let (output, code) = scripted.map_or((Vec::new(), 0), |(_, output, code)| (output, code));
            for (stderr, bytes) in &output {
                self.output(clock, *stderr, bytes);
            }
            let accepted = step.ok.contains(&code);
            if self.script.waits && (index + 1 == steps.len() || !accepted) {
                return;
            }
            self.step_ended(clock, Some(code), None);
            if !accepted {
                return self.end(clock, Outcome::StepFailed { step: step.name.clone() });
            }
        }
        self.end(clock, Outcome::Completed);
    }

    /// The rest of a job that waited.
    fn finish(&mut self, clock: &dyn Clock) {
        let name = self.current.clone();
        let code = self.script.steps.iter().find(|(step, ..)| *step == name).map_or(0, |(_, _, code)| *code);
        let accepted = self.spec.steps.iter().any(|step| step.name == name && step.ok.contains(&code));
        self.step_ended(clock, Some(code), None);
        self.end(clock, if accepted { Outcome::Completed } else { Outcome::StepFailed { step: name } });
    }

    fn stop(&mut self, clock: &dyn Clock, outcome: impl FnOnce(String) -> Outcome) {
        let outcome = outcome(self.current.clone());
        let (code, signal) = match (&outcome, self.script.code_when_interrupted) {
            (Outcome::Killed { .. }, _) => (None, Some(9)),
            (_, Some(code)) => (Some(code), None),
            (_, None) => (None, Some(2)),
        };
        self.step_ended(clock, code, signal);
        self.end(clock, outcome);
    }

    fn step_ended(&mut self, clock: &dyn Clock, code: Option<i32>, signal: Option<i32>) {
        let end = StepEnd { name: self.current.clone(), code, signal, millis: 0 };
        self.ended_steps.push(end.clone());
        self.push(clock, JobEventKind::StepEnded(end));
    }

    fn end(&mut self, clock: &dyn Clock, outcome: Outcome) {
        let end = JobEnd { outcome, steps: self.ended_steps.clone(), at: clock.now(), log_dropped: self.dropped };
        self.push(clock, JobEventKind::Ended(end.clone()));
        self.end = Some(end);
    }
}

fn absent(what: String) -> ExecError {
    ExecError::Absent { what }
}

#[async_trait]
impl Executor for Scripted {
    async fn start(&self, job: &JobName, spec: JobSpec) -> Result<Started, ExecError> {
        let mut jobs = self.jobs();
        if jobs.now.contains_key(job) {
            return Ok(Started::AlreadyThere);
        }
        if let Some(reason) = &jobs.unavailable {
            return Err(ExecError::Unavailable { reason: reason.clone() });
        }
        let seen = ScriptedJob {
            name: job.clone(),
            steps: spec.steps,
            env: spec.env,
            secret_names: spec.secret_env.keys().cloned().collect(),
            files: spec.files,
            source: spec.source,
        };
        let mut new = Job {
            script: (self.shared.play)(&seen),
            spec: seen.clone(),
            log_limit: spec.log_limit,
            events: Vec::new(),
            ended_steps: Vec::new(),
            dropped: 0,
            current: String::new(),
            interrupts: 0,
            end: None,
        };
        new.script.files.retain(|name, _| spec.collect.contains_key(name));
        new.play(self.shared.clock.as_ref());
        jobs.started.push(seen);
        jobs.now.insert(job.clone(), new);
        Ok(Started::New)
    }

    async fn status(&self, job: &JobName) -> Result<JobStatus, ExecError> {
        Ok(match self.jobs().now.get(job) {
            None => JobStatus::Absent,
            Some(Job { end: Some(end), .. }) => JobStatus::Ended(end.clone()),
            Some(_) => JobStatus::Running,
        })
    }

    fn events(&self, job: &JobName, from: Cursor) -> BoxStream<'static, Result<JobEvent, ExecError>> {
        let (this, job, changed) = (self.clone(), job.clone(), self.shared.changed.subscribe());
        let start = Some((this, job, changed, usize::try_from(from.0).unwrap_or(usize::MAX)));
        try_unfold(start, |state| async move {
            let Some((this, job, mut changed, at)) = state else { return Ok(None) };
            loop {
                changed.borrow_and_update();
                let event = {
                    let jobs = this.jobs();
                    let found = jobs.now.get(&job).ok_or_else(|| absent(format!("the job {job}")))?;
                    found.events.get(at).cloned()
                };
                if let Some(event) = event {
                    let over = matches!(event.kind, JobEventKind::Ended(_));
                    return Ok(Some((event, (!over).then_some((this, job, changed, at + 1)))));
                }
                if changed.changed().await.is_err() {
                    return Ok(None);
                }
            }
        })
        .boxed()
    }

    async fn file(&self, job: &JobName, name: &FileName) -> Result<BoxStream<'static, io::Result<Bytes>>, ExecError> {
        let jobs = self.jobs();
        let ended = jobs.now.get(job).filter(|job| job.end.is_some());
        let bytes = ended.and_then(|job| job.script.files.get(name)).cloned();
        let bytes = bytes.ok_or_else(|| absent(format!("the file {name} of job {job}")))?;
        Ok(iter([Ok(bytes)]).boxed())
    }

    async fn interrupt(&self, job: &JobName) -> Result<(), ExecError> {
        self.change(job, |job, clock| {
            if job.interrupts > 0 {
                return;
            }
            job.interrupts = 1;
            if job.script.heeds_interrupt {
                job.stop(clock, |step| Outcome::Interrupted { step });
            }
        });
        Ok(())
    }

    async fn kill(&self, job: &JobName) -> Result<(), ExecError> {
        self.change(job, |job, clock| job.stop(clock, |step| Outcome::Killed { step }));
        Ok(())
    }

    async fn remove(&self, job: &JobName) -> Result<(), ExecError> {
        self.jobs().now.remove(job);
        self.shared.changed.send_modify(|version| *version += 1);
        Ok(())
    }

    async fn ready(&self) -> Result<(), ExecError> {
        match &self.jobs().unavailable {
            None => Ok(()),
            Some(reason) => Err(ExecError::Unavailable { reason: reason.clone() }),
        }
    }

    fn kind(&self) -> &'static str {
        "scripted"
    }
}
