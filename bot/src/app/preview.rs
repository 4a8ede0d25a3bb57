//! One pull request made of two commits of a clone, planned to its end in this process.
//!
//! Owns the wiring of `buildit preview`: the server's own engine on a database in a temporary directory, with the
//! clone as git and as GitHub. Invariant: when it returns, no job runs and the directory is gone.

mod selected;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use model::id::{RepoId, StackName};
use model::mask::Masker;
use model::ports::{Clock as _, Source as _, SourceError, SurveyRequest};
use model::survey::Survey;
use reconciler::blobs::DatabaseBlobs;
use reconciler::engine::{Engine, EngineSettings, Parts};
use reconciler::inbox::{Delivery, Hint, Inbox};
use reconciler::seal::Seal;
use reconciler::states::States;
use reconciler::store::Store;
use runner::exec::Process;
use runner::iac::Iac;
use runner::source::GitSource;

use super::leftovers::remove_jobs;
use crate::clock::{SystemClock, UuidIds};
use crate::keys::FileKeys;
use crate::local::{LocalForge, NUMBER, Preview, Published};
use selected::Selected;

/// Without news for so long the engine is asked again.
const GLANCE: Duration = Duration::from_secs(1);
/// What stays undecided for so long without any job is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is previewed, and with what.
#[derive(Debug)]
pub struct PreviewJob {
    /// The clone.
    pub clone: PathBuf,
    /// The two commits.
    pub preview: Preview,
    /// Only these stacks; empty: the affected ones.
    pub stacks: Vec<StackName>,
    /// The tools.
    pub iac: Iac,
    /// Variables of this process's environment that jobs see.
    pub environment: Vec<String>,
    /// Plans at the same time.
    pub slots: u32,
    /// What no log and no error may show.
    pub masks: Masker,
}

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    /// Everything is known; what was published last.
    Done(Box<Published>),
    /// The person stopped it.
    Interrupted,
}

/// What git and the configuration say, before anything runs.
///
/// # Errors
/// Git could not read the clone.
pub async fn survey(clone: &Path, preview: &Preview) -> Result<Survey, SourceError> {
    let request = SurveyRequest {
        repo: RepoId::new(1),
        name: preview.name.clone(),
        base: preview.base.clone(),
        base_branch: preview.base_branch.clone(),
        default_tip: preview.base.clone(),
        default_branch: preview.base_branch.clone(),
        head: preview.head.clone(),
        test_merge: None,
    };
    GitSource::over_clone(clone).survey(request).await
}

/// Plans it all. `progress` is called after each step with what is published so far.
///
/// # Errors
/// The temporary directory, the database or the engine failed; or nothing was decided in a minute without a job.
pub async fn run(
    job: PreviewJob,
    progress: &mut (dyn FnMut(&Published) + Send),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Ended> {
    let dir = tempfile::Builder::new().prefix("buildit-preview-").tempdir().context("no temporary directory")?;
    let jobs = dir.path().join("jobs");
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let executor = Process::new(&jobs, vec![program.into_os_string(), OsString::from("job")]);
    let executor = executor.inheriting(job.environment.iter().cloned());
    let wired = wire(job, dir.path(), executor.clone()).await?;
    let ended = tokio::select! {
        ended = wired.settle(progress) => ended,
        () = stop => Ok(Ended::Interrupted),
    };
    wired.engine.stop().await?;
    wired.store.close().await;
    remove_jobs(&executor, &jobs).await?;
    dir.close().context("the temporary directory could not be removed")?;
    ended
}

struct Wired {
    engine: Engine,
    store: Store,
    forge: Arc<LocalForge>,
    clock: Arc<SystemClock>,
}

async fn wire(job: PreviewJob, dir: &Path, executor: Process) -> anyhow::Result<Wired> {
    let store = Store::open(&format!("sqlite://{}", dir.join("preview.db").display())).await?;
    let (clock, ids) = (Arc::new(SystemClock::new()), Arc::new(UuidIds::new()));
    let seal = Seal::new(Arc::new(FileKeys::open(&dir.join("keys"))?));
    let forge = Arc::new(LocalForge::new(job.preview));
    let git = Arc::new(GitSource::over_clone(&job.clone));
    let blobs = Arc::new(DatabaseBlobs::new(store.clone(), seal.clone(), ids.clone(), clock.clone()));
    let engine = Engine::new(Parts {
        states: States::new(store.clone(), blobs.clone(), seal.clone(), clock.clone(), ids.clone()),
        blobs,
        store: store.clone(),
        seal,
        forge: forge.clone(),
        publisher: forge.clone(),
        source: Arc::new(Selected { inner: git, stacks: job.stacks }),
        executor: Arc::new(executor),
        iac: Arc::new(job.iac),
        clock: clock.clone(),
        ids,
        settings: EngineSettings {
            public_url: String::new(),
            // Nothing is served: what a server would keep is planned on an empty state.
            state_url: None,
            owner: "preview".to_owned(),
            slots: job.slots,
            applies: false,
            masks: job.masks,
        },
    });
    engine.start().await?;
    let repo = forge.only_repository();
    let hint = Hint::Pull { installation: repo.installation, repo: repo.id, name: repo.name.clone(), number: NUMBER };
    let delivery = Delivery { id: "preview".to_owned(), event: "preview".to_owned(), action: None, hints: vec![hint] };
    Inbox::new(store.clone(), clock.clone()).note(delivery).await?;
    Ok(Wired { engine, store, forge, clock })
}

impl Wired {
    /// Steps until the aggregate has a conclusion, no job runs and nothing is due.
    async fn settle(&self, progress: &mut (dyn FnMut(&Published) + Send)) -> anyhow::Result<Ended> {
        let mut last_news = self.clock.now();
        loop {
            while self.engine.step().await? {
                last_news = self.clock.now();
                progress(&self.forge.published());
            }
            self.engine.beat().await?;
            let published = self.forge.published();
            let idle = self.engine.attendants_ended().now_or_never().is_some();
            if idle && published.is_concluded() && !self.is_due().await? {
                return Ok(Ended::Done(Box::new(published)));
            }
            if !idle {
                last_news = self.clock.now();
            }
            anyhow::ensure!(
                self.clock.now().since(last_news) < PATIENCE,
                "nothing was decided for {} s: {}",
                PATIENCE.as_secs(),
                published.title().unwrap_or_else(|| "nothing was published".to_owned())
            );
            // Whatever wakes it, it looks at everything again.
            let _ = tokio::time::timeout(GLANCE, self.engine.woken()).await;
        }
    }

    async fn is_due(&self) -> anyhow::Result<bool> {
        let soon = self.clock.now().after(GLANCE);
        Ok(self.engine.next_due().await?.is_some_and(|at| at <= soon))
    }
}
