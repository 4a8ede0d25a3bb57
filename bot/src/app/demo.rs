//! BuildIt as `demo` runs it: the server's own parts on loopback, a temporary directory, and plain processes.
//!
//! Owns the wiring and the end of it. Invariant: after `end` no job of it runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use model::mask::Masker;
use reconciler::blobs::DatabaseBlobs;
use reconciler::engine::{Engine, EngineSettings, Parts};
use reconciler::inbox::Inbox;
use reconciler::seal::Seal;
use reconciler::store::Store;
use runner::exec::Process;
use runner::iac::Iac;
use runner::source::{GitSettings, GitSource, Limits};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::intake::InboxIntake;
use super::leftovers::remove_jobs;
use crate::clock::{SystemClock, UuidIds};
use crate::github::{AppKey, GitHub, GitHubOptions, webhook};
use crate::keys::FileKeys;

/// Passes at the same time.
const WORKERS: u32 = 3;
/// Without news for so long a worker looks again.
const GLANCE: Duration = Duration::from_secs(1);
/// Leases are renewed so often.
const BEAT: Duration = Duration::from_secs(15);
/// Requests and passes that began may take so long at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the demo's server works with.
#[derive(Debug)]
pub struct DemoParts {
    /// Where it listens.
    pub listener: TcpListener,
    /// GitHub's REST API.
    pub api_url: String,
    /// The App's id.
    pub app_id: u64,
    /// The App's key, in PEM.
    pub key: SecretString,
    /// The secret of the webhook's signatures.
    pub webhook_secret: SecretString,
    /// Where all of it is kept.
    pub dir: PathBuf,
    /// The tools.
    pub iac: Iac,
    /// Plans at the same time.
    pub slots: u32,
}

/// The running server.
pub struct DemoServer {
    engine: Engine,
    store: Store,
    executor: Process,
    jobs: PathBuf,
    stop: watch::Sender<bool>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl std::fmt::Debug for DemoServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoServer").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl DemoServer {
    /// Wires it and begins to serve.
    ///
    /// # Errors
    /// The directory, the database or the App's key cannot be used.
    pub async fn start(parts: DemoParts) -> anyhow::Result<Self> {
        let url = format!("http://{}", parts.listener.local_addr()?);
        let jobs = parts.dir.join("jobs");
        let program = std::env::current_exe().context("this program does not know where it is")?;
        let executor = Process::new(&jobs, vec![program.into_os_string(), OsString::from("job")]);
        let clock = Arc::new(SystemClock::new());
        let store = Store::open(&format!("sqlite://{}", parts.dir.join("buildit.db").display())).await?;
        let intake = Arc::new(InboxIntake(Inbox::new(store.clone(), clock.clone())));
        let router = webhook::router(&parts.webhook_secret, intake);
        let key = AppKey::from_pem(parts.app_id, parts.key.expose_secret().as_bytes())?;
        let github = Arc::new(GitHub::new(GitHubOptions { api_url: parts.api_url, key }, clock.clone())?);
        let settings = EngineSettings {
            public_url: url,
            owner: "demo".to_owned(),
            slots: parts.slots,
            masks: Masker::new([parts.webhook_secret.expose_secret()]),
        };
        let kept = Kept { store: store.clone(), dir: &parts.dir, clock };
        let engine = kept.engine(github, executor.clone(), parts.iac, settings)?;
        engine.start().await?;
        let mut server = Self { engine, store, executor, jobs, stop: watch::Sender::new(false), tasks: JoinSet::new() };
        server.serve(parts.listener, router);
        Ok(server)
    }

    fn serve(&mut self, listener: TcpListener, router: Router) {
        let told = |mut stop: watch::Receiver<bool>| async move {
            // A sender that is gone means stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        self.tasks.spawn(super::serve(listener, router, told(self.stop.subscribe())));
        for _ in 0..WORKERS {
            let (engine, stop) = (self.engine.clone(), self.stop.subscribe());
            self.tasks.spawn(async move {
                while !*stop.borrow() {
                    if !engine.step().await? {
                        // Whatever ends the wait, it looks again.
                        let _ = tokio::time::timeout(GLANCE, engine.woken()).await;
                    }
                }
                Ok(())
            });
        }
        let (engine, stop) = (self.engine.clone(), told(self.stop.subscribe()));
        self.tasks.spawn(async move {
            tokio::pin!(stop);
            while tokio::time::timeout(BEAT, &mut stop).await.is_err() {
                engine.beat().await?;
            }
            Ok(())
        });
    }

    /// The first trouble that ended one of its parts; waits as long as all is well.
    pub async fn trouble(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error.context("BuildIt stopped"),
            Some(Err(gone)) => anyhow::anyhow!("BuildIt stopped: {gone}"),
            Some(Ok(Ok(()))) | None => anyhow::anyhow!("BuildIt stopped"),
        }
    }

    /// Answers what began, kills its jobs and lets go of the database.
    ///
    /// # Errors
    /// A job's process does not end.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
        self.engine.stop().await?;
        self.store.close().await;
        remove_jobs(&self.executor, &self.jobs).await
    }
}

/// What is kept in the directory.
struct Kept<'a> {
    store: Store,
    dir: &'a Path,
    clock: Arc<SystemClock>,
}

impl Kept<'_> {
    fn engine(
        self,
        github: Arc<GitHub>,
        executor: Process,
        iac: Iac,
        settings: EngineSettings,
    ) -> anyhow::Result<Engine> {
        let ids = Arc::new(UuidIds::new());
        let seal = Seal::new(Arc::new(FileKeys::open(&self.dir.join("keys"))?));
        let mirrors = self.dir.join("mirrors");
        std::fs::create_dir_all(&mirrors)?;
        Ok(Engine::new(Parts {
            blobs: Arc::new(DatabaseBlobs::new(self.store.clone(), seal.clone(), ids.clone(), self.clock.clone())),
            store: self.store,
            seal,
            forge: github.clone(),
            publisher: github,
            source: Arc::new(GitSource::new(GitSettings { mirrors, limits: Limits::default() })),
            executor: Arc::new(executor),
            iac: Arc::new(iac),
            clock: self.clock,
            ids,
            settings,
        }))
    }
}
