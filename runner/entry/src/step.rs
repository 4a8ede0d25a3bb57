//! One step: start it, carry its output, obey the control, leave nothing of it behind.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::control::{Control, Order};
use crate::log::{Kind, LogWriter};
use crate::pipes::Pipes;
use crate::processes;
use crate::spec::{Secrets, Spec, Step, StepEnd};

/// How often requests are looked for while nothing else happens.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// What became of a step.
pub(crate) enum Ran {
    /// It ended.
    Ended(StepEnd),
    /// It never began, for this reason.
    CannotStart(String),
}

/// Runs one step to its end.
pub(crate) fn run(
    dir: &Path,
    spec: &Spec,
    step: &Step,
    secrets: &Secrets,
    control: &mut Control<'_>,
    log: &mut LogWriter,
) -> io::Result<Ran> {
    log.step_started(&step.name)?;
    let begun = crate::instant();
    let mut pipes = Pipes::default();
    let made = command(dir, spec, step, secrets, &mut pipes);
    let mut child = match made.and_then(|mut command| start(&mut command, step)) {
        Ok(child) => child,
        Err(reason) => return Ok(Ran::CannotStart(reason)),
    };
    let group = Pid::from_child(&child);
    processes::record(dir, "step.json", group);
    let attended = attend(&mut child, group, &mut pipes, control, log);
    processes::sweep(group);
    let status = attended?;
    // What cannot be kept now is missed by `step_ended` too.
    let _ = pipes.drain(log);
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Ran::Ended(StepEnd { name: step.name.clone(), code: status.code(), signal: status.signal(), millis }))
}

#[expect(clippy::disallowed_methods, reason = "this is where steps are started")]
fn command(dir: &Path, spec: &Spec, step: &Step, secrets: &Secrets, pipes: &mut Pipes) -> Result<Command, String> {
    let root = spec.root(dir);
    let within = if step.dir.is_empty() { root.clone() } else { root.join(&step.dir) };
    if !within.is_dir() {
        return Err(format!("the directory {:?} does not exist in the source", step.dir));
    }
    let (program, arguments) = step.argv.split_first().ok_or("no program is named")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(within).env_clear().envs(environment(spec, secrets));
    let mut pipe = |kind| pipes.add(kind).map_err(|error| format!("no pipe for its output: {error}"));
    command.stdin(Stdio::null()).process_group(0);
    match &step.stdout {
        None => command.stdout(pipe(Kind::Stdout)?),
        Some(path) => command.stdout(Stdio::from(output_file(&root, path)?)),
    };
    command.stderr(pipe(Kind::Stderr)?);
    Ok(command)
}

fn output_file(root: &Path, path: &str) -> Result<std::fs::File, String> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(root.join(path))
        .map_err(|error| format!("cannot write {path:?}: {error}"))
}

fn environment<'a>(spec: &'a Spec, secrets: &'a Secrets) -> BTreeMap<&'a str, std::ffi::OsString> {
    let mut all = BTreeMap::new();
    for name in &spec.inherit {
        if let Some(value) = std::env::var_os(name) {
            all.insert(name.as_str(), value);
        }
    }
    all.extend(spec.env.iter().map(|(name, value)| (name.as_str(), value.into())));
    all.extend(secrets.secret_env.iter().map(|(name, value)| (name.as_str(), value.into())));
    all
}

fn start(command: &mut Command, step: &Step) -> Result<Child, String> {
    command.spawn().map_err(|error| {
        let program = step.argv.first().map(String::as_str).unwrap_or_default();
        match error.kind() {
            io::ErrorKind::NotFound => format!("the program {program:?} was not found"),
            io::ErrorKind::PermissionDenied => format!("the program {program:?} may not be executed"),
            _ => format!("the program {program:?} could not be started: {error}"),
        }
    })
}

/// Until the child has ended.
fn attend(
    child: &mut Child,
    group: Pid,
    pipes: &mut Pipes,
    control: &mut Control<'_>,
    log: &mut LogWriter,
) -> io::Result<ExitStatus> {
    loop {
        // Without pipes the end is near, or the child closed them and works on.
        let wait = if pipes.is_empty() { Duration::from_millis(3) } else { LOOK };
        pipes.wait(wait);
        if pipes.carry(log).is_err() {
            // Nobody sees what it does any more: it may store what it has, and no more.
            control.interrupt();
        }
        match control.order() {
            Order::GoOn => {}
            // Never waited for yet, so the number is still the child's own.
            Order::Interrupt => drop(kill_process(group, Signal::INT)),
            Order::Kill => drop(kill_process_group(group, Signal::KILL)),
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
    }
}
