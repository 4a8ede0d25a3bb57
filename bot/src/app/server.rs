//! A running server: the store, the engine's loops and HTTP, from parts that are valid already.
//!
//! Owns: starting them in order and the drain. `serve`, `demo`, `preview` and tests give the parts. Invariant: the
//! loops decide nothing; what they do is written in rows, so that ending at any point loses nothing.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use model::mask::Masker;
use model::ports::{Blobs, Clock, Executor, ForgeRead, ForgeWrite, IacEngine, Ids, Source};
use reconciler::blobs::DatabaseBlobs;
use reconciler::desk::Desk;
use reconciler::engine::{Engine, EngineSettings, Parts};
use reconciler::inbox::Inbox;
use reconciler::logs::Logs;
use reconciler::seal::Seal;
use reconciler::secrets::Secrets;
use reconciler::states::States;
use reconciler::store::Store;
use reconciler::tokens::Tokens;
use reconciler::views::Views;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::intake::InboxIntake;
use crate::app::reads::StoreReads;
use crate::app::{data, drain, loops};
use crate::github::webhook;
use crate::keys::FileKeys;
use crate::web::{self, WebState};

/// How long a drain may take before what is left is cut off; rows say where to go on.
const DRAIN: Duration = Duration::from_secs(25);

/// What a server is made of.
pub struct ServerParts {
    /// `sqlite:PATH` or `postgres://…`.
    pub database: SecretString,
    /// Keys and the lock live here; it is made when it is absent.
    pub data_dir: PathBuf,
    /// Where HTTP is served; `None` for a server without pages.
    pub http: Option<Http>,
    /// Where people reach it; links begin with it. `None`: the bound address.
    pub public_url: Option<String>,
    /// Where jobs reach it; `None`: where people do.
    pub internal_url: Option<String>,
    /// What it works with; `None` for a server that only shows what it has.
    pub work: Option<Work>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
}

/// The pages and the webhook.
#[derive(Debug)]
pub struct Http {
    /// The socket that listens already.
    pub listener: TcpListener,
    /// May everybody who reaches the pages read them?
    pub public_read: bool,
    /// A line above every page.
    pub banner: Option<String>,
    /// Where people find GitHub (`https://github.com`).
    pub github_url: Option<String>,
    /// Signs webhooks; `None` for a server without that route.
    pub webhook_secret: Option<SecretString>,
}

/// What a server that plans works with.
pub struct Work {
    /// Reads GitHub.
    pub forge: Arc<dyn ForgeRead>,
    /// Writes to GitHub.
    pub publisher: Arc<dyn ForgeWrite>,
    /// Git.
    pub source: Arc<dyn Source>,
    /// Where jobs run.
    pub executor: Arc<dyn Executor>,
    /// terraform and OpenTofu.
    pub iac: Arc<dyn IacEngine>,
    /// Plans at the same time.
    pub slots: u32,
    /// How often everything open is looked at again.
    pub resync: Duration,
    /// What no log may show.
    pub masks: Masker,
}

/// A server that runs.
pub struct Server {
    /// The engine; `None` for a server that only shows what it has.
    pub engine: Option<Engine>,
    /// Takes hints.
    pub inbox: Inbox,
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// Where people reach it.
    pub public_url: String,
    clock: Arc<dyn Clock>,
    store: Store,
    stop: watch::Sender<bool>,
    serving: JoinSet<anyhow::Result<()>>,
    loops: Option<loops::Loops>,
    _hold: data::Hold,
}

impl fmt::Debug for ServerParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerParts").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("slots", &self.slots).field("resync", &self.resync).finish_non_exhaustive()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts it. When this returns, requests are answered and hints are worked on.
    ///
    /// # Errors
    /// The data directory, the key file or the database cannot be used; each says what to do.
    pub async fn start(parts: ServerParts) -> anyhow::Result<Self> {
        let ServerParts { database, data_dir, http, public_url, internal_url, work, clock, ids } = parts;
        let hold = data::hold(&data_dir, &database)?;
        let seal = Seal::new(Arc::new(FileKeys::open(&data_dir.join("keys"))?));
        let store = data::open_store(&database).await?;
        let address = http.as_ref().map(|http| http.listener.local_addr()).transpose()?;
        let public_url = public_url.or_else(|| address.map(|it| format!("http://{it}"))).unwrap_or_default();
        let inbox = Inbox::new(store.clone(), clock.clone());
        let kept = Kept::new(&store, &seal, &clock, &ids);
        let (states, desk) = (kept.states.clone(), kept.desk());
        let (stop, stopped) = watch::channel(false);

        let mut running = None;
        if let Some(work) = work {
            let owner = ids.uuid(clock.now()).to_string();
            let settings = EngineSettings {
                public_url: public_url.clone(),
                state_url: http.as_ref().map(|_| internal_url.unwrap_or_else(|| public_url.clone())),
                owner,
                slots: work.slots,
                applies: true,
                masks: work.masks.clone(),
            };
            let resync = work.resync;
            let engine = kept.engine(work, settings);
            engine.start().await?;
            running = Some((engine.clone(), loops::Loops::start(engine, clock.clone(), resync, stopped.clone())));
        }
        let (engine, loops) = running.unzip();

        let mut serving = JoinSet::new();
        if let Some(http) = http {
            let pages = routes(&http, &store, seal, &public_url, inbox.clone(), clock.clone());
            let router = pages.merge(web::state::router(states, desk.clone())).merge(web::api::router(desk));
            let mut stopped = stopped;
            let until = async move {
                // An error is a server that is gone, which stops it too.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            serving.spawn(crate::app::serve(http.listener, router, until));
        }
        Ok(Self { engine, inbox, address, public_url, clock, store, stop, serving, loops, _hold: hold })
    }

    /// Ready when HTTP failed; never as long as it is served.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn failed(&mut self) -> anyhow::Result<()> {
        match self.serving.join_next().await {
            Some(ended) => ended?,
            None => std::future::pending().await,
        }
    }

    /// Begins nothing new and brings applies to an end, while requests are answered: within `grace` by themselves,
    /// then by one interrupt each. `stop` comes next.
    pub async fn drain(&self, grace: Duration) {
        if let Some(engine) = &self.engine {
            drain::drain(engine, &*self.clock, grace).await;
        }
    }

    /// Stops it: no new request and no new step; what began ends, jobs go on without the server. True when all of
    /// it ended in time.
    pub async fn stop(mut self) -> bool {
        self.stop.send_replace(true);
        let drain = async {
            while self.serving.join_next().await.is_some() {}
            if let Some(loops) = self.loops.take() {
                loops.ended().await;
            }
        };
        let in_time = tokio::time::timeout(DRAIN, drain).await.is_ok();
        if let Some(engine) = &self.engine
            && let Err(error) = engine.stop().await
        {
            tracing::warn!(%error, "leases could not be let go of; they end by themselves within a minute");
        }
        self.store.close().await;
        in_time
    }
}

/// What is kept in the database, and what it takes to keep it.
struct Kept {
    store: Store,
    seal: Seal,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    blobs: Arc<dyn Blobs>,
    states: States,
}

impl Kept {
    fn new(store: &Store, seal: &Seal, clock: &Arc<dyn Clock>, ids: &Arc<dyn Ids>) -> Self {
        let (store, seal, clock, ids) = (store.clone(), seal.clone(), clock.clone(), ids.clone());
        let blobs = Arc::new(DatabaseBlobs::new(store.clone(), seal.clone(), ids.clone(), clock.clone()));
        let states = States::new(store.clone(), blobs.clone(), seal.clone(), clock.clone(), ids.clone());
        Self { store, seal, clock, ids, blobs, states }
    }

    fn desk(&self) -> Desk {
        let secrets = Secrets::new(self.store.clone(), self.seal.clone(), self.clock.clone());
        let tokens = Tokens::new(self.store.clone(), self.seal.clone(), self.clock.clone(), self.ids.clone());
        Desk::new(self.store.clone(), self.states.clone(), secrets, tokens)
    }

    fn engine(self, work: Work, settings: EngineSettings) -> Engine {
        Engine::new(Parts {
            store: self.store,
            seal: self.seal,
            forge: work.forge,
            publisher: work.publisher,
            source: work.source,
            executor: work.executor,
            iac: work.iac,
            blobs: self.blobs,
            states: self.states,
            clock: self.clock,
            ids: self.ids,
            settings,
        })
    }
}

fn routes(http: &Http, store: &Store, seal: Seal, public_url: &str, inbox: Inbox, clock: Arc<dyn Clock>) -> Router {
    let reads = StoreReads {
        views: Views::new(store.clone(), public_url.to_owned(), clock),
        logs: Logs::new(store.clone(), seal),
        github_url: http.github_url.clone(),
    };
    let pages = web::router(WebState {
        reads: Arc::new(reads),
        public_read: http.public_read,
        version: env!("CARGO_PKG_VERSION"),
        banner: http.banner.clone(),
    });
    match &http.webhook_secret {
        Some(secret) => webhook::router(secret, Arc::new(InboxIntake(inbox))).merge(pages),
        None => pages,
    }
}
