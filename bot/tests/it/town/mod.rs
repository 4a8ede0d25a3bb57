//! The town: the server's production parts against the double of GitHub over real HTTP, with a clock that only a
//! test moves. What is asserted is what a person would see on GitHub.
//!
//! Nothing here sleeps. `settle` goes on until a round changes nothing; time passes only by `advance`.

mod applying;
mod buttons;
mod commands;
mod delivering;
mod killing;
pub(crate) mod machine;
mod news;
mod opening;
mod ordering;
mod queueing;
pub(crate) mod real;
mod replicas;
mod running;
mod secrets;
mod server;
mod tool;
mod trap;
mod trust;
mod unusual;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bot::github::manifest;
use fake_github::{AppSpec, Change, FakeGitHub, NewPull, Options, Role};
use futures_util::future::join_all;
use model::id::{JobName, SecretName};
use model::ports::{Clock, Executor};
use model::stack::ResolvedTool;
use reconciler::audit::Actor;
use reconciler::engine::Engine;
use reconciler::secrets::SecretScope;
use runner::exec::Scripted;
use runner::iac::{Iac, IacSettings};

use machine::{CountedIds, Database, ManualClock, databases};
use server::{BOUND, Ground, Server};
use trap::Trap;

pub(crate) use tool::{Reality, main_tf};

/// The repository of most towns.
pub(crate) const SHOP: &str = "acme/shop";
/// More rounds than any scenario needs.
const ROUNDS: usize = 100;
/// More passes than any round needs.
const STEPS: usize = 2_000;
/// Hints that follow each other closely are looked at together; this much waiting is part of settling.
const COALESCED: Duration = Duration::from_secs(1);

/// What a town is made of.
pub(crate) struct Plan<'a> {
    /// The first commit of `acme/shop`.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// Runs at the same time.
    pub(crate) slots: u32,
}

/// One settled world: GitHub, a server, its jobs.
pub(crate) struct Town {
    pub(crate) double: FakeGitHub,
    pub(crate) jobs: Scripted,
    pub(crate) clock: ManualClock,
    /// What scripted applies have made.
    pub(crate) reality: Reality,
    executor: Arc<dyn Fn() -> Arc<dyn Executor>>,
    ground: Ground,
    trap: Arc<Trap>,
    /// None while the server is down.
    server: Option<Server>,
    /// More replicas over the same database, on the server's runtime.
    replicas: Vec<Engine>,
    /// Jobs are processes: settling waits for their ends.
    real: bool,
    /// Commits on `main` behind the first.
    main: RefCell<Vec<String>>,
    story: String,
}

/// How settling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Nothing is left to do now.
    Quiet,
    /// The trap sprang; the server is dead.
    Killed,
}

/// Plays a scenario on every database that is there; what is told must be the same on all.
pub(crate) fn story(plan: &Plan<'_>, scenario: impl Fn(&mut Town)) -> String {
    let mut told: Option<String> = None;
    for database in databases() {
        let mut town = Town::new(plan, &database, Trap::open());
        scenario(&mut town);
        assert_eq!(town.double.violations(), Vec::<String>::new(), "on {database:?}");
        let story = std::mem::take(&mut town.story);
        if let Some(first) = &told {
            same(&story, first, &format!("{database:?} against SQLite"));
        }
        told = Some(story);
    }
    told.expect("there is a database")
}

/// The text with its runs numbered in the order in which they appear: which of two runs was created first depends
/// on which of two hints came first.
fn renumbered(text: &str) -> String {
    let mut known: Vec<&str> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["/r/", "[run ", "[Run "].iter().filter_map(|it| Some(rest.find(it)? + it.len())).min() {
        let digits = rest[at..].bytes().take_while(u8::is_ascii_digit).count();
        let number = &rest[at..at + digits];
        let place = known.iter().position(|it| *it == number).unwrap_or_else(|| {
            known.push(number);
            known.len() - 1
        });
        out.push_str(&format!("{}<run {place}>", &rest[..at]));
        rest = &rest[at + digits..];
    }
    out + rest
}

/// Two long texts that must be equal but for the numbers of runs; says where they differ.
pub(crate) fn same(one: &str, other: &str, what: &str) {
    let (one, other) = (&*renumbered(one), &*renumbered(other));
    if one == other {
        return;
    }
    let (mut left, mut right) = (one.lines(), other.lines());
    let equal = left.by_ref().zip(right.by_ref()).take_while(|(left, right)| left == right).count();
    let part = |text: &str| text.lines().skip(equal.saturating_sub(6)).take(20).collect::<Vec<_>>().join("\n");
    panic!("{what}: they differ from line {}\n--- this\n{}\n--- the other\n{}", equal + 1, part(one), part(other));
}

impl Town {
    pub(crate) fn new(plan: &Plan<'_>, database: &Database, trap: Arc<Trap>) -> Self {
        let clock = ManualClock::new();
        let reality = Reality::default();
        let cloud = reality.clone();
        let jobs = Scripted::new(Arc::new(clock.clone()), move |job| tool::play(&cloud, job));
        let again = jobs.clone();
        let mut town = Self::unserved(plan, database, trap, clock, jobs, Arc::new(move || Arc::new(again.reopened())));
        town.reality = reality;
        town.start();
        town.settle();
        town
    }

    /// A town whose jobs are made by `executor`, with this program as the only tool.
    pub(crate) fn real(
        plan: &Plan<'_>,
        database: &Database,
        program: &std::path::Path,
        executor: Arc<dyn Fn() -> Arc<dyn Executor>>,
    ) -> Self {
        let clock = ManualClock::new();
        let jobs = Scripted::new(Arc::new(clock.clone()), |job| tool::play(&Reality::default(), job));
        let mut town = Self::unserved(plan, database, Trap::open(), clock, jobs, executor);
        town.ground.iac.tools = vec![program.to_owned()];
        town.real = true;
        town.start();
        town.settle();
        town
    }

    fn unserved(
        plan: &Plan<'_>,
        database: &Database,
        trap: Arc<Trap>,
        clock: ManualClock,
        jobs: Scripted,
        executor: Arc<dyn Fn() -> Arc<dyn Executor>>,
    ) -> Self {
        let ticks = clock.clone();
        let options = Options { clock: Arc::new(move || ticks.micros()), ..Options::default() };
        let double = FakeGitHub::start(options).expect("the double starts");
        for login in ["ana", "ben", "eve"] {
            double.add_user(login, &format!("{login}-token")).expect("a user");
        }
        double.add_organization("acme", &["ana"]).expect("an organization");
        let spec = AppSpec::new(7, "buildit", "a webhook secret", &manifest::permissions(), &manifest::EVENTS);
        let app = double.create_app(spec).expect("an app");
        double.create_repository("acme", "shop", plan.files).expect("a repository");
        double.set_permission(SHOP, "ben", Role::Write).expect("a role");
        double.set_permission(SHOP, "eve", Role::Read).expect("a role");
        double.install_app(app.app_id, SHOP).expect("installed");
        let folder = tempfile::tempdir().expect("a folder");
        let tool = terraform(folder.path());
        let one = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ground = Ground {
            database: one.block_on(database.url(folder.path())),
            folder,
            clock: clock.clone(),
            ids: Arc::new(CountedIds::default()),
            app,
            api_url: double.api_url(),
            iac: IacSettings { tools: vec![tool], ..IacSettings::default() },
            slots: plan.slots,
            lives: AtomicU64::default(),
        };
        Self {
            double,
            jobs,
            clock,
            reality: Reality::default(),
            executor,
            ground,
            trap,
            server: None,
            replicas: Vec::new(),
            real: false,
            main: RefCell::default(),
            story: String::new(),
        }
    }

    /// A first start, or one after `stop` or `kill`: over the same rows, the same GitHub, the same jobs.
    pub(crate) fn start(&mut self) {
        assert!(self.server.is_none(), "it runs already");
        let server = Server::start(&self.ground, &self.double, (self.executor)(), &self.trap);
        let engine = server.engine.clone();
        self.server = Some(server);
        let begun = self.unless_killed(async move {
            engine.start().await.expect("the engine starts");
            engine.resync().await.expect("a look at everything");
        });
        if begun == Settled::Killed {
            self.kill();
        }
    }

    /// Ends the server in good order.
    pub(crate) fn stop(&mut self) {
        self.server.take().expect("it runs").stop();
    }

    /// Ends the server wherever it is.
    pub(crate) fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// One more replica; it takes the webhooks from now on.
    pub(crate) fn add_replica(&mut self) {
        let server = self.server.as_ref().expect("it runs");
        let begun = server::begin(&self.ground, &self.double, (self.executor)(), &self.trap);
        let (engine, ..) = server.runtime.block_on(begun);
        server.runtime.block_on(engine.start()).expect("the engine starts");
        self.replicas.push(engine);
    }

    /// It is gone without a word, its leases are not.
    pub(crate) fn lose_replica(&mut self) {
        drop(self.replicas.pop().expect("there is one"));
        // What it had under way ends when its tasks are next looked at.
        self.server().runtime.block_on(tokio::task::yield_now());
    }

    /// Delivers and lets the last replica alone work, without waiting for jobs.
    pub(crate) fn work_of_replica(&self) {
        let replica = self.replicas.last().expect("there is one");
        self.unless_killed(async {
            self.double.deliver_all().await;
            self.drain(replica).await;
            replica.attendants_idle().await;
            self.drain(replica).await;
        });
    }

    pub(crate) fn is_down(&self) -> bool {
        self.server.is_none()
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    /// Runs on the server until the end or until the trap springs.
    fn unless_killed(&self, work: impl Future<Output = ()>) -> Settled {
        self.server().runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.trap.sprung() => Settled::Killed,
                done = tokio::time::timeout(BOUND, work) => {
                    done.unwrap_or_else(|_| panic!("no end in {BOUND:?}; so far:\n{}", self.shown()));
                    Settled::Quiet
                }
            }
        })
    }

    /// Until nothing is left to do now. A sprung trap kills the server.
    pub(crate) fn settle(&mut self) -> Settled {
        let settled = self.unless_killed(self.rounds());
        if settled == Settled::Killed {
            self.kill();
        }
        settled
    }

    async fn rounds(&self) {
        for _ in 0..ROUNDS {
            if !self.round().await {
                return;
            }
        }
        panic!("{ROUNDS} rounds and still not settled; so far:\n{}", self.shown());
    }

    /// Answers whether anything happened.
    async fn round(&self) -> bool {
        let engine = &self.server().engine;
        let asked = self.double.requests();
        let delivered = self.double.deliver_all().await;
        let steps: usize = join_all(self.engines().map(|engine| self.drain(engine))).await.into_iter().sum();
        self.attended().await;
        let next = engine.next_due().await.expect("an answer");
        let soon = next.filter(|at| *at <= self.clock.now().after(COALESCED));
        if let Some(at) = soon {
            self.clock.to(at);
        }
        delivered > 0 || steps > 0 || soon.is_some() || self.double.requests() != asked
    }

    fn engines(&self) -> impl Iterator<Item = &Engine> {
        std::iter::once(&self.server().engine).chain(&self.replicas)
    }

    /// Steps while something is due; answers how often.
    async fn drain(&self, engine: &Engine) -> usize {
        let mut steps = 0;
        while engine.step().await.expect("a step") {
            steps += 1;
            assert!(steps < STEPS, "{STEPS} passes and still one due; so far:\n{}", self.shown());
        }
        steps
    }

    /// Delivers and steps, without waiting for jobs.
    pub(crate) fn work(&self) {
        self.unless_killed(async {
            self.double.deliver_all().await;
            while self.server().engine.step().await.expect("a step") {}
        });
    }

    /// Until the stored log of a job's run holds this.
    pub(crate) fn until_logged(&self, job: &JobName, text: &str) {
        self.unless_killed(async {
            while !self.server().log(job).await.contains(text) {
                tokio::task::yield_now().await;
            }
        });
    }

    /// The stored log of a job's run.
    pub(crate) fn log(&self, job: &JobName) -> String {
        self.server().runtime.block_on(self.server().log(job))
    }

    /// The programs that may plan.
    pub(crate) fn tools(&self) -> Vec<ResolvedTool> {
        self.server().runtime.block_on(Iac::new(self.ground.iac.clone()).tools())
    }

    /// Until the server has stored what jobs have said so far, or their ends when they are processes.
    async fn attended(&self) {
        if self.real {
            return self.server().engine.attendants_ended().await;
        }
        loop {
            for engine in self.engines() {
                engine.attendants_idle().await;
            }
            if self.trap.is_read() {
                return;
            }
            // It was woken and did not run yet.
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass, and settles.
    pub(crate) fn advance(&mut self, seconds: u64) -> Settled {
        self.clock.to(self.clock.now().after(Duration::from_secs(seconds)));
        let beaten = self.unless_killed(async {
            for engine in self.engines() {
                engine.beat().await.expect("leases are renewed");
            }
        });
        if beaten == Settled::Killed {
            self.kill();
            return beaten;
        }
        self.settle()
    }

    /// A look at everything, and settles.
    pub(crate) fn resync(&mut self) {
        let engine = self.server().engine.clone();
        self.unless_killed(async move { engine.resync().await.expect("a look at everything") });
        self.settle();
    }

    /// What a person sees on GitHub now, with words for what differs from run to run.
    pub(crate) fn shown(&self) -> String {
        // How often our own comment was edited on the way depends on who was quicker.
        let mut shown = self.double.transcript().replace("by buildit[bot] (edited)", "by buildit[bot]");
        for (number, sha) in self.main.borrow().iter().enumerate() {
            for length in [40, 7] {
                shown = shown.replace(&sha[..length], &format!("<main {}>", number + 1));
            }
        }
        let mut parts = shown.split("<!-- buildit:reply:");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |all, part| {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{all}<!-- buildit:reply:<id>{rest}")
        })
    }

    /// Adds what is seen now to the story.
    pub(crate) fn tell(&mut self, when: &str) {
        let shown = self.shown();
        // Writing to a String cannot fail.
        let _ = writeln!(self.story, "#### {when}\n{shown}");
    }

    /// Adds a line to the story.
    pub(crate) fn note(&mut self, line: &str) {
        let _ = writeln!(self.story, "#### {line}\n");
    }
}

/// What people do.
impl Town {
    /// Sets a secret of the organisation, or removes it, and settles.
    pub(crate) fn set_secret(&mut self, name: &str, value: Option<&str>) -> Settled {
        let (secrets, scope) = (self.server().secrets(&self.ground), SecretScope::Owner("acme".to_owned()));
        let (name, by) = (SecretName::parse(name).expect("a name"), Actor::command_line());
        self.server().runtime.block_on(async {
            match value {
                Some(value) => {
                    secrets.set(&scope, &name, &value.to_owned().into(), &by).await.expect("set");
                }
                None => assert!(secrets.remove(&scope, &name, &by).await.expect("removed"), "it was there"),
            }
        });
        self.settle()
    }

    pub(crate) fn commit(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        let changes: Vec<Change> = files.iter().map(|(path, text)| Change::write(*path, text)).collect();
        let sha = self.double.commit_files(SHOP, branch, "ana", message, &changes).expect("a commit");
        if branch == "main" {
            self.main.borrow_mut().push(sha.clone());
        }
        sha
    }

    /// Ana's pull request of these files.
    pub(crate) fn open(&self, branch: &str, title: &str, files: &[(&str, &str)]) -> u64 {
        self.commit(branch, title, files);
        self.open_as(
            "ana",
            &NewPull { title: title.into(), head: branch.into(), base: "main".into(), ..NewPull::default() },
        )
    }

    pub(crate) fn open_as(&self, author: &str, pull: &NewPull) -> u64 {
        self.double.open_pull(SHOP, author, pull).expect("a pull request")
    }

    /// The ids of a person's comments, oldest first, as GitHub's webhooks named them.
    pub(crate) fn comments(&self, number: u64, author: &str) -> Vec<u64> {
        let payloads = self.double.deliveries().into_iter().filter(|it| it.event == "issue_comment");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        let made = payloads.map(|it| read(&it.payload)).filter(|it| it["action"] == "created");
        made.filter(|it| it["issue"]["number"] == number && it["comment"]["user"]["login"] == author)
            .filter_map(|it| it["comment"]["id"].as_u64())
            .collect()
    }

    pub(crate) fn say(&self, number: u64, author: &str, body: &str) -> u64 {
        self.double.comment(SHOP, number, author, body).expect("a comment")
    }
}

/// A program that says what terraform 1.11.4 says of itself; scripted jobs never start it.
fn terraform(folder: &std::path::Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("terraform");
    std::fs::write(&path, "#!/bin/sh\necho 'Terraform v1.11.4'\n").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    path
}
