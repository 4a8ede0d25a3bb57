//! A small world for tests. Must never be reached by production code.

use std::collections::BTreeMap;

use model::affected::{Affected, AffectedStack};
use model::diagnostic::{Diagnostic, Diagnostics};
use model::id::{
    CommitSha, InstallationId, PullNumber, RelPath, RepoId, RepoName, RunId, RunNumber, StackName, TreeId, Workspace,
};
use model::plan::{Counts, Fingerprint, PlanDocument, Risk};
use model::pull::{GateFacts, PullSnapshot, PullState};
use model::run::{RunKind, RunState, Wanted};
use model::stack::{ApplyMode, NotYet, Origin, PlanSettings, Stack, Watch};
use model::survey::{BaseTrust, Survey, SurveyedStack};
use model::time::Timestamp;

use super::pull::{Step, decide};
use crate::world::{
    GatesRow, Holder, LockRow, MergingRow, NewRun, PublicationRow, PullRow, PullWorld, RepoRow, RunRow,
};

type Change = (&'static str, fn(&mut PullWorld));

fn survey(world: &mut PullWorld) -> &mut Survey {
    world.pull.survey.as_mut().expect("sampled")
}

fn facts(world: &mut PullWorld) -> &mut PullSnapshot {
    world.pull.snapshot.as_mut().expect("sampled")
}

/// Reasons for which nothing runs.
pub(super) const SURVEYS: &[Change] = &[
    ("unconfigured", |w| survey(w).configured = false),
    ("fork", |w| facts(w).fork = true),
    ("untrusted", |w| survey(w).base_trust = BaseTrust::Untrusted),
    ("errors", |w| survey(w).diagnostics.push(Diagnostic::error("x", "y"))),
    ("conflicts", |w| survey(w).conflicts.push(RelPath::root())),
    ("unaffected", |w| survey(w).affected = Affected::default()),
    ("draft", |w| facts(w).draft = true),
];

/// What else may happen.
pub(super) const MOVES: &[Change] = &[
    ("nothing", |_| {}),
    ("push", |w| push(w, 'c')),
    ("changed inputs", |w| survey(w).stacks[0].inputs_digest = "other".to_owned()),
    ("secret", |w| survey(w).stacks[0].stack.not_yet.push(secret())),
    ("by hand", |w| survey(w).stacks[0].stack.plan.auto = false),
    ("closed", |w| facts(w).state = PullState::Closed),
    ("reading", |w| w.pull.survey_key = None),
    ("trouble", |w| {
        w.pull.survey_key = None;
        w.pull.trouble = Some("git: no".to_owned());
    }),
];

fn sha(digit: char) -> CommitSha {
    CommitSha::parse(&digit.to_string().repeat(40)).expect("forty digits")
}

pub(super) fn secret() -> NotYet {
    NotYet { what: "the secret `A`".to_owned(), at: None }
}

fn stack(name: &str) -> SurveyedStack {
    let stack = Stack {
        name: StackName::parse(name).expect("a name"),
        path: RelPath::parse(name).expect("a path"),
        workspace: Workspace::default_workspace(),
        origin: Origin::Discovered,
        declared_at: None,
        was: Vec::new(),
        tool: None,
        tags: Default::default(),
        var: Default::default(),
        env: Default::default(),
        secrets: Vec::new(),
        var_files: Vec::new(),
        watch: Watch::default(),
        depends_on: Vec::new(),
        plan: PlanSettings::default(),
        apply: ApplyMode::Merge,
        apply_options: Default::default(),
        lock: Default::default(),
        require: Default::default(),
        access: Default::default(),
        state: None,
        not_yet: Vec::new(),
    };
    SurveyedStack {
        stack,
        directory: Default::default(),
        paths: Vec::new(),
        new_secrets: Vec::new(),
        secret_versions: Vec::new(),
        inputs_digest: name.to_owned(),
    }
}

fn snapshot() -> PullSnapshot {
    PullSnapshot {
        number: PullNumber::new(7),
        title: "t".to_owned(),
        author: "ann".to_owned(),
        author_is_bot: false,
        state: PullState::Open,
        draft: false,
        head: sha('a'),
        head_branch: "topic".to_owned(),
        fork: false,
        base: sha('b'),
        base_branch: "main".to_owned(),
        merge_commit: None,
        mergeable: Some(true),
        labels: Vec::new(),
        updated_at: Timestamp::from_seconds(1),
        merged_at: None,
    }
}

fn surveyed() -> Survey {
    let stacks = vec![stack("dns"), stack("network"), stack("other")];
    let hit =
        |s: &SurveyedStack| AffectedStack { stack: s.stack.name.clone(), path: s.stack.path.clone(), why: Vec::new() };
    Survey {
        base: sha('b'),
        head: sha('a'),
        plan_tree: Some(TreeId::parse(&"d".repeat(40)).expect("forty digits")),
        ours: false,
        conflicts: Vec::new(),
        configured: true,
        base_trust: BaseTrust::Trusted,
        diagnostics: Diagnostics::new(),
        config_changed: Vec::new(),
        trusted_errors: Default::default(),
        added: Vec::new(),
        weakened: Vec::new(),
        access: Default::default(),
        not_yet: Vec::new(),
        prefixes: Vec::new(),
        comment_on: "changes".to_owned(),
        changed: Vec::new(),
        affected: Affected { affected: stacks[..2].iter().map(hit).collect(), ..Affected::default() },
        stacks,
    }
}

/// Two of three stacks are affected; nothing ran yet.
pub(crate) fn world() -> PullWorld {
    let repo = RepoId::new(1);
    let mut world = PullWorld {
        base_url: "https://b".to_owned(),
        slug: "buildit".to_owned(),
        app: Some(99),
        now: Timestamp::from_seconds(100),
        keeps_states: false,
        may_apply: false,
        repo: RepoRow {
            installation: InstallationId::new(1),
            name: RepoName::parse("acme/infra").expect("a name"),
            snapshot: None,
        },
        pull: PullRow {
            repo,
            number: PullNumber::new(7),
            asked: 1,
            seen: 1,
            first_seen: Timestamp::from_seconds(1),
            snapshot: Some(snapshot()),
            default_tip: Some(sha('b')),
            heard: 1,
            cursor: None,
            survey: Some(surveyed()),
            survey_key: None,
            trouble: None,
            gates: GatesRow::default(),
            allowed: None,
            merging: MergingRow::default(),
            since: None,
            head_since: None,
        },
        runs: Vec::new(),
        landed: Vec::new(),
        landing: None,
        applies: Vec::new(),
        locks: Vec::new(),
        shown: Vec::new(),
        stacks: BTreeMap::new(),
        freeze: None,
        commands: Vec::new(),
        publications: Vec::new(),
        queue: Vec::new(),
    };
    world.pull.survey_key = super::survey_key(&world);
    world
}

/// A new head, surveyed with the same inputs.
pub(crate) fn push(world: &mut PullWorld, head: char) {
    facts(world).head = sha(head);
    survey(world).head = sha(head);
    world.pull.survey_key = super::survey_key(world);
}

/// Carries the decision out once, as the engine would.
pub(crate) fn settle(world: &mut PullWorld) {
    for step in decide(world) {
        carry_out(world, step);
    }
}

pub(super) fn carry_out(world: &mut PullWorld, step: Step) {
    {
        match step {
            Step::Refresh => world.pull.seen = world.pull.asked,
            Step::Listen => world.pull.heard = world.pull.asked,
            Step::Answer { id, outcome, steps } => {
                for row in world.commands.iter_mut().filter(|row| row.id == id) {
                    (row.done, row.outcome) = (true, outcome.as_deref().cloned());
                }
                steps.into_iter().for_each(|step| carry_out(world, step));
            }
            Step::Survey { key } => world.pull.survey_key = Some(key),
            Step::Create(what) => {
                let number = world.runs.len() + world.applies.len() + 1;
                let run = run(i64::try_from(number).expect("few"), *what);
                world.queue.push(run.number);
                match run.what.kind {
                    RunKind::Plan => world.runs.push(run),
                    RunKind::Apply => {
                        let holder = Some(Holder { pull: run.pull, since: run.created_at });
                        if let Some(key) = run.lock_key() {
                            world.locks.retain(|lock| lock.key != key);
                            world.locks.push(LockRow { key, holder, waiters: Vec::new() });
                        }
                        world.applies.push(run);
                    }
                }
            }
            Step::ReadGates(wants) => {
                let (row, snapshot) = (&mut world.pull.gates, world.pull.snapshot.as_ref().expect("sampled"));
                row.facts = Some(GateFacts::of(snapshot, &wants));
                (row.seen, row.at) = (world.pull.seen, Some(world.now));
            }
            // The landing's own world is not sampled here.
            Step::AskPull
            | Step::SurveyLanding { .. }
            | Step::AskStack { .. }
            | Step::EndStack { .. }
            | Step::CloseLanding { .. } => {}
            Step::TrustState { stack, lineage } => world.stacks.entry(stack).or_default().lineage = lineage,
            Step::PushState { stack, .. } => world.stacks.entry(stack).or_default().unstored = None,
            Step::BreakLock { stack, .. } => world.stacks.entry(stack).or_default().lock = None,
            Step::Merge { .. } => world.pull.snapshot.as_mut().expect("sampled").state = PullState::Merged,
            Step::Allow { head } => world.pull.allowed = Some(head),
            Step::Thaw { stack } => world.stacks.entry(stack).or_default().frozen = None,
            Step::Take { key } => {
                let holder = Some(Holder { pull: world.pull.number, since: world.now });
                world.locks.retain(|lock| lock.key != key);
                world.locks.push(LockRow { key, holder, waiters: Vec::new() });
            }
            Step::Release { key, pull: me } => {
                for lock in world.locks.iter_mut().filter(|lock| lock.key == key) {
                    lock.holder = lock.holder.filter(|holder| holder.pull != me);
                    lock.waiters.retain(|waiter| waiter.pull != me);
                }
            }
            Step::Leave { key } => {
                let me = world.pull.number;
                for lock in world.locks.iter_mut().filter(|lock| lock.key == key) {
                    lock.waiters.retain(|waiter| waiter.pull != me);
                }
            }
            Step::Enter { key, waiter } => match world.locks.iter_mut().find(|lock| lock.key == key) {
                Some(lock) => lock.waiters.push(waiter),
                None => world.locks.push(LockRow { key, holder: None, waiters: vec![waiter] }),
            },
            Step::Want { run, wanted } => {
                world.runs.iter_mut().filter(|row| row.id == run).for_each(|row| row.wanted = wanted);
            }
        }
    }
}

fn run(number: i64, what: NewRun) -> RunRow {
    RunRow {
        id: RunId::parse(&format!("00000000-0000-7000-8000-{number:012}")).expect("a UUID"),
        number: RunNumber::new(number),
        repo: RepoId::new(1),
        pull: PullNumber::new(7),
        what,
        state: RunState::Queued,
        wanted: Wanted::Run,
        version: 1,
        attempt: 1,
        created_at: Timestamp::from_seconds(2),
        started_at: None,
        ended_at: None,
        job_started: false,
        job_lost: false,
        job_removed: false,
        interrupted_at: None,
        job_end: None,
        tool: None,
        failure: None,
        tail: None,
        cursor: 0,
        skip: 0,
        log_bytes: 0,
        phase: None,
        done: 0,
        epoch: None,
        asked: None,
        state_seen: None,
        unknown: Vec::new(),
        upstream: BTreeMap::new(),
        document: None,
    }
}

/// A plan with these fingerprint items.
pub(crate) fn document(items: &[(&str, &str)]) -> PlanDocument {
    let items = items.iter().map(|(key, hash)| ((*key).to_owned(), (*hash).to_owned())).collect();
    PlanDocument {
        counts: Counts::default(),
        changes: Vec::new(),
        outputs: Vec::new(),
        drift: Vec::new(),
        warnings: Vec::new(),
        complete: true,
        errored: false,
        plan_timestamp: false,
        risk: Risk::Low,
        fingerprint: Fingerprint { root: String::new(), items },
        tool_version: String::new(),
    }
}

pub(super) fn publication(target: &str) -> PublicationRow {
    PublicationRow {
        target: target.to_owned(),
        commit: None,
        published: None,
        remote_id: Some(1),
        content: None,
        closed: false,
    }
}
