//! Groups, orphans and what the system tells about a process.
//!
//! Must never signal a process that it has not just seen to be the job's own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpid};
use serde::{Deserialize, Serialize};

/// A process that cannot be taken for a later one of the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Recorded {
    pid: i32,
    started: u64,
}

/// Processes that lose their parent become ours, so that they can be ended with their step.
pub(crate) fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Notes a process in a file of the job's directory.
pub(crate) fn record(dir: &Path, name: &str, pid: Pid) {
    let Some(started) = stat(pid).map(|stat| stat.started) else { return };
    let recorded = Recorded { pid: pid.as_raw_nonzero().get(), started };
    if let Ok(json) = serde_json::to_vec(&recorded) {
        let _ = fs::write(dir.join(name), json);
    }
}

/// Kills the process of `DIR/entry.json` if it is still the one that was noted; for an entry that does not obey.
pub fn kill_recorded(dir: &Path) {
    if let Some(pid) = recorded(dir, "entry.json") {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Kills the group of the step noted in `DIR/step.json` if it is still there.
pub(crate) fn kill_recorded_step(dir: &Path) {
    if let Some(pid) = recorded_step(dir) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// The process of the step noted in `DIR/step.json` if it is still there.
pub(crate) fn recorded_step(dir: &Path) -> Option<Pid> {
    recorded(dir, "step.json")
}

fn recorded(dir: &Path, name: &str) -> Option<Pid> {
    let recorded: Recorded = serde_json::from_slice(&fs::read(dir.join(name)).ok()?).ok()?;
    let pid = Pid::from_raw(recorded.pid)?;
    let stat = stat(pid)?;
    (stat.started == recorded.started && !stat.zombie).then_some(pid)
}

/// Kills a step's group, then whatever it left outside of its group. The step itself must have been waited for.
#[expect(clippy::disallowed_methods, reason = "a bounded wait for killed processes to be gone")]
pub(crate) fn sweep(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
    for _ in 0..200 {
        while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
        let orphans = children_of(rustix::process::getpid());
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            let _ = kill_process(orphan, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

struct Stat {
    zombie: bool,
    parent: i32,
    started: u64,
}

/// Reads `/proc/PID/stat`: fields 4 and 22, counted behind the name, which may hold anything.
fn stat(pid: Pid) -> Option<Stat> {
    let text = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    Some(Stat {
        zombie: *fields.first()? == "Z",
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

fn children_of(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == parent))
        .collect()
}
