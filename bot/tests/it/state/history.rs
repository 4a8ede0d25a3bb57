//! Many clients at one state: what they were told fits one order of one lock and one register.
//!
//! The checker searches for an order of all operations in which each takes effect between its question and its
//! answer and is answered as a single lock and state would (Wing and Gong, with remembered dead ends). An operation
//! without an answer took effect at any time since, or never.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::tamper::Dice;
use super::*;
use crate::serving::process::{Running, free_address};
use crate::town::machine::databases;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Op {
    Lock(String),
    Unlock(String),
    Write { lock: String, serial: i64, what: String },
    Read,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Done,
    /// Another holds the lock of this id.
    Held(String),
    /// The write was not taken.
    Refused,
    State(Option<(i64, String)>),
    /// No answer came.
    Nothing,
}

#[derive(Debug, Clone)]
struct Event {
    client: usize,
    op: Op,
    said: Said,
    from: u64,
    to: u64,
}

/// One lock and one register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Model {
    lock: Option<(usize, String)>,
    released: Option<String>,
    head: Option<(i64, String)>,
}

impl Model {
    fn step(&self, client: usize, op: &Op) -> (Self, Said) {
        let mut next = self.clone();
        let said = match op {
            Op::Read => Said::State(self.head.clone()),
            Op::Lock(id) => match &self.lock {
                None => {
                    next.lock = Some((client, id.clone()));
                    Said::Done
                }
                Some((holder, held)) if *holder == client && held == id => Said::Done,
                Some((_, held)) => Said::Held(held.clone()),
            },
            Op::Unlock(id) => match &self.lock {
                Some((holder, held)) if *holder == client && held == id => {
                    (next.released, next.lock) = (Some(id.clone()), None);
                    Said::Done
                }
                None => Said::Done,
                Some(_) if self.released.as_ref() == Some(id) => Said::Done,
                Some((_, held)) => Said::Held(held.clone()),
            },
            Op::Write { lock, serial, what } => {
                let same = self.head.as_ref() == Some(&(*serial, what.clone()));
                let holds = self.lock.as_ref() == Some(&(client, lock.clone()));
                let later = self.head.as_ref().is_none_or(|(head, _)| serial > head);
                if !same && holds && later {
                    next.head = Some((*serial, what.clone()));
                }
                if same || (holds && later) { Said::Done } else { Said::Refused }
            }
        };
        (next, said)
    }
}

/// Is there such an order? `Err` holds the longest part that could be ordered.
fn check(mut events: Vec<Event>) -> Result<(), Vec<Event>> {
    events.retain(|it| !(it.said == Said::Nothing && it.op == Op::Read));
    events.sort_by_key(|it| it.from);
    let known = events.iter().filter(|it| it.said != Said::Nothing).count();
    let mut seen: HashSet<(Vec<u64>, Model)> = HashSet::new();
    let mut best: Vec<usize> = Vec::new();
    let start = Node { done: vec![0; events.len().div_ceil(64)], order: Vec::new(), model: Model::default() };
    let mut stack = vec![start];
    while let Some(mut node) = stack.pop() {
        node.settle(&events);
        if !seen.insert((node.done.clone(), node.model.clone())) {
            continue;
        }
        if node.order.iter().filter(|at| events[**at].said != Said::Nothing).count() == known {
            return Ok(());
        }
        if node.order.len() > best.len() {
            best.clone_from(&node.order);
        }
        for at in candidates(&events, &node.done).into_iter().rev() {
            let event = &events[at];
            let (model, said) = node.model.step(event.client, &event.op);
            if event.said == Said::Nothing || said == event.said {
                let mut next = node.clone();
                next.take(at, model);
                stack.push(next);
            }
        }
    }
    Err(best.into_iter().map(|at| events[at].clone()).collect())
}

/// A part of an order, and what it leads to.
#[derive(Clone)]
struct Node {
    done: Vec<u64>,
    order: Vec<usize>,
    model: Model,
}

impl Node {
    fn take(&mut self, at: usize, model: Model) {
        self.done[at / 64] |= 1 << (at % 64);
        self.order.push(at);
        self.model = model;
    }

    /// What changes nothing and is answered as here may as well come now: no order is lost by it.
    fn settle(&mut self, events: &[Event]) {
        loop {
            let idle = candidates(events, &self.done).into_iter().find(|at| {
                let event = &events[*at];
                self.model.step(event.client, &event.op) == (self.model.clone(), event.said.clone())
            });
            let Some(at) = idle else { return };
            self.take(at, self.model.clone());
        }
    }
}

/// What may come next: all that was asked before anything that is left was answered.
fn candidates(events: &[Event], done: &[u64]) -> Vec<usize> {
    let left = (0..events.len()).filter(|at| done[at / 64] >> (at % 64) & 1 == 0);
    let (mut found, mut first_answer) = (Vec::new(), u64::MAX);
    for at in left {
        if events[at].from > first_answer {
            break;
        }
        first_answer = first_answer.min(events[at].to);
        found.push(at);
    }
    found.retain(|at| events[*at].from <= first_answer);
    found
}

#[test]
fn the_checker_finds_what_no_order_explains() {
    let event = |client, op, said, from, to| Event { client, op, said, from, to };
    let write = |serial, what: &str| Op::Write { lock: "A".to_owned(), serial, what: what.to_owned() };
    let lock = event(0, Op::Lock("A".into()), Said::Done, 0, 1);
    let (w1, w2) = (event(0, write(1, "x"), Said::Done, 2, 5), event(0, write(2, "y"), Said::Done, 6, 7));
    let read = |what: Option<(i64, &str)>, from, to| {
        event(1, Op::Read, Said::State(what.map(|(serial, what)| (serial, what.to_owned()))), from, to)
    };
    let base = [lock, w1, w2];
    let with = |more: Vec<Event>| base.iter().cloned().chain(more).collect::<Vec<_>>();
    assert!(check(with(vec![read(None, 3, 4), read(Some((2, "y")), 8, 9)])).is_ok());
    assert!(check(with(vec![read(Some((1, "x")), 3, 4)])).is_ok());
    for bad in [
        vec![read(Some((1, "x")), 8, 9)],
        vec![read(Some((1, "x")), 3, 4), read(None, 5, 6)],
        vec![read(Some((2, "z")), 8, 9)],
        vec![event(1, Op::Lock("B".into()), Said::Done, 8, 9)],
        vec![event(1, write(3, "z"), Said::Done, 8, 9)],
        vec![event(0, write(2, "z"), Said::Done, 8, 9)],
    ] {
        assert!(check(with(bad.clone())).is_err(), "{bad:?}");
    }
    // Without an answer it may have happened, or not, but not before it was asked.
    let lost = event(0, write(3, "z"), Said::Nothing, 10, u64::MAX);
    assert!(check(with(vec![lost.clone(), read(Some((3, "z")), 11, 12)])).is_ok());
    assert!(check(with(vec![lost.clone(), read(Some((2, "y")), 11, 12)])).is_ok());
    assert!(check(with(vec![lost, read(Some((3, "z")), 8, 9)])).is_err());
}

/// Who asks, and when by a clock that all clients share.
struct Client {
    number: usize,
    token: String,
    address: String,
    time: Arc<AtomicU64>,
    /// False while the server is down.
    up: watch::Receiver<bool>,
    dice: Dice,
    events: Vec<Event>,
}

impl Client {
    async fn ask(&mut self, op: Op) -> Said {
        let (method, query, body) = match &op {
            Op::Read => ("GET", String::new(), String::new()),
            Op::Lock(id) => ("LOCK", String::new(), info(id, "a client")),
            Op::Unlock(id) => ("UNLOCK", String::new(), info(id, "")),
            Op::Write { lock, serial, what } => ("POST", format!("?ID={lock}"), state(*serial, what)),
        };
        let url = format!("{}{query}", self.address);
        let mut from = self.time.fetch_add(1, Ordering::SeqCst);
        let said = loop {
            match try_ask(method, &url, Some(&self.token), &[], body.clone().into()).await {
                Ok(answer) => break said(&op, &answer),
                Err(Silence::CutOff) => break Said::Nothing,
                Err(Silence::Unheard) => {
                    // It is being started again.
                    self.up.wait_for(|up| *up).await.expect("the test goes on");
                    from = self.time.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        let to = self.time.fetch_add(1, Ordering::SeqCst);
        let to = if said == Said::Nothing { u64::MAX } else { to };
        self.events.push(Event { client: self.number, op, said: said.clone(), from, to });
        said
    }

    /// Takes its turns: with the lock and without, and every now and then twice.
    async fn work(mut self, operations: usize) -> Vec<Event> {
        let mut turn = 0;
        while self.events.len() < operations {
            turn += 1;
            let id = format!("{}-{turn}", self.number);
            let seen = match self.ask(Op::Read).await {
                Said::State(Some((serial, _))) => serial,
                _ => 0,
            };
            let what = format!("{id}-{}", self.events.len());
            let write = |serial| Op::Write { lock: id.clone(), serial, what: what.clone() };
            if self.dice.below(4) == 0 {
                self.ask(write(seen + 1)).await;
            }
            if self.ask(Op::Lock(id.clone())).await != Said::Done && self.dice.below(3) > 0 {
                continue;
            }
            for step in 0..=self.dice.below(2) {
                let seen = match self.ask(Op::Read).await {
                    Said::State(Some((serial, _))) => serial,
                    _ => 0,
                };
                let write = Op::Write { lock: id.clone(), serial: seen + 1, what: format!("{what}-{step}") };
                if self.ask(write.clone()).await == Said::Nothing || self.dice.below(3) == 0 {
                    self.ask(write).await;
                }
            }
            while self.ask(Op::Unlock(id.clone())).await == Said::Nothing {}
        }
        self.events
    }
}

fn said(op: &Op, answer: &Answer) -> Said {
    let held = || {
        let info: serde_json::Value = serde_json::from_str(&answer.body).expect("a lock info");
        Said::Held(info["ID"].as_str().expect("an id").to_owned())
    };
    match (op, answer.status) {
        (Op::Read, 204) => Said::State(None),
        (Op::Read, 200) => {
            let state: serde_json::Value = serde_json::from_str(&answer.body).expect("a state");
            let what = state["outputs"]["what"]["value"].as_str().expect("an output").to_owned();
            Said::State(Some((state["serial"].as_i64().expect("a serial"), what)))
        }
        (_, 200) => Said::Done,
        (Op::Lock(_) | Op::Unlock(_), 423) => held(),
        (Op::Write { .. }, 409) => Said::Refused,
        // The server had it and cannot say what became of it.
        (_, 500..) => Said::Nothing,
        _ => panic!("{op:?}: {answer:?}"),
    }
}

/// So many operations of each client.
fn operations(default: usize) -> usize {
    std::env::var("BUILDIT_HISTORY").ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

async fn clients(
    states: &States,
    database: &str,
    address: &str,
    count: usize,
    up: &watch::Receiver<bool>,
) -> Vec<Client> {
    let time = Arc::new(AtomicU64::new(0));
    let mut tx = begin(database).await;
    let epoch = States::grant_epoch(&mut tx, REPO, &net()).await.expect("granted");
    let mut all = Vec::new();
    for number in 0..count {
        let run = run(u128::try_from(number).expect("small") + 1);
        let token = states.token(&mut tx, run, REPO, &net(), Access::Write { epoch }).await.expect("a token");
        all.push(Client {
            number,
            token: token.expose_secret().to_owned(),
            address: address.to_owned(),
            time: time.clone(),
            up: up.clone(),
            dice: Dice::new(number as u64 + 1),
            events: Vec::new(),
        });
    }
    end(tx).await;
    all
}

fn assert_linearizable(events: Vec<Event>) {
    let taken = events.iter().filter(|it| matches!(it.op, Op::Write { .. }) && it.said == Said::Done).count();
    let (all, silent) = (events.len(), events.iter().filter(|it| it.said == Said::Nothing).count());
    assert!(taken > 0 && silent < all, "{taken} writes were taken, {silent} of {all} got no answer");
    if let Err(longest) = check(events) {
        let end: Vec<_> = longest.iter().rev().take(12).rev().collect();
        panic!(
            "no order explains what was answered; the longest has {} of {all} and ends with {end:#?}",
            longest.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lock_and_state_are_one_register_for_all_clients() {
    for database in databases() {
        let scene = Scene::start(&database).await;
        let (_always, up) = watch::channel(true);
        let all = clients(&scene.states, &scene.database, &scene.address(), 16, &up).await;
        let work: Vec<_> = all.into_iter().map(|client| tokio::spawn(client.work(operations(40)))).collect();
        let mut events = Vec::new();
        for client in work {
            events.extend(client.await.expect("no panic"));
        }
        assert_linearizable(events);
        // Each head once, and no two of one serial.
        let versions = scene.states.versions(REPO, &net()).await.expect("read");
        let heads = versions.iter().filter(|it| !matches!(it.standing, reconciler::states::Standing::Orphan { .. }));
        let serials: Vec<i64> = heads.map(|it| it.serial).collect();
        assert!(serials.windows(2).all(|pair| pair[0] > pair[1]), "{serials:?}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_they_are_when_the_server_is_killed_again_and_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let listen = free_address();
    let file = dir.path().join("buildit.toml");
    let data = dir.path().join("data");
    let settings = format!(
        "listen = \"{listen}\"\nlog_format = \"json\"\nlog = \"error,bot::cli=info\"\ndata_dir = \"{}\"\n",
        data.display()
    );
    std::fs::write(&file, settings).expect("written");
    let args = ["serve", "--config", &file.display().to_string()].map(str::to_owned);
    let start = move || Running::start(&args.each_ref().map(String::as_str));
    let mut server = start();
    let database = format!("sqlite://{}", data.join("buildit.db").display());
    let (states, store) = inside(&database, &data).await;
    let address = format!("http://{listen}{}", path(REPO, &net()));
    let (sign, up) = watch::channel(true);
    let all = clients(&states, &database, &address, 8, &up).await;
    let time = all[0].time.clone();
    let work: Vec<_> = all.into_iter().map(|client| tokio::spawn(client.work(operations(60)))).collect();
    for kill in 1..=4 {
        let reached = async {
            while time.load(Ordering::SeqCst) < kill * 120 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), reached).await.expect("they go on");
        sign.send_replace(false);
        server.kill();
        server = start();
        sign.send_replace(true);
    }
    let mut events = Vec::new();
    for client in work {
        events.extend(client.await.expect("no panic"));
    }
    assert_linearizable(events);
    store.close().await;
    drop(server);
}
