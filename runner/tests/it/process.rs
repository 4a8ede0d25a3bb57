//! What only real processes can show.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use model::id::JobName;
use model::job::{Outcome, SourceTree, Stdout};
use model::ports::{ExecError, Executor, JobStatus, Started};
use runner::exec::Process;

use crate::lab::{BOUND, Deed, ProcessLab, content, deed, end, file, job, output, path, shell, spec, until_printed};

/// Waits until the condition holds.
#[expect(clippy::disallowed_methods, reason = "the bound of a test")]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + BOUND;
    while !holds() {
        assert!(Instant::now() < until, "{what} within the bound");
        std::thread::yield_now();
    }
}

fn lives(pid: &str) -> bool {
    // A zombie does not live.
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

async fn run(lab: &ProcessLab, name: &str, script: &str) -> (JobName, String) {
    let (executor, job) = (lab.process(), job(name));
    executor.start(&job, spec(vec![shell("a", script)])).await.expect("started");
    end(&executor, &job).await;
    let text = output(&executor, &job).await;
    (job, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_is_what_was_given_and_no_more() {
    let lab = ProcessLab::new();
    let mut spec = spec(vec![shell("a", "env | cut -d= -f1 | sort | tr '\\n' ' '")]);
    spec.env.insert("PLAIN".to_owned(), "1".to_owned());
    spec.secret_env.insert("SECRET".to_owned(), "hunter22".to_owned().into());
    let (executor, job) = (lab.process(), job("env"));
    executor.start(&job, spec).await.expect("started");
    end(&executor, &job).await;
    let names = output(&executor, &job).await;
    // Cargo gives its tests a rich environment: none of it comes through.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let allowed = ["HOME", "PATH", "PLAIN", "PWD", "SECRET", "TMPDIR", "OLDPWD", "SHLVL", "_"];
    let inherited = ["LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE"];
    for name in names.split_whitespace() {
        let proxy = name.to_ascii_lowercase().ends_with("_proxy");
        assert!(allowed.contains(&name) || inherited.contains(&name) || proxy, "{name} came through: {names}");
    }
    for name in ["HOME", "PATH", "PLAIN", "SECRET", "TMPDIR"] {
        assert!(names.split_whitespace().any(|found| found == name), "{name} is missing in {names}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_nowhere_on_the_disk() {
    let lab = ProcessLab::new();
    let mut spec = deed(Deed::Waits);
    spec.secret_env.insert("SECRET".to_owned(), "very-secret-value".to_owned().into());
    let (executor, job) = (lab.process(), job("secret"));
    executor.start(&job, spec).await.expect("started");
    until_printed(&executor, &job, "ready").await;
    assert_eq!(fs::metadata(lab.directory(&job)).expect("there").permissions().mode() & 0o777, 0o700);
    let mut files = 0;
    let mut todo = vec![lab.directory(&job)];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).expect("a directory").flatten() {
            if entry.file_type().expect("a kind").is_dir() {
                todo.push(entry.path());
            } else {
                files += 1;
                let bytes = fs::read(entry.path()).expect("readable");
                assert!(!String::from_utf8_lossy(&bytes).contains("very-secret-value"), "{:?}", entry.path());
            }
        }
    }
    assert!(files >= 4, "spec, lock, started, log: {files}");
    executor.kill(&job).await.expect("killed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_input_is_closed_and_there_is_no_terminal() {
    let lab = ProcessLab::new();
    let (_, text) = run(&lab, "stdin", "cat; echo end; (: < /dev/tty) 2>/dev/null && echo tty || echo none").await;
    assert_eq!(text, "end\nnone\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_interrupt_reaches_the_step_and_not_its_group() {
    let lab = ProcessLab::new();
    let script = "trap 'echo parent-int; n=$((n+1))' INT; n=0; \
        sh -c 'trap \"echo child-int\" INT; echo ready; while [ ! -e go ]; do sleep 0.02; done' & \
        while [ ! -e go ]; do sleep 0.02; done; echo count $n; kill -0 $! 2>/dev/null; wait";
    let (executor, job) = (lab.process(), job("once"));
    executor.start(&job, spec(vec![shell("a", script)])).await.expect("started");
    until_printed(&executor, &job, "ready").await;
    for _ in 0..3 {
        executor.interrupt(&job).await.expect("interrupted");
    }
    until_printed(&executor, &job, "parent-int").await;
    // Later signals to the entry are swallowed as well.
    let entry: serde_json::Value =
        serde_json::from_slice(&fs::read(lab.directory(&job).join("entry.json")).expect("a record")).expect("json");
    let pid = rustix::process::Pid::from_raw(i32::try_from(entry["pid"].as_i64().expect("a pid")).expect("a pid"));
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM, rustix::process::Signal::HUP] {
        rustix::process::kill_process(pid.expect("a pid"), signal).expect("sent");
    }
    fs::write(lab.directory(&job).join("work/go"), b"").expect("released");
    let ended = end(&executor, &job).await;
    assert_eq!(ended.outcome, Outcome::Interrupted { step: "a".to_owned() });
    let text = output(&executor, &job).await;
    assert!(text.contains("count 1\n") && !text.contains("child-int"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_killed_job_is_left() {
    let lab = ProcessLab::new();
    let script = "sleep 1000 & echo $! > group; setsid sleep 1000 & echo $! > away; \
        (setsid sh -c 'echo $$ > far; exec sleep 1000' &) ; while [ ! -s far ]; do sleep 0.02; done; echo ready; wait";
    let (executor, job) = (lab.process(), job("tree"));
    executor.start(&job, spec(vec![shell("a", script)])).await.expect("started");
    until_printed(&executor, &job, "ready").await;
    let work = lab.directory(&job).join("work");
    let pids: Vec<String> =
        ["group", "away", "far"].iter().map(|name| fs::read_to_string(work.join(name)).expect("a pid")).collect();
    assert!(pids.iter().all(|pid| lives(pid)), "{pids:?}");
    executor.kill(&job).await.expect("killed");
    for pid in &pids {
        eventually("the process is gone", || !lives(pid));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_step_leaves_in_the_background_does_not_hold_the_job() {
    let lab = ProcessLab::new();
    // `run` waits for the end within the bound, which is far below the 1000 seconds.
    let (_, text) = run(&lab, "background", "sleep 1000 & echo $! >&2; echo done").await;
    assert!(text.contains("done"), "{text}");
    let pid = text.lines().find(|line| line.parse::<u32>().is_ok()).expect("a pid").to_owned();
    eventually("the process is gone", || !lives(&pid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_entry_is_vanished_never_completed() {
    let lab = ProcessLab::new();
    let (executor, job) = (lab.process(), job("vanished"));
    executor.start(&job, deed(Deed::Waits)).await.expect("started");
    until_printed(&executor, &job, "ready").await;
    entry::kill_recorded(&lab.directory(&job));
    // The step still works: nothing is said about its end before it is gone.
    eventually("the lock is free", || {
        let file = fs::File::open(lab.directory(&job).join("lock")).expect("a lock");
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared).is_ok()
    });
    assert_eq!(executor.status(&job).await.expect("a status"), JobStatus::Running);
    assert_eq!(executor.start(&job, deed(Deed::Hello)).await.expect("found"), Started::AlreadyThere);
    executor.kill(&job).await.expect("killed");
    let ended = end(&executor, &job).await;
    assert_eq!(ended.outcome, Outcome::Vanished);
    assert_eq!(end(&lab.process(), &job).await, ended);
    assert!(matches!(content(&executor, &job, "kept.txt").await, Err(ExecError::Absent { .. })));
}

/// Kills the entry and waits until nobody attends the job.
fn kill_entry(lab: &ProcessLab, job: &JobName) {
    let lock = fs::File::open(lab.directory(job).join("lock")).expect("a lock");
    entry::kill_recorded(&lab.directory(job));
    eventually("the lock is free", || {
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared).is_ok()
    });
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock).expect("let go of");
}

/// Until whoever attends the job now has heard its step.
async fn until_heard(lab: &ProcessLab, job: &JobName, word: &str) {
    fs::write(lab.directory(job).join("work/say"), word).expect("asked");
    until_printed(&lab.process(), job, word).await;
}

/// Says what it is asked to say until it may go on.
const TALKS: &str = "echo ready; while [ ! -e go ]; do [ -s say ] && cat say && rm say; sleep 0.02; done";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_goes_on_without_its_entry_and_all_that_it_left_is_kept() {
    let lab = ProcessLab::new();
    let (executor, job) = (lab.process(), job("orphan"));
    let script = format!("{TALKS}; printf keep > kept.txt");
    let mut spec = spec(vec![shell("before", "echo first"), shell("a", &script), shell("after", "echo never")]);
    spec.collect.insert(file("kept.txt"), path("kept.txt"));
    executor.start(&job, spec).await.expect("started");
    until_printed(&executor, &job, "ready").await;
    // Whoever takes over may be killed as well.
    for word in ["one\n", "two\n"] {
        kill_entry(&lab, &job);
        let say = lab.directory(&job).join("work/say");
        fs::write(&say, word).expect("asked");
        eventually("it speaks although nobody listens", || !say.exists());
        assert_eq!(executor.status(&job).await.expect("a status"), JobStatus::Running);
        until_printed(&executor, &job, word).await;
    }
    fs::write(lab.directory(&job).join("work/go"), b"").expect("released");
    let ended = end(&executor, &job).await;
    assert_eq!(ended.outcome, Outcome::Vanished, "nobody knows how it ended");
    assert_eq!(ended.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(), ["before"]);
    let text = output(&executor, &job).await;
    assert_eq!(text, "first\nready\none\ntwo\n", "and no step begins behind one whose end nobody saw");
    assert_eq!(content(&executor, &job, "kept.txt").await.expect("a file"), b"keep");
    assert_eq!(end(&lab.process(), &job).await, ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_interrupt_reaches_the_step_whoever_attends_it() {
    let lab = ProcessLab::new();
    let script = format!("trap 'echo int; n=$((n+1)); echo count $n' INT; n=0; {TALKS}");
    for (name, killed_first) in [("before", true), ("behind", false)] {
        let (executor, job) = (lab.process(), job(name));
        executor.start(&job, spec(vec![shell("a", &script)])).await.expect("started");
        until_printed(&executor, &job, "ready").await;
        if killed_first {
            kill_entry(&lab, &job);
        }
        executor.interrupt(&job).await.expect("interrupted");
        until_printed(&executor, &job, "int\n").await;
        kill_entry(&lab, &job);
        executor.interrupt(&job).await.expect("interrupted again");
        until_heard(&lab, &job, "attended\n").await;
        fs::write(lab.directory(&job).join("work/go"), b"").expect("released");
        end(&executor, &job).await;
        let text = output(&executor, &job).await;
        assert!(text.contains("count 1\n") && !text.contains("count 2"), "{name}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_without_an_entry_still_has_its_timeout_and_grace() {
    let lab = ProcessLab::new();
    let (executor, job) = (lab.process(), job("late"));
    let mut spec = deed(Deed::Stubborn);
    (spec.timeout, spec.grace) = (std::time::Duration::from_secs(2), std::time::Duration::from_millis(200));
    executor.start(&job, spec).await.expect("started");
    until_printed(&executor, &job, "ready").await;
    kill_entry(&lab, &job);
    // It ends within the bound, and nobody asked for that.
    assert_eq!(end(&executor, &job).await.outcome, Outcome::Vanished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_between_making_and_starting_is_made_anew() {
    let lab = ProcessLab::new();
    let (executor, job) = (lab.process(), job("crash"));
    let directory = lab.directory(&job);
    for leave in [&[][..], &["work"][..], &["work", "spec.json"][..], &["work", "spec.json", "lock"][..]] {
        fs::create_dir_all(&directory).expect("made");
        for name in leave {
            if *name == "work" {
                fs::create_dir_all(directory.join("work/old")).expect("made");
            } else {
                fs::write(directory.join(name), b"{").expect("written");
            }
        }
        assert_eq!(executor.status(&job).await.expect("a status"), JobStatus::Absent, "{leave:?}");
        assert_eq!(executor.start(&job, deed(Deed::Hello)).await.expect("started"), Started::New, "{leave:?}");
        assert_eq!(end(&executor, &job).await.outcome, Outcome::Completed);
        assert!(!directory.join("work/old").exists());
        executor.remove(&job).await.expect("removed");
    }
}

#[expect(clippy::disallowed_methods, reason = "the entry, without an executor")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_without_a_whole_message_does_nothing() {
    let lab = ProcessLab::new();
    let directory = lab.root.path().join("half");
    fs::create_dir_all(directory.join("work")).expect("made");
    fs::write(directory.join("spec.json"), b"{}").expect("written");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_entry"))
        .arg(&directory)
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("spawned");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, b"{\"secret_env\":{\"A\":\"b\"").expect("sent");
    drop(stdin);
    assert_eq!(child.wait().expect("ended").code(), Some(1));
    assert!(!directory.join("started").exists() && !directory.join("end.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_starts_of_one_name_start_one_job() {
    let lab = ProcessLab::new();
    let job = job("race");
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let (executor, job) = (lab.process(), job.clone());
            tokio::spawn(async move {
                executor.start(&job, spec(vec![shell("a", "echo once >> ran; cat ran")])).await.expect("started")
            })
        })
        .collect();
    let mut new = 0;
    for start in starts {
        new += u32::from(start.await.expect("joined") == Started::New);
    }
    assert_eq!(new, 1);
    end(&lab.process(), &job).await;
    assert_eq!(output(&lab.process(), &job).await, "once\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_files_and_outputs_are_in_their_places() {
    let lab = ProcessLab::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o755);
    header.set_cksum();
    builder.append_data(&mut header, "infra/net/x.sh", &b"hello"[..]).expect("appended");
    let mut step = shell("a", "cat x.sh ../../given; [ -x x.sh ] && echo exec");
    step.dir = path("infra/net");
    step.stdout = Stdout::File(path("out/text"));
    let mut spec = spec(vec![step]);
    spec.source = SourceTree::Tar(builder.into_inner().expect("an archive").into());
    spec.files.insert(path("given"), b" given ".to_vec());
    spec.collect.insert(file("text"), path("out/text"));
    let (executor, job) = (lab.process(), job("places"));
    executor.start(&job, spec).await.expect("started");
    assert_eq!(end(&executor, &job).await.outcome, Outcome::Completed);
    assert_eq!(content(&executor, &job, "text").await.expect("a file"), b"hello given exec\n");
    assert_eq!(output(&executor, &job).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collected_link_gives_nothing_of_the_server() {
    let lab = ProcessLab::new();
    let mut spec = spec(vec![shell("a", "ln -s /etc/passwd stolen; mkdir d; ln -s /etc d2; echo x > d/real")]);
    for (name, at) in [("stolen", "stolen"), ("passwd", "d2/passwd"), ("real", "d/real")] {
        spec.collect.insert(file(name), path(at));
    }
    let (executor, job) = (lab.process(), job("links"));
    executor.start(&job, spec).await.expect("started");
    end(&executor, &job).await;
    assert!(matches!(content(&executor, &job, "stolen").await, Err(ExecError::Absent { .. })));
    assert!(matches!(content(&executor, &job, "passwd").await, Err(ExecError::Absent { .. })));
    assert_eq!(content(&executor, &job, "real").await.expect("a file"), b"x\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_source_is_refused_and_leaves_nothing() {
    let lab = ProcessLab::new();
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..7].copy_from_slice(b"../evil");
    header.set_size(1);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, &b"x"[..]).expect("appended");
    let mut spec = deed(Deed::Hello);
    spec.source = SourceTree::Tar(builder.into_inner().expect("an archive").into());
    let (executor, job) = (lab.process(), job("hostile"));
    let error = executor.start(&job, spec).await.expect_err("refused");
    assert!(matches!(&error, ExecError::Refused { reason } if reason.contains("leads out")), "{error:?}");
    assert!(!lab.directory(&job).exists());
    assert_eq!(executor.start(&job, deed(Deed::Hello)).await.expect("started"), Started::New);
    end(&executor, &job).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directories_that_the_job_closed_are_removed_too() {
    let lab = ProcessLab::new();
    let (job, _) = run(&lab, "closed", "mkdir -p a/b; touch a/b/c; chmod 500 a/b a").await;
    lab.process().remove(&job).await.expect("removed");
    assert!(!lab.directory(&job).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_not_there_says_what_to_do() {
    let root = tempfile::tempdir().expect("a directory");
    let executor = Process::new(root.path(), vec!["/nowhere/buildit".into()]);
    let error = executor.ready().await.expect_err("not ready").to_string();
    assert!(error.contains("/nowhere/buildit") && error.contains("Start the server again"), "{error}");
    let error = executor.start(&job("x"), deed(Deed::Hello)).await.expect_err("cannot start");
    assert!(matches!(error, ExecError::Unavailable { .. }), "{error:?}");
    assert_eq!(executor.status(&job("x")).await.expect("a status"), JobStatus::Absent);
}

#[test]
fn the_end_has_one_shape_on_both_sides() {
    use entry::spec::{End, Outcome as Written, StepEnd};
    let step = "s".to_owned();
    for outcome in [
        Written::Completed,
        Written::StepFailed { step: step.clone() },
        Written::CannotStart { step: step.clone(), reason: "r".to_owned() },
        Written::TimedOut { step: step.clone() },
        Written::Interrupted { step: step.clone() },
        Written::Killed { step: step.clone() },
        Written::Vanished,
    ] {
        let steps = vec![StepEnd { name: step.clone(), code: None, signal: Some(9), millis: 4 }];
        let written = End { outcome, steps, at: 5, log_dropped: 6 };
        let json = serde_json::to_string(&written).expect("json");
        let read: model::job::JobEnd = serde_json::from_str(&json).expect("the same shape");
        assert_eq!(serde_json::to_string(&read).expect("json"), json);
    }
}
