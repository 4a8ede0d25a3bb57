//! A gate between jobs and the server that keeps their states: it holds a request at a chosen moment of a stack's
//! life, so that something can die exactly there, and lets it go on later.
//!
//! A request that is held outlives whoever sent it, as a packet on the way does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::serving::BOUND;
use crate::state::try_ask;

/// A moment in the life of a stack, by what its tool asks for then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// `init` of its first plan reads the state.
    Init,
    /// Its first plan reads the state.
    Plan,
    /// `init` of an apply reads the state: its tool has not begun to apply.
    Start,
    /// An apply has the lock and reads the state: nothing is made yet.
    Locked,
    /// A state is written: all is made.
    Write,
    /// The state is written, and the lock is let go.
    Unlock,
}

/// How far a hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Set,
    Held,
    Open,
}

#[derive(Default)]
struct Stacks {
    /// Methods so far, by stack, each with the job that asked.
    asked: BTreeMap<String, Vec<(usize, String)>>,
    /// Who asked so far, by stack: each job has a token of its own.
    jobs: BTreeMap<String, Vec<String>>,
    holds: BTreeMap<String, (Moment, watch::Sender<Hold>)>,
    /// Writes of these stacks fail.
    full: BTreeSet<String>,
    /// What was answered to requests that were held, by stack.
    answered: BTreeMap<String, u16>,
}

#[derive(Clone)]
pub(super) struct Gate {
    pub(super) url: String,
    upstream: String,
    stacks: Arc<Mutex<Stacks>>,
}

impl Gate {
    /// Stands before the server at `upstream`, which need not run yet.
    pub(super) async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let gate = Self { url, upstream: upstream.to_owned(), stacks: Arc::default() };
        let router = Router::new().fallback(pass).with_state(gate.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        gate
    }

    fn stacks(&self) -> MutexGuard<'_, Stacks> {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next such request of the stack is held.
    pub(super) fn hold(&self, stack: &str, at: Moment) {
        self.stacks().holds.insert(stack.to_owned(), (at, watch::Sender::new(Hold::Set)));
    }

    /// From now on nothing of the stack can be stored, or again it can.
    pub(super) fn set_full(&self, stack: &str, full: bool) {
        let mut stacks = self.stacks();
        if full {
            stacks.full.insert(stack.to_owned())
        } else {
            stacks.full.remove(stack)
        };
    }

    /// Until one is.
    pub(super) async fn until_held(&self, stack: &str) {
        let mut hold = self.stacks().holds.get(stack).expect("a hold was set").1.subscribe();
        let held = tokio::time::timeout(BOUND, hold.wait_for(|it| *it != Hold::Set)).await;
        held.unwrap_or_else(|_| panic!("{stack} does not come there: {:?}", self.stacks().asked)).expect("a hold");
    }

    /// What is held goes on; a hold that nothing reached is gone.
    pub(super) fn release(&self, stack: &str) {
        if let Some((_, hold)) = self.stacks().holds.get(stack) {
            hold.send_replace(Hold::Open);
        }
    }

    /// What the server answered to the request of the stack that was held, once it did.
    pub(super) fn answer(&self, stack: &str) -> Option<u16> {
        self.stacks().answered.get(stack).copied()
    }

    /// Notes a request; gives the hold that it stops at.
    fn enter(&self, stack: &str, method: &str, token: &str) -> Option<watch::Sender<Hold>> {
        let mut stacks = self.stacks();
        let jobs = stacks.jobs.entry(stack.to_owned()).or_default();
        let job = jobs.iter().position(|it| it == token).unwrap_or_else(|| {
            jobs.push(token.to_owned());
            jobs.len() - 1
        });
        let asked = stacks.asked.entry(stack.to_owned()).or_default();
        let reads = asked.iter().filter(|(who, what)| *who == job && what == "GET").count();
        let moment = match (method, asked.last().map(|(_, what)| what.as_str())) {
            ("POST", _) => Some(Moment::Write),
            ("UNLOCK", _) => Some(Moment::Unlock),
            ("GET", Some("LOCK")) => Some(Moment::Locked),
            ("GET", _) if job == 0 && reads == 0 => Some(Moment::Init),
            ("GET", _) if job == 0 && reads == 1 => Some(Moment::Plan),
            ("GET", _) if job == 1 && reads == 0 => Some(Moment::Start),
            _ => None,
        };
        asked.push((job, method.to_owned()));
        let (at, hold) = stacks.holds.get(stack)?;
        (Some(*at) == moment && *hold.borrow() == Hold::Set).then(|| hold.clone())
    }
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let stack = head.uri.path().split('/').nth(3).unwrap_or_default().to_owned();
    let token = head.headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let hold = gate.enter(&stack, head.method.as_str(), token);
    if head.method == "POST" && gate.stacks().full.contains(&stack) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    // Not a part of this connection's task: it goes on when the one who asked is dead.
    let way = tokio::spawn(async move {
        let held = hold.is_some();
        if let Some(hold) = hold {
            hold.send_replace(Hold::Held);
            // The gate lives as long as the test.
            let _ = hold.subscribe().wait_for(|it| *it == Hold::Open).await;
        }
        let answer = forward(&gate, &head, body).await;
        if held {
            gate.stacks().answered.insert(stack, answer.status().as_u16());
        }
        answer
    });
    way.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn forward(gate: &Gate, head: &axum::http::request::Parts, body: Bytes) -> Response {
    let url = format!("{}{}", gate.upstream, head.uri.path_and_query().expect("a path"));
    let kept = ["authorization", "content-md5"];
    let kept = kept.iter().filter_map(|name| Some((*name, head.headers.get(*name)?.to_str().ok()?)));
    let kept: Vec<(&str, &str)> = kept.collect();
    match try_ask(head.method.as_str(), &url, None, &kept, body).await {
        Ok(answer) => (StatusCode::from_u16(answer.status).expect("a status"), answer.body).into_response(),
        // As a proxy before a server that is not there.
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
