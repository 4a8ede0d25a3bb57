//! One life of the server: production parts over what outlives it, on a runtime of its own, so that ending the
//! runtime ends everything that the server was doing, wherever it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bot::app::intake::InboxIntake;
use bot::github::{AppKey, GitHub, GitHubOptions, webhook};
use bot::keys::FileKeys;
use fake_github::{AppCredentials, FakeGitHub};
use model::id::{JobName, RunId};
use model::mask::Masker;
use model::ports::{Clock, Executor, Ids, Source};
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
use runner::iac::{Iac, IacSettings};
use runner::source::{GitSettings, GitSource, Limits};
use tokio::runtime::Runtime;

use super::machine::{CountedIds, ManualClock};
use super::trap::Trap;

/// No wait of a town is longer.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

/// What outlives a server.
pub(crate) struct Ground {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) database: String,
    pub(crate) clock: ManualClock,
    pub(crate) ids: Arc<CountedIds>,
    pub(crate) app: AppCredentials,
    pub(crate) api_url: String,
    pub(crate) iac: IacSettings,
    pub(crate) slots: u32,
    /// How many servers there were, dead or alive.
    pub(crate) lives: AtomicU64,
}

pub(crate) struct Server {
    pub(crate) runtime: Runtime,
    pub(crate) engine: Engine,
    store: Store,
    logs: Logs,
}

impl Server {
    /// Starts it as production does: store, engine, webhooks, then a look at everything.
    pub(crate) fn start(ground: &Ground, double: &FakeGitHub, executor: Arc<dyn Executor>, trap: &Arc<Trap>) -> Self {
        // One thread: whoever waits for the server's tasks sees each of them between two of its own awaits.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (engine, store, logs) = runtime.block_on(begin(ground, double, executor, trap));
        Self { runtime, engine, store, logs }
    }

    /// The secrets of its database.
    pub(crate) fn secrets(&self, ground: &Ground) -> Secrets {
        let keys = FileKeys::open(&ground.folder.path().join("keys")).expect("the keys are read");
        Secrets::new(self.store.clone(), Seal::new(Arc::new(keys)), Arc::new(ground.clock.clone()))
    }

    /// The stored log of a job's run, as text.
    pub(crate) async fn log(&self, job: &JobName) -> String {
        // `b-RUN-ATTEMPT`
        let run = job.as_str().split('-').nth(1).expect("a job of a run");
        let run = RunId::parse(run).expect("a run");
        let mut all = Vec::new();
        loop {
            let window = self.logs.read(run, all.len() as u64, usize::MAX).await.expect("the log is read");
            if window.bytes.is_empty() {
                return String::from_utf8(all).expect("text");
            }
            all.extend(window.bytes);
        }
    }

    /// As on SIGTERM.
    pub(crate) fn stop(self) {
        self.runtime.block_on(async {
            self.engine.stop().await.expect("it stops");
            self.store.close().await;
        });
        self.runtime.shutdown_timeout(BOUND);
    }

    /// As on SIGKILL: nothing of it runs another line, whatever it was doing. Rows that were not committed are gone.
    pub(crate) fn kill(self) {
        let Self { runtime, engine, store, logs } = self;
        runtime.shutdown_timeout(BOUND);
        drop((engine, store, logs));
    }
}

/// An engine with its own connections; the second of a town is a second replica, which takes the webhooks too.
pub(crate) async fn begin(
    ground: &Ground,
    double: &FakeGitHub,
    executor: Arc<dyn Executor>,
    trap: &Arc<Trap>,
) -> (Engine, Store, Logs) {
    let clock: Arc<dyn Clock> = Arc::new(ground.clock.clone());
    let ids: Arc<dyn Ids> = ground.ids.clone();
    let store = Store::open(&ground.database).await.expect("the store opens");
    let keys = FileKeys::open(&ground.folder.path().join("keys")).expect("the keys are read");
    let seal = Seal::new(Arc::new(keys));
    let key = AppKey::from_pem(ground.app.app_id, ground.app.private_key_pem.as_bytes()).expect("a key");
    let options = GitHubOptions { api_url: ground.api_url.clone(), key };
    let github = Arc::new(GitHub::new(options, clock.clone()).expect("a client"));
    let mirrors = ground.folder.path().join("mirrors");
    std::fs::create_dir_all(&mirrors).expect("a folder");
    let source: Arc<dyn Source> = Arc::new(GitSource::new(GitSettings { mirrors, limits: Limits::default() }));
    let blobs = Arc::new(DatabaseBlobs::new(store.clone(), seal.clone(), ids.clone(), clock.clone()));
    let logs = Logs::new(store.clone(), seal.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let states = States::new(store.clone(), blobs.clone(), seal.clone(), clock.clone(), ids.clone());
    let engine = Engine::new(Parts {
        store: store.clone(),
        seal: seal.clone(),
        forge: trap.around_read(github.clone()),
        publisher: trap.around_write(github),
        source: trap.around_source(source),
        executor: trap.around_executor(executor),
        iac: Arc::new(Iac::new(ground.iac.clone())),
        blobs: trap.around_blobs(blobs),
        states: states.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        settings: EngineSettings {
            applies: true,
            public_url: "http://buildit.test".to_owned(),
            state_url: Some(address.clone()),
            owner: format!("town-{}", ground.lives.fetch_add(1, Ordering::SeqCst)),
            slots: ground.slots,
            masks: Masker::new(std::iter::empty::<&str>()),
        },
    });
    let tokens = Tokens::new(store.clone(), seal.clone(), clock.clone(), ids.clone());
    let secrets = Secrets::new(store.clone(), seal.clone(), clock.clone());
    let desk = Desk::new(store.clone(), states.clone(), secrets, tokens);
    let intake = Arc::new(InboxIntake(Inbox::new(store.clone(), clock)));
    let router = webhook::router(&ground.app.webhook_secret.clone().into(), intake);
    let router = router.merge(bot::web::state::router(states.clone(), desk));
    let url = format!("{address}/webhook");
    tokio::spawn(async move { axum::serve(listener, router).await });
    double.set_webhook_url(ground.app.app_id, &url).expect("the app is there");
    (engine, store, logs)
}
