//! The kill matrix (R4): {server, entry, tool} × {TERM, KILL} × phases of a run, with the real tools on the state that
//! is kept here.
//!
//! One scene per victim and signal: each phase is a stack of its own, held at its moment by the gate; then all of
//! the victim are struck at once. Within the bound people read the truth, and it is the truth: what the pull request
//! says is compared with what was made, with the state, and with how often anything was begun.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fake_github::Fault;
use model::id::StackName;
use model::stack::Tool;
use reconciler::states::{Standing, States};
use sqlx::Row as _;

use super::gate::Moment;
use super::life::{Signal, send, until};
use super::scene::{Scene, Serve, TRUTH, known, pid, row, three};
use crate::serving::SHOP;

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Entry,
    Tool,
}

/// When. Each is the name of a stack too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A plan waits for a place.
    Queued,
    /// `init` of a plan runs.
    Init,
    /// A plan runs.
    Plan,
    /// `init` of an apply runs: its tool has not begun.
    Start,
    /// The apply has its lock, and made nothing yet.
    Locked,
    /// One of three is made, and the second is under way.
    Middle,
    /// All is made, and the state is not written.
    Write,
    /// The state is written, and nothing of that is recorded.
    Stored,
    /// It is recorded, and GitHub is being told.
    Told,
}

/// What a person reads of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    /// A plan that can be applied, nothing of which was made.
    Ready,
    /// The plan failed.
    Failed,
    /// All is made.
    Applied,
    /// The apply stopped, what it made is stored, and what is left is planned.
    Stopped,
    /// Somebody must look.
    Lost,
}

/// Each has a run of its own that is held there.
const HELD: [(Phase, Moment); 6] = [
    (Phase::Plan, Moment::Plan),
    (Phase::Start, Moment::Start),
    (Phase::Locked, Moment::Locked),
    (Phase::Write, Moment::Write),
    (Phase::Stored, Moment::Unlock),
    (Phase::Init, Moment::Init),
];
/// Phases of applies.
const APPLIES: [Phase; 5] = [Phase::Start, Phase::Locked, Phase::Middle, Phase::Write, Phase::Stored];
/// A stack that only keeps another company.
const BESIDE: &str = "beside";
/// All places of the server are taken at the strike.
const SLOTS: u32 = 7;

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Init => "init",
            Self::Plan => "plan",
            Self::Start => "start",
            Self::Locked => "locked",
            Self::Middle => "middle",
            Self::Write => "write",
            Self::Stored => "stored",
            Self::Told => "told",
        }
    }

    fn of(victim: Victim) -> Vec<Self> {
        let mut all = vec![Self::Init, Self::Plan];
        all.extend(APPLIES);
        // No entry and no tool lives before a run has its place, or after its end.
        all.extend([Self::Queued, Self::Told].into_iter().filter(|_| victim == Victim::Server));
        all
    }

    fn is_plan(self) -> bool {
        matches!(self, Self::Queued | Self::Init | Self::Plan)
    }

    fn kind(self) -> &'static str {
        if self.is_plan() { "plan" } else { "apply" }
    }

    /// What was made to its end when it is struck.
    fn complete(self) -> &'static [&'static str] {
        match self {
            Self::Middle => &["a"],
            Self::Write | Self::Stored | Self::Told => &["a", "b", "c"],
            Self::Queued | Self::Init | Self::Plan | Self::Start | Self::Locked => &[],
        }
    }
}

/// What may be told: the state saved where it can be, and nothing begun a second time.
fn expected(victim: Victim, signal: Signal, phase: Phase) -> &'static [Truth] {
    use Phase::{Init, Locked, Middle, Plan, Queued, Start, Stored, Told, Write};
    match (victim, signal, phase) {
        (Victim::Server, _, Queued | Init | Plan) | (Victim::Entry, Signal::Kill, Init | Plan) => &[Truth::Ready],
        // The tools outlive a server that is killed, and an entry that is killed leaves them at work; but of the
        // latter nobody knows how they ended.
        (Victim::Server, Signal::Kill, _) | (Victim::Server, Signal::Term, Told) => &[Truth::Applied],
        (Victim::Entry, Signal::Kill, _) => &[Truth::Lost],
        // Only the tool knows what it had not stored.
        (Victim::Tool, Signal::Kill, Locked | Middle | Write | Stored) => &[Truth::Lost],
        // It is too late to stop, or the tool still finds out.
        (_, Signal::Term, Write | Stored) => &[Truth::Applied],
        (_, Signal::Term, Middle) => &[Truth::Stopped],
        (_, Signal::Term, Locked) => &[Truth::Stopped, Truth::Ready],
        (_, Signal::Term, Start) => &[Truth::Stopped, Truth::Ready],
        (_, Signal::Term, Plan) => &[Truth::Failed, Truth::Ready],
        (_, _, Init | Plan) => &[Truth::Failed],
        (_, _, Start) => &[Truth::Stopped],
        (_, _, Queued | Told) => &[],
    }
}

/// The truth of a row, once it has one.
fn read(row: &str) -> Option<Truth> {
    let words = [
        ("applied, 3 of 3 changes", Truth::Applied),
        ("its worker was lost", Truth::Lost),
        (" failed | a fix", Truth::Failed),
        ("a fix: ", Truth::Stopped),
        ("`buildit apply`", Truth::Ready),
        ("approvals 0 of 1", Truth::Ready),
    ];
    words.into_iter().find(|(words, _)| row.contains(words)).map(|(_, truth)| truth)
}

/// Pull requests of a scene.
struct Pulls {
    one: u64,
    late: u64,
    told: u64,
}

impl Pulls {
    fn of(&self, phase: Phase) -> u64 {
        match phase {
            Phase::Init | Phase::Queued => self.late,
            Phase::Told => self.told,
            _ => self.one,
        }
    }
}

/// Everybody is where they shall be struck.
async fn set(scene: &mut Scene, victim: Victim) -> Pulls {
    for (phase, moment) in HELD {
        scene.gate.hold(phase.name(), moment);
    }
    scene.gate.hold(Phase::Told.name(), Moment::Unlock);
    scene.start().await;
    let file = |phase: &Phase| {
        let go = (*phase == Phase::Middle).then(|| go(scene));
        (format!("{}/main.tf", phase.name()), three(&scene.journal(phase.name()), go.as_deref()))
    };
    let files: Vec<_> = [&[Phase::Plan], &APPLIES[..]].concat().iter().map(file).collect();
    let one = scene.open("one", &files);
    // It needs the last place only for a while.
    let told = match victim {
        Victim::Server => {
            // A comment on one stack has no row.
            let beside = (format!("{BESIDE}/main.tf"), three(&scene.journal(BESIDE), None));
            scene.open("told", &[file(&Phase::Told), beside])
        }
        Victim::Entry | Victim::Tool => 0,
    };
    ready(scene, one, &APPLIES).await;
    if told > 0 {
        ready(scene, told, &[Phase::Told]).await;
    }
    scene.gate.until_held(Phase::Plan.name()).await;
    let all: Vec<String> = APPLIES.iter().map(|phase| format!("-p {}", phase.name())).collect();
    scene.say(one, &format!("buildit apply {}", all.join(" "))).await;
    for phase in [Phase::Start, Phase::Locked, Phase::Write, Phase::Stored] {
        scene.gate.until_held(phase.name()).await;
    }
    until("the middle", || scene.made(Phase::Middle.name()) == "ab").await;
    scene.reads(one, Phase::Middle.name(), "the apply: 1 of 3 changes").await;
    for phase in [Phase::Write, Phase::Stored] {
        scene.reads(one, phase.name(), "the apply: 3 of 3 changes").await;
    }
    if told > 0 {
        scene.double.comment(SHOP, told, "ana", "buildit apply -p told").expect("a comment");
        scene.gate.until_held(Phase::Told.name()).await;
        scene.reads(told, Phase::Told.name(), "the apply: 3 of 3 changes").await;
        let route = "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}";
        scene.double.fail_next(route, 1, Fault::AnswerHeld).expect("a route");
        scene.gate.release(Phase::Told.name());
        until("GitHub is being told", || scene.double.held_answers() == 1).await;
    }
    let late = scene.open("late", &[file(&Phase::Init), file(&Phase::Queued)]);
    scene.gate.until_held(Phase::Init.name()).await;
    let waits = |seen: &bot::app::onlooker::Seen| {
        let check = seen.check("buildit/plan");
        check.is_some_and(|it| it.status != "completed")
    };
    scene.sees(late, TRUTH, "the queue", waits).await;
    Pulls { one, late, told }
}

async fn ready(scene: &Scene, pull: u64, phases: &[Phase]) {
    for phase in phases {
        scene.reads(pull, phase.name(), "+3").await;
    }
    scene.approve(pull).await;
    for phase in phases {
        scene.reads(pull, phase.name(), "`buildit apply`").await;
    }
}

fn go(scene: &Scene) -> PathBuf {
    scene.dir.path().join("go")
}

fn release(scene: &Scene, phases: &[Phase]) {
    phases.iter().for_each(|phase| scene.gate.release(phase.name()));
}

/// Strikes, and lets go on whatever can.
async fn strike(scene: &mut Scene, victim: Victim, signal: Signal) {
    let everybody: Vec<Phase> = HELD.iter().map(|(phase, _)| *phase).collect();
    match (victim, signal) {
        (Victim::Server, Signal::Kill) => {
            scene.kill();
            release(scene, &everybody);
            std::fs::write(go(scene), "").expect("written");
            scene.double.mend();
            scene.start().await;
        }
        (Victim::Server, Signal::Term) => {
            send(scene.life().pid(), signal);
            for phase in APPLIES {
                let job = scene.job(phase.name(), "apply");
                until("the interrupt", || job.join("interrupted").exists()).await;
            }
            release(scene, &APPLIES);
            if !super::is_full() {
                // A GitHub that says nothing any more is left alone after half a minute.
                scene.double.mend();
            }
            scene.left().await;
            scene.double.mend();
            release(scene, &everybody);
            scene.start().await;
        }
        (Victim::Entry | Victim::Tool, _) => {
            let file = if victim == Victim::Entry { "entry.json" } else { "step.json" };
            let struck: Vec<Phase> = Phase::of(victim);
            let jobs: Vec<PathBuf> = struck.iter().map(|phase| scene.job(phase.name(), phase.kind())).collect();
            jobs.iter().for_each(|job| send(pid(job, file), signal));
            if (victim, signal) == (Victim::Tool, Signal::Kill) {
                // What they asked for is still on its way.
                return;
            }
            if victim == Victim::Entry && signal == Signal::Term {
                for job in &jobs {
                    until("the interrupt", || job.join("interrupted").exists()).await;
                }
            }
            release(scene, &everybody);
            if (victim, signal) == (Victim::Entry, Signal::Kill) {
                std::fs::write(go(scene), "").expect("written");
            }
        }
    }
}

/// Until the truth is told of a phase.
async fn truth(scene: &Scene, pulls: &Pulls, phase: Phase) -> (Truth, Vec<String>) {
    let stack = phase.name();
    let told = |seen: &bot::app::onlooker::Seen| row(seen, stack).and_then(|row| read(&row));
    let what = format!("the truth of {stack}");
    let seen = scene.sees(pulls.of(phase), TRUTH, &what, |seen| told(seen).is_some()).await;
    (told(&seen).expect("it was there"), seen.comments.into_iter().map(|it| it.body).collect())
}

/// Is what is told of a phase what there is?
async fn check(states: &States, scene: &Scene, phase: Phase, (told, comments): (Truth, &[String])) {
    let name = StackName::parse(phase.name()).expect("a name");
    let (made, cell) = (scene.made(phase.name()), format!("{phase:?} {told:?}"));
    let once: BTreeSet<char> = made.chars().collect();
    assert_eq!(once.len(), made.len(), "{cell}: something was made twice: {made}");
    let repo = scene.repo().await;
    let known = known(states, repo, &name).await;
    let stack = states.stack(repo, &name).await.expect("read");
    let frozen = stack.as_ref().is_some_and(|stack| stack.frozen.is_some());
    assert_eq!(frozen, told == Truth::Lost, "{cell}: frozen");
    if told != Truth::Lost {
        assert!(stack.is_none_or(|stack| stack.lock.is_none()), "{cell}: nobody holds the state's lock");
    }
    let list = |all: &[&str]| all.iter().map(|it| format!("terraform_data.{it}")).collect::<BTreeSet<_>>();
    match told {
        Truth::Applied => assert_eq!((made.as_str(), &known), ("abc", &list(&["a", "b", "c"])), "{cell}"),
        Truth::Ready | Truth::Failed => assert_eq!((made.as_str(), known.len()), ("", 0), "{cell}"),
        Truth::Stopped => {
            // Also what was begun when it stopped, and not noted any more.
            let missing = made.chars().find(|it| !known.contains(&format!("terraform_data.{it}")));
            assert_eq!(missing, None, "{cell}: what was made is stored");
        }
        Truth::Lost => {
            let complete: Vec<&str> = phase.complete().to_vec();
            let notice = notice(comments, phase.name());
            for address in list(&["a", "b", "c"]) {
                let lost = list(&complete).contains(&address) && !known.contains(&address);
                assert_eq!(
                    notice.contains(&address),
                    lost,
                    "{cell}: {address} is listed if nothing knows it: {notice}"
                );
            }
        }
    }
}

/// The comment that asks somebody to look.
fn notice<'a>(comments: &'a [String], stack: &str) -> &'a str {
    let start = format!("### The apply of `{stack}` lost its worker");
    let is = |it: &&String| it.contains(&start) && !it.contains("buildit:summary");
    comments.iter().find(is).unwrap_or_else(|| panic!("somebody is asked to look at {stack}: {comments:#?}"))
}

/// Every cell of a victim and a signal, with one tool.
async fn cells(victim: Victim, signal: Signal, tool: Tool) {
    let Some(program) = crate::town::real::program(tool) else { return };
    let mut phases = Phase::of(victim);
    phases.sort_by_key(|phase| phase.name());
    let mut stacks: BTreeSet<&str> = phases.iter().map(|phase| phase.name()).collect();
    stacks.extend([BESIDE, Phase::Queued.name()]);
    let stacks: Vec<&str> = stacks.into_iter().collect();
    let serve = Serve { tool: &program, slots: SLOTS, more: "drain_seconds = 1" };
    let mut scene = Scene::new(&stacks, &serve).await;
    let pulls = set(&mut scene, victim).await;
    strike(&mut scene, victim, signal).await;
    let struck = super::life::now();
    let (states, store) = scene.states().await;
    let mut slowest = std::time::Duration::ZERO;
    for phase in &phases {
        let (told, _) = truth(&scene, &pulls, *phase).await;
        slowest = slowest.max(struck.elapsed());
        let allowed = expected(victim, signal, *phase);
        assert!(allowed.contains(&told), "{victim:?} {signal:?} {phase:?}: {told:?}, not {allowed:?}");
    }
    late_words(&scene, &states, (victim, signal)).await;
    // It stays so, and is so.
    scene.rests().await;
    for phase in &phases {
        let (told, comments) = truth(&scene, &pulls, *phase).await;
        check(&states, &scene, *phase, (told, &comments)).await;
    }
    send(scene.life().pid(), Signal::Term);
    scene.left().await;
    for run in scene.rows("select stack, count(*) as n from runs where kind='apply' group by stack").await {
        let (stack, count) = (run.get::<String, _>("stack"), run.get::<i64, _>("n"));
        assert_eq!(count, 1, "{stack} was applied more than once");
    }
    assert_eq!(scene.double.violations(), Vec::<String>::new());
    store.close().await;
    println!("{victim:?} {signal:?} {tool:?}: {} cells, the last truth after {slowest:?}", phases.len());
}

/// What dead tools had asked for comes now: too late for the head, and kept.
async fn late_words(scene: &Scene, states: &States, of: (Victim, Signal)) {
    if of != (Victim::Tool, Signal::Kill) {
        return;
    }
    let everybody: Vec<Phase> = HELD.iter().map(|(phase, _)| *phase).collect();
    release(scene, &everybody);
    let write = Phase::Write.name();
    until("an answer", || scene.gate.answer(write).is_some()).await;
    assert_ne!(scene.gate.answer(write), Some(200), "its run has an end");
    let repo = scene.repo().await;
    let name = StackName::parse(write).expect("a name");
    assert!(states.head(repo, &name).await.expect("read").is_none());
    let versions = states.versions(repo, &name).await.expect("read");
    assert!(matches!(versions.as_slice(), [one] if matches!(one.standing, Standing::Orphan { .. })), "{versions:?}");
}

macro_rules! cells {
    ($($name:ident: $victim:ident $signal:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            cells(Victim::$victim, Signal::$signal, Tool::Terraform).await;
            if super::is_full() {
                cells(Victim::$victim, Signal::$signal, Tool::OpenTofu).await;
            }
        }
    )*};
}

cells! {
    a_server_that_is_stopped: Server Term,
    a_server_that_is_killed: Server Kill,
    an_entry_that_is_stopped: Entry Term,
    an_entry_that_is_killed: Entry Kill,
    a_tool_that_is_stopped: Tool Term,
    a_tool_that_is_killed: Tool Kill,
}
