//! Starting and removing: exactly one job of a name, also when the server dies at any point.
//!
//! The entry holds the job's lock from before it exists (it inherits our locked file as its standard output),
//! acts only on a whole message on its standard input, and makes `started` before any effect. So a directory
//! without a held lock and without `started` never had any effect, and may be made anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::job::{JobSpec, SourceTree, Stdout};
use model::ports::{ExecError, JobStatus, Started};
use rustix::fs::{FlockOperation, flock};
use secrecy::ExposeSecret;

use super::directory::{JobDirectory, wait_until};
use super::{Inner, io_error};
use crate::exec::unpack::{Limits, UnpackError, real_directory, unpack, write_file};

/// How long an entry that another server left half-started may take to decide.
const UNDECIDED_BOUND: Duration = Duration::from_secs(10);

pub(super) fn start(inner: &Inner, job: &JobDirectory, spec: JobSpec) -> Result<Started, ExecError> {
    make_root(&inner.root)?;
    let _alone = StartLock::take(job)?;
    if is_there(job)? {
        return Ok(Started::AlreadyThere);
    }
    discard(&job.path).map_err(|error| io_error(format!("clearing {}", job.path.display()), error))?;
    let made = make(inner, job, &spec).and_then(|()| spawn(inner, job, &spec));
    if let Err(error) = made {
        let _ = discard(&job.path);
        return Err(error);
    }
    Ok(Started::New)
}

/// Is there a started job? Waits for an entry that has not decided yet.
fn is_there(job: &JobDirectory) -> Result<bool, ExecError> {
    let mut started = false;
    let decided = wait_until(UNDECIDED_BOUND, || {
        // In this order: a living entry may make `started` between the looks, a dead one does not.
        let lives = job.entry_lives()?;
        started = job.path.join(entry::STARTED_FILE).exists();
        Ok(started || !lives)
    })?;
    if decided {
        return Ok(started);
    }
    Err(io_error(format!("starting job {}", job.name), io::Error::other("its entry does not begin")))
}

fn make_root(root: &Path) -> Result<(), ExecError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(|error| ExecError::Unavailable {
        reason: format!(
            "jobs cannot be kept in {}: {error}; name a directory that the server may write",
            root.display()
        ),
    })
}

/// Everything but the process.
fn make(inner: &Inner, job: &JobDirectory, spec: &JobSpec) -> Result<(), ExecError> {
    let doing = |error| io_error(format!("preparing {}", job.path.display()), error);
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    for path in [&job.path, &job.path.join("home"), &job.path.join("tmp")] {
        builder.create(path).map_err(doing)?;
    }
    let work = work(job, spec);
    if spec.place.is_some() {
        // What an earlier try at this job left.
        remove_all(&work).map_err(doing)?;
    }
    builder.recursive(true).create(&work).map_err(doing)?;
    let refused = |error: UnpackError| match error {
        UnpackError::Refused(_) => ExecError::Refused { reason: error.to_string() },
        UnpackError::Io(error) => io_error("unpacking the source", error),
    };
    if let SourceTree::Tar(archive) = &spec.source {
        unpack(archive, &work, Limits::default()).map_err(refused)?;
    }
    for (path, bytes) in &spec.files {
        write_file(&work, path.as_str(), bytes).map_err(refused)?;
    }
    // What the steps write by name must not be led elsewhere by a link of the source.
    for step in &spec.steps {
        if let Stdout::File(path) = &step.stdout {
            let parent = path.parent().unwrap_or_else(model::id::RelPath::root);
            real_directory(&work, Path::new(parent.as_str())).map_err(refused)?;
        }
    }
    let json = serde_json::to_vec(&entry_spec(inner, job, spec)).map_err(|error| doing(error.into()))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(job.path.join("spec.json"));
    file.as_mut().map_err(|error| io::Error::from(error.kind())).and_then(|file| file.write_all(&json)).map_err(doing)
}

/// Where the steps' files are.
fn work(job: &JobDirectory, spec: &JobSpec) -> PathBuf {
    let place = spec.place.as_ref().map_or(job.path.clone(), |place| job.path.with_file_name(place.as_str()));
    place.join(entry::WORK)
}

fn entry_spec(inner: &Inner, job: &JobDirectory, spec: &JobSpec) -> entry::spec::Spec {
    let mut env = spec.env.clone();
    for (name, directory) in [("HOME", "home"), ("TMPDIR", "tmp")] {
        if !inner.inherit.iter().any(|inherited| inherited == name) {
            env.entry(name.to_owned()).or_insert_with(|| job.path.join(directory).display().to_string());
        }
    }
    let steps = spec.steps.iter().map(|step| entry::spec::Step {
        name: step.name.clone(),
        argv: step.argv.clone(),
        dir: step.dir.to_string(),
        stdout: match &step.stdout {
            Stdout::Log => None,
            Stdout::File(path) => Some(path.to_string()),
        },
        ok: step.ok.clone(),
    });
    entry::spec::Spec {
        work: work(job, spec).display().to_string(),
        steps: steps.collect(),
        env,
        inherit: inner.inherit.clone(),
        collect: spec.collect.iter().map(|(name, path)| (name.to_string(), path.to_string())).collect(),
        timeout_millis: millis(spec.timeout),
        grace_millis: millis(spec.grace),
        log_limit: spec.log_limit,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Starts an entry that sees to the end of a job whose own was killed. The lock is that of the job, and held.
pub(super) fn attend(inner: &Inner, job: &JobDirectory, lock: File) -> Result<(), ExecError> {
    reap(spawn_entry(inner, job, lock, (Stdio::null(), Stdio::null()))?);
    Ok(())
}

/// Our own copies of the lock's file are gone when this returns.
#[expect(clippy::disallowed_methods, reason = "this is where jobs are started")]
fn spawn_entry(
    inner: &Inner,
    job: &JobDirectory,
    lock: File,
    (stdin, stderr): (Stdio, Stdio),
) -> Result<Child, ExecError> {
    let (program, arguments) = inner.entry.split_first().ok_or_else(|| unavailable("no entry program is named"))?;
    let mut command = Command::new(program);
    command.args(arguments).arg(&job.path).current_dir(&job.path).env_clear();
    command.envs(inner.inherit.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(stdin).stdout(Stdio::from(lock)).stderr(stderr);
    command
        .spawn()
        .map_err(|error| unavailable(format!("jobs cannot be started: {}: {error}", program.to_string_lossy())))
}

fn spawn(inner: &Inner, job: &JobDirectory, spec: &JobSpec) -> Result<(), ExecError> {
    let starting = |error| io_error(format!("starting job {}", job.name), error);
    let lock = held_lock(&job.path.join("lock")).map_err(starting)?;
    let mut child = spawn_entry(inner, job, lock, (Stdio::piped(), Stdio::piped()))?;
    let answer = hand_over(&mut child, spec);
    if answer.as_deref().is_ok_and(|answer| answer == entry::STARTED) {
        reap(child);
        return Ok(());
    }
    let _ = child.kill();
    let _ = child.wait();
    match answer {
        Ok(answer) => Err(starting(io::Error::other(format!("its entry said {:?}", answer.trim())))),
        Err(error) => Err(starting(error)),
    }
}

fn unavailable(reason: impl Into<String>) -> ExecError {
    ExecError::Unavailable { reason: reason.into() }
}

/// A new file, exclusively locked. A status that looks at the same moment holds it for microseconds only.
fn held_lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Sends the secrets, which are the start signal too, and reads the answer.
fn hand_over(child: &mut Child, spec: &JobSpec) -> io::Result<String> {
    let secret_env = spec.secret_env.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
    let message = serde_json::to_vec(&entry::spec::Secrets { secret_env: secret_env.collect() })?;
    let mut stdin = child.stdin.take().ok_or_else(|| io::Error::other("no pipe to the entry"))?;
    let sent = stdin.write_all(&message);
    drop(stdin);
    let mut answer = String::new();
    let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no pipe from the entry"))?;
    BufReader::new(stderr).read_line(&mut answer)?;
    if answer.is_empty() { sent.and(Ok(answer)) } else { Ok(answer) }
}

/// Waits for the entry in the background, so that it does not stay as a zombie while this server lives.
fn reap(mut child: Child) {
    let waiting = std::thread::Builder::new().name("reap".into()).stack_size(64 * 1024);
    // Without a thread it stays a zombie until the server ends: harmless.
    let _ = waiting.spawn(move || child.wait());
}

pub(super) fn remove(job: &JobDirectory) -> Result<(), ExecError> {
    if !job.path.exists() {
        return Ok(());
    }
    if job.status()? == JobStatus::Running {
        job.kill()?;
    }
    let alone = StartLock::take(job)?;
    if let Some(place) = elsewhere(job) {
        discard(&place).map_err(|error| io_error(format!("removing {}", place.display()), error))?;
    }
    discard(&job.path).map_err(|error| io_error(format!("removing {}", job.path.display()), error))?;
    alone.forget_file();
    Ok(())
}

/// The directory of another job's name in which this one's files are.
fn elsewhere(job: &JobDirectory) -> Option<PathBuf> {
    let spec = fs::read(job.path.join("spec.json")).ok()?;
    let spec: entry::spec::Spec = serde_json::from_slice(&spec).ok()?;
    let place = Path::new(&spec.work).parent()?.to_owned();
    let beside = place.parent() == job.path.parent() && place != job.path;
    // A job that is there owns its own directory.
    (beside && !place.join("spec.json").exists()).then_some(place)
}

/// Removes a directory, out of sight first: half of a job must never be taken for one.
fn discard(path: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let mut hidden = std::ffi::OsString::from(".gone-");
    hidden.push(name);
    let hidden = path.with_file_name(hidden);
    remove_all(&hidden)?;
    match fs::rename(path, &hidden) {
        Ok(()) => remove_all(&hidden),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Also directories that the job made unwritable.
fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
    }
}

fn make_writable(path: &Path) {
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

pub(super) fn ready(inner: &Inner) -> Result<(), ExecError> {
    make_root(&inner.root)?;
    let probe = inner.root.join(".ready");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(|error| {
        unavailable(format!(
            "jobs cannot be kept in {}: {error}; name a directory that the server may write",
            inner.root.display()
        ))
    })?;
    let program = inner.entry.first().ok_or_else(|| unavailable("no entry program is named"))?;
    let path = Path::new(program);
    if path.is_absolute() && !path.is_file() {
        return Err(unavailable(format!(
            "the program {} is gone; was the server's binary replaced? Start the server again",
            path.display()
        )));
    }
    Ok(())
}

/// Held while a job of that name is started or removed.
struct StartLock {
    file: File,
    path: std::path::PathBuf,
}

impl StartLock {
    fn take(job: &JobDirectory) -> Result<Self, ExecError> {
        let path = job.start_lock_path();
        let doing = |error| io_error(format!("locking {}", path.display()), error);
        loop {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
            let file = file.map_err(doing)?;
            flock(&file, FlockOperation::LockExclusive).map_err(|error| doing(error.into()))?;
            // It may have been removed while we waited for it: then it locks nothing.
            let ours = file.metadata().map_err(doing)?.ino();
            if fs::metadata(&path).is_ok_and(|found| found.ino() == ours) {
                return Ok(Self { file, path });
            }
        }
    }

    /// Removes the lock's file, then lets go.
    fn forget_file(self) {
        let _ = fs::remove_file(&self.path);
        drop(self.file);
    }
}
