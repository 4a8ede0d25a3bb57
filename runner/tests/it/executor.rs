//! The contract of the port `Executor`: the same cases for the double and for the real one.

use futures_util::StreamExt;
use model::job::{Cursor, JobEventKind, Outcome};
use model::ports::{ExecError, JobStatus, Started};

use crate::lab::{BOUND, Deed, Lab, ProcessLab, ScriptedLab, content, deed, end, events, job, output, until_printed};

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod scripted {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(&super::ScriptedLab::new()).await; })*
        }
        mod process {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(&super::ProcessLab::new()).await; })*
        }
    };
}

contract!(
    a_job_runs_its_steps_in_order,
    a_failing_step_ends_the_job,
    a_missing_program_cannot_start,
    a_second_start_finds_the_first,
    a_job_is_found_again_by_a_new_server,
    every_cursor_resumes_without_gap_or_repetition,
    a_live_stream_goes_on_to_the_end,
    an_interrupt_ends_a_job_that_heeds_it,
    a_stubborn_job_is_killed_after_the_grace,
    the_timeout_passes,
    a_kill_is_at_once,
    absent_jobs_are_absent,
    a_removed_job_may_start_anew,
    huge_output_is_limited_and_counted,
    files_are_there_after_the_end_only,
    it_is_ready,
);

async fn a_job_runs_its_steps_in_order(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("hello"));
    assert_eq!(executor.start(&job, deed(Deed::Hello)).await.expect("started"), Started::New);
    let end = end(&*executor, &job).await;
    assert_eq!(end.outcome, Outcome::Completed);
    let steps: Vec<_> = end.steps.iter().map(|step| (step.name.as_str(), step.code)).collect();
    assert_eq!(steps, [("a", Some(0)), ("b", Some(0))]);
    let kinds: Vec<String> = events(&*executor, &job, Cursor::default())
        .await
        .into_iter()
        .map(|event| match event.kind {
            JobEventKind::StepStarted(name) => format!("started {name}"),
            JobEventKind::Output { stderr, bytes } => format!("{stderr} {:?}", String::from_utf8_lossy(&bytes)),
            JobEventKind::StepEnded(end) => format!("ended {} {:?}", end.name, end.code),
            JobEventKind::Ended(_) => "end".to_owned(),
        })
        .collect();
    insta::allow_duplicates! {
        insta::assert_snapshot!(kinds.join("\n"), @r#"
        started a
        false "one\n"
        ended a Some(0)
        started b
        false "three\n"
        ended b Some(0)
        end
        "#);
    }
}

async fn a_failing_step_ends_the_job(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("fails"));
    executor.start(&job, deed(Deed::Fails)).await.expect("started");
    let end = end(&*executor, &job).await;
    assert_eq!(end.outcome, Outcome::StepFailed { step: "a".to_owned() });
    assert_eq!(end.step("a").and_then(|step| step.code), Some(3));
    assert_eq!(end.step("b"), None);
    assert_eq!(output(&*executor, &job).await, "bad\n");
}

async fn a_missing_program_cannot_start(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("missing"));
    executor.start(&job, deed(Deed::Missing)).await.expect("started");
    let reason = "the program \"/nowhere/program\" was not found".to_owned();
    assert_eq!(end(&*executor, &job).await.outcome, Outcome::CannotStart { step: "a".to_owned(), reason });
}

async fn a_second_start_finds_the_first(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("twice"));
    assert_eq!(executor.start(&job, deed(Deed::Waits)).await.expect("started"), Started::New);
    assert_eq!(executor.start(&job, deed(Deed::Fails)).await.expect("found"), Started::AlreadyThere);
    until_printed(&*executor, &job, "ready").await;
    lab.release(&job);
    assert_eq!(end(&*executor, &job).await.outcome, Outcome::Completed);
    assert_eq!(executor.start(&job, deed(Deed::Fails)).await.expect("found"), Started::AlreadyThere);
    assert_eq!(end(&*executor, &job).await.outcome, Outcome::Completed);
}

async fn a_job_is_found_again_by_a_new_server(lab: &dyn Lab) {
    let job = job("again");
    let executor = lab.executor();
    executor.start(&job, deed(Deed::Waits)).await.expect("started");
    until_printed(&*executor, &job, "ready").await;
    drop(executor);
    let executor = lab.reopened();
    assert_eq!(executor.status(&job).await.expect("a status"), JobStatus::Running);
    assert_eq!(executor.start(&job, deed(Deed::Fails)).await.expect("found"), Started::AlreadyThere);
    lab.release(&job);
    assert_eq!(end(&*executor, &job).await.outcome, Outcome::Completed);
    let first = end(&*executor, &job).await;
    assert_eq!(end(&*lab.reopened(), &job).await, first);
}

async fn every_cursor_resumes_without_gap_or_repetition(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("cursors"));
    executor.start(&job, deed(Deed::Hello)).await.expect("started");
    let all = events(&*executor, &job, Cursor::default()).await;
    assert!(all.len() >= 7, "{all:?}");
    for (index, event) in all.iter().enumerate() {
        let rest = events(&*lab.reopened(), &job, event.next).await;
        // Behind the end is the end itself.
        let expected = if index + 1 == all.len() { &all[index..] } else { &all[index + 1..] };
        assert_eq!(rest, expected, "from event {index}");
    }
}

async fn a_live_stream_goes_on_to_the_end(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("live"));
    executor.start(&job, deed(Deed::Waits)).await.expect("started");
    let mut stream = executor.events(&job, Cursor::default());
    let (mut seen, mut released) = (Vec::new(), false);
    let read = async {
        while let Some(event) = stream.next().await {
            let event = event.expect("an event");
            if matches!(event.kind, JobEventKind::Output { .. }) && !released {
                released = true;
                lab.release(&job);
            }
            seen.push(event);
        }
    };
    tokio::time::timeout(BOUND, read).await.expect("it ends");
    assert!(released && matches!(seen.last().expect("events").kind, JobEventKind::Ended(_)));
    assert_eq!(seen, events(&*executor, &job, Cursor::default()).await);
}

async fn an_interrupt_ends_a_job_that_heeds_it(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("interrupt"));
    executor.start(&job, deed(Deed::Waits)).await.expect("started");
    until_printed(&*executor, &job, "ready").await;
    executor.interrupt(&job).await.expect("interrupted");
    executor.interrupt(&job).await.expect("again");
    assert_eq!(end(&*executor, &job).await.outcome, Outcome::Interrupted { step: "a".to_owned() });
    executor.interrupt(&job).await.expect("an ended job is fine");
}

async fn a_stubborn_job_is_killed_after_the_grace(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("stubborn"));
    let mut spec = deed(Deed::Stubborn);
    spec.grace = std::time::Duration::from_millis(200);
    executor.start(&job, spec).await.expect("started");
    until_printed(&*executor, &job, "ready").await;
    executor.interrupt(&job).await.expect("interrupted");
    lab.end_grace(&job);
    let end = end(&*executor, &job).await;
    assert_eq!(end.outcome, Outcome::Killed { step: "a".to_owned() });
    assert_eq!(end.step("a").and_then(|step| step.signal), Some(9));
}

async fn the_timeout_passes(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("timeout"));
    let mut spec = deed(Deed::Waits);
    spec.timeout = std::time::Duration::from_millis(300);
    executor.start(&job, spec).await.expect("started");
    lab.time_out(&job);
    assert_eq!(end(&*executor, &job).await.outcome, Outcome::TimedOut { step: "a".to_owned() });
}

async fn a_kill_is_at_once(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("kill"));
    executor.start(&job, deed(Deed::Stubborn)).await.expect("started");
    until_printed(&*executor, &job, "ready").await;
    executor.kill(&job).await.expect("killed");
    let JobStatus::Ended(ended) = executor.status(&job).await.expect("a status") else { panic!("it still runs") };
    assert_eq!(ended.outcome, Outcome::Killed { step: "a".to_owned() });
    executor.kill(&job).await.expect("an ended job is fine");
}

async fn absent_jobs_are_absent(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("absent"));
    assert_eq!(executor.status(&job).await.expect("a status"), JobStatus::Absent);
    executor.interrupt(&job).await.expect("fine");
    executor.kill(&job).await.expect("fine");
    executor.remove(&job).await.expect("fine");
    let first = executor.events(&job, Cursor::default()).next().await.expect("an answer");
    assert!(matches!(first, Err(ExecError::Absent { .. })), "{first:?}");
    assert!(matches!(content(&*executor, &job, "kept.txt").await, Err(ExecError::Absent { .. })));
}

async fn a_removed_job_may_start_anew(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("removed"));
    executor.start(&job, deed(Deed::Stubborn)).await.expect("started");
    until_printed(&*executor, &job, "ready").await;
    executor.remove(&job).await.expect("removed while it runs");
    assert_eq!(executor.status(&job).await.expect("a status"), JobStatus::Absent);
    assert_eq!(executor.start(&job, deed(Deed::Hello)).await.expect("started"), Started::New);
    assert_eq!(end(&*executor, &job).await.outcome, Outcome::Completed);
    executor.remove(&job).await.expect("removed");
    executor.remove(&job).await.expect("absent is fine");
}

async fn huge_output_is_limited_and_counted(lab: &dyn Lab) {
    let (executor, job) = (lab.executor(), job("huge"));
    executor.start(&job, deed(Deed::Huge)).await.expect("started");
    let end = end(&*executor, &job).await;
    assert_eq!((end.outcome, end.log_dropped), (Outcome::Completed, 99_000));
    assert_eq!(output(&*executor, &job).await, "x".repeat(1000));
}

async fn files_are_there_after_the_end_only(lab: &dyn Lab) {
    let (executor, waiting, done) = (lab.executor(), job("files-1"), job("files-2"));
    executor.start(&waiting, deed(Deed::Waits)).await.expect("started");
    assert!(matches!(content(&*executor, &waiting, "kept.txt").await, Err(ExecError::Absent { .. })));
    executor.start(&done, deed(Deed::Hello)).await.expect("started");
    end(&*executor, &done).await;
    assert_eq!(content(&*executor, &done, "kept.txt").await.expect("a file"), b"keep");
    assert!(matches!(content(&*executor, &done, "none.txt").await, Err(ExecError::Absent { .. })));
    executor.kill(&waiting).await.expect("killed");
}

async fn it_is_ready(lab: &dyn Lab) {
    lab.executor().ready().await.expect("ready");
}
