//! The loop's body: claim a due key, observe, decide, act, say when to look again.
//!
//! Owns: passes, attendants and their leases. Invariant: nothing that a restart would miss is in memory; a pass that
//! fails is due again, never lost.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use model::group::MergeGroup;
use model::id::{PullNumber, RepoId, RunId};
use model::run::RunKind;
use model::time::Timestamp;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use crate::parts::{EngineSettings, Parts};

use crate::act::run::STACK_SECRET;
use crate::act::{self, Pass, Trouble};
use crate::attend::{self, Counts, Presence};
use crate::decide::run::Leaving;
use crate::retry::Next;
use crate::seal::SealError;
use crate::store::due::{self, Claim};
use crate::store::{Dialect, StoreError, landings, pulls, runs};
use crate::world::{Key, NOBODY, PullWorld};
use crate::{decide, observe};

/// Looks at a pull request or run within one pass; then it is due again, for others wait too.
const ROUNDS: usize = 24;

/// Why the loop itself cannot go on; a pass that fails is due again and never told here.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server's own secret cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Randomness,
}

/// The engine. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Arc<Parts>,
    attendants: Mutex<JoinSet<()>>,
    counts: Arc<watch::Sender<Counts>>,
    leaving: watch::Sender<Leaving>,
}

impl Engine {
    /// Over its parts; `start` comes next.
    pub fn new(parts: Parts) -> Self {
        let counts = Arc::new(watch::Sender::new(Counts::default()));
        let leaving = watch::Sender::new(Leaving::No);
        Self(Arc::new(Inner { parts: Arc::new(parts), attendants: Mutex::default(), counts, leaving }))
    }

    /// Once before the first step: lets go of what a process that is gone had claimed (on SQLite, where there is one
    /// process), and makes the server's own secret.
    pub async fn start(&self) -> Result<(), EngineError> {
        let parts = &self.0.parts;
        if parts.store.dialect() == Dialect::Sqlite {
            due::release_all(&parts.store).await?;
        }
        let mut tx = parts.store.write().await?;
        let mut secret = [0_u8; 32];
        SystemRandom::new().fill(&mut secret).map_err(|_| EngineError::Randomness)?;
        let sealed = parts.seal.seal(STACK_SECRET, &secret)?;
        due::put_setting(&mut tx, due::APPLIES, if parts.settings.applies { "yes" } else { "no" }).await?;
        due::put_setting(&mut tx, due::STATES, if parts.settings.state_url.is_some() { "yes" } else { "no" }).await?;
        due::set_setting(&mut tx, STACK_SECRET, &hex::encode(sealed)).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(())
    }

    /// Claims one due key and works on it. False: nothing is due now. Several tasks may call it at once.
    pub async fn step(&self) -> Result<bool, EngineError> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let token = parts.ids.uuid(now).to_string();
        let claims = due::claim(&parts.store, &parts.settings.owner, &token, now, 1).await?;
        let Some(claim) = claims.into_iter().next() else { return Ok(false) };
        if let Key::Attend(run) = claim.key {
            self.send_attendant(claim, run);
        } else {
            let pass = Pass { parts, claim: &claim };
            let result = work(&pass, &self.0.leaving).await;
            settle(&pass, result).await?;
        }
        Ok(true)
    }

    fn send_attendant(&self, claim: Claim, run: RunId) {
        let mut presence = Presence::new(&self.0.counts);
        let parts = self.0.parts.clone();
        let mut attendants = self.0.attendants.lock().unwrap_or_else(PoisonError::into_inner);
        while attendants.try_join_next().is_some() {}
        attendants.spawn(async move {
            let result = attend::attend(&parts, &claim, run, &mut presence).await;
            let pass = Pass { parts: &parts, claim: &claim };
            if let Err(error) = settle(&pass, result.map(|()| None)).await {
                tracing::error!(%run, %error, "an attendant could not end; its lease will");
            }
            parts.store.wake();
        });
    }

    /// When the next key is due.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, EngineError> {
        Ok(due::next(&self.0.parts.store).await?)
    }

    /// Ready when something became due through this process; also without reason at times.
    pub async fn woken(&self) {
        self.0.parts.store.woken().await;
    }

    /// Makes a look at everything due.
    pub async fn resync(&self) -> Result<(), EngineError> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let mut tx = parts.store.write().await?;
        for number in pulls::all_open(&mut tx).await? {
            pulls::ask(&mut tx, number.0, number.1, now).await?;
            due::mark(&mut tx, &Key::Pull(number.0, number.1), &number.0.to_string(), now, now).await?;
        }
        for (repo, branch) in landings::branches(&mut tx).await? {
            landings::ask(&mut tx, repo, &branch).await?;
            due::mark(&mut tx, &Key::Branch(repo, branch), &repo.to_string(), now, now).await?;
        }
        due::mark(&mut tx, &Key::Everything, "server", now, now).await?;
        tx.commit().await.map_err(StoreError::from)?;
        parts.store.wake();
        Ok(())
    }

    /// Renews the leases of this process; to be called well within a minute.
    pub async fn beat(&self) -> Result<(), EngineError> {
        let parts = &self.0.parts;
        Ok(due::beat(&parts.store, &parts.settings.owner, parts.clock.now()).await?)
    }

    /// Ready when every attendant of this process has stored all that its executor has so far.
    pub async fn attendants_idle(&self) {
        self.when(|counts| counts.busy == 0).await;
    }

    /// Ready when this process has no attendant: every job that was started has an end.
    pub async fn attendants_ended(&self) {
        self.when(|counts| counts.live == 0).await;
    }

    async fn when(&self, holds: impl FnMut(&Counts) -> bool) {
        // The sender lives as long as this engine.
        let _ = self.0.counts.subscribe().wait_for(holds).await;
    }

    /// From now on no run gets a place here, and no job is started; what waits stays in its row. All else goes on.
    pub fn leave(&self) {
        self.0.leaving.send_if_modified(|it| {
            let stays = *it == Leaving::No;
            if stays {
                *it = Leaving::Soon;
            }
            stays
        });
    }

    /// How many applies run whose jobs this process reads.
    pub async fn applies(&self) -> Result<usize, EngineError> {
        let parts = &self.0.parts;
        Ok(runs::attended_applies(&mut *parts.store.read().await?, &parts.settings.owner).await?.len())
    }

    /// The same as `leave`, and each of these applies gets one interrupt: the tools then store what they have.
    pub async fn interrupt_applies(&self) -> Result<(), EngineError> {
        let parts = &self.0.parts;
        self.0.leaving.send_replace(Leaving::Now);
        let now = parts.clock.now();
        let mut tx = parts.store.write().await?;
        for (repo, run) in runs::attended_applies(&mut tx, &parts.settings.owner).await? {
            due::mark(&mut tx, &Key::Run(run), &repo.to_string(), now, now).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        parts.store.wake();
        Ok(())
    }

    /// Ends the attendants of this process, whose jobs go on, and lets go of its leases.
    pub async fn stop(&self) -> Result<(), EngineError> {
        let mut attendants = std::mem::take(&mut *self.0.attendants.lock().unwrap_or_else(PoisonError::into_inner));
        attendants.shutdown().await;
        let parts = &self.0.parts;
        Ok(due::release(&parts.store, &parts.settings.owner).await?)
    }
}

/// One pass. Gives when to look again; `None` when the next hint is soon enough.
async fn work(pass: &Pass<'_>, leaving: &watch::Sender<Leaving>) -> Result<Option<Timestamp>, Trouble> {
    match &pass.claim.key {
        Key::Pull(repo, number) => pull(pass, *repo, *number).await,
        Key::Run(id) => run(pass, *id, leaving).await,
        Key::Publish(repo, number) => publish(pass, *repo, *number).await,
        Key::Branch(repo, name) => branch(pass, *repo, name).await,
        Key::Repository(repo) => none(act::resync::repository(pass, *repo)).await,
        Key::Everything => none(act::resync::everything(pass)).await,
        Key::Rerun(id) => none(act::resync::pressed(pass, id)).await,
        Key::Rules(repo) => none(act::resync::rules(pass, *repo)).await,
        Key::Teams(installation) => none(act::resync::teams(pass, *installation)).await,
        Key::Attend(_) => Ok(None),
    }
}

async fn none(work: impl Future<Output = Result<(), Trouble>>) -> Result<Option<Timestamp>, Trouble> {
    work.await.map(|()| None)
}

async fn world(pass: &Pass<'_>, repo: RepoId, number: PullNumber) -> Result<Option<PullWorld>, StoreError> {
    let mut tx = pass.parts.store.snapshot().await?;
    observe::pull(&mut tx, repo, number, &pass.parts.settings.public_url, pass.now()).await
}

/// All of what landed.
async fn landed(pass: &Pass<'_>, repo: RepoId, id: i64) -> Result<Option<PullWorld>, StoreError> {
    let mut tx = pass.parts.store.snapshot().await?;
    observe::landing(&mut tx, repo, id, &pass.parts.settings.public_url, pass.now()).await
}

async fn pull(pass: &Pass<'_>, repo: RepoId, number: PullNumber) -> Result<Option<Timestamp>, Trouble> {
    for _ in 0..ROUNDS {
        let Some(world) = world(pass, repo, number).await? else { return Ok(None) };
        let steps = decide::pull::decide(&world);
        if steps.is_empty() {
            return Ok(decide::gates::again(&world));
        }
        for step in steps {
            act::pull::carry_out(pass, &world, step).await?;
        }
    }
    Ok(Some(pass.now()))
}

/// A branch: how far it is walked, and what landed on it.
async fn branch(pass: &Pass<'_>, repo: RepoId, name: &str) -> Result<Option<Timestamp>, Trouble> {
    let look = || async { observe::branch(&mut *pass.parts.store.snapshot().await?, repo, name).await };
    let Some((row, _)) = look().await? else {
        if MergeGroup::base_branch(name).is_some() {
            return group(pass, repo, name).await;
        }
        act::resync::branch(pass, repo, name).await?;
        return Ok(None);
    };
    if row.asked > row.seen {
        act::landing::walk(pass, repo, &row).await?;
    }
    let mut again = None;
    for id in look().await?.map(|(_, open)| open).unwrap_or_default() {
        let next = landing(pass, repo, id).await?;
        again = [again, next].into_iter().flatten().min();
    }
    Ok(again)
}

/// A group of a merge queue.
async fn group(pass: &Pass<'_>, repo: RepoId, branch: &str) -> Result<Option<Timestamp>, Trouble> {
    let look = || async {
        let mut tx = pass.parts.store.snapshot().await?;
        observe::group(&mut tx, repo, branch, &pass.parts.settings.public_url, pass.now()).await
    };
    let before = look().await?;
    act::group::read(pass, repo, branch, before.as_ref().map(|world| &world.row)).await?;
    let world = look().await?;
    if let Some(before) = before.filter(|before| world.as_ref().is_none_or(|world| world.row.head != before.row.head)) {
        for step in decide::group::end(&before.runs) {
            act::pull::rows_of(pass, (repo, NOBODY), step).await?;
        }
    }
    let Some(world) = world else { return Ok(None) };
    for step in decide::group::decide(&world) {
        act::pull::rows_of(pass, (repo, NOBODY), step).await?;
    }
    if let Some(world) = look().await? {
        act::group::publish(pass, &world).await?;
    }
    Ok(None)
}

async fn landing(pass: &Pass<'_>, repo: RepoId, id: i64) -> Result<Option<Timestamp>, Trouble> {
    for _ in 0..ROUNDS {
        let Some(world) = landed(pass, repo, id).await? else { return Ok(None) };
        let steps = decide::landing::decide(&world);
        if steps.is_empty() {
            if world.landing.as_ref().is_some_and(|landing| landing.pull.is_none()) {
                act::publish::push(pass, &world).await?;
            }
            return Ok(decide::gates::again(&world));
        }
        let asked = steps.iter().any(|step| matches!(step, decide::pull::Step::AskPull));
        for step in steps {
            act::pull::carry_out(pass, &world, step).await?;
        }
        if asked {
            // Its answer makes the branch due again.
            return Ok(None);
        }
    }
    Ok(Some(pass.now()))
}

async fn run(pass: &Pass<'_>, id: RunId, leaving: &watch::Sender<Leaving>) -> Result<Option<Timestamp>, Trouble> {
    for _ in 0..ROUNDS {
        let row = observe::run(&mut *pass.parts.store.read().await?, id).await?;
        let Some(row) = row else { return Ok(None) };
        let step = decide::run::decide(&row, pass.now(), *leaving.borrow());
        if step == decide::run::Step::Done {
            return Ok(None);
        }
        let again = if step == decide::run::Step::Start && row.what.kind == RunKind::Apply {
            // What GitHub and git say of the pull request stands between an apply and its start.
            let world = match row.what.landing {
                None => world(pass, row.repo, row.pull).await?,
                Some(id) => landed(pass, row.repo, id).await?,
            };
            let start = decide::start::decide(world.as_ref(), &row);
            act::apply::start(pass, row, start).await?
        } else {
            act::run::carry_out(pass, row, step).await?
        };
        if again.is_some() {
            return Ok(again);
        }
    }
    Ok(Some(pass.now()))
}

async fn publish(pass: &Pass<'_>, repo: RepoId, number: PullNumber) -> Result<Option<Timestamp>, Trouble> {
    if let Some(world) = world(pass, repo, number).await? {
        act::publish::publish(pass, &world).await?;
    }
    Ok(None)
}

/// Ends a pass by what came of it.
async fn settle(pass: &Pass<'_>, result: Result<Option<Timestamp>, Trouble>) -> Result<(), StoreError> {
    let (store, claim, now) = (&pass.parts.store, pass.claim, pass.now());
    let attempt = claim.attempt + 1;
    let error = match result {
        Ok(again) => return fenced(due::settle(store, claim, now, again, 0).await),
        Err(error) => error,
    };
    let count = u32::try_from(attempt).unwrap_or(u32::MAX);
    let key = claim.key.text();
    let Some(next) = error.next(count, now) else { return Ok(()) };
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    tracing::warn!(key, attempt, %error, cause, ?next, "a pass failed");
    match next {
        Next::Again(at) => {
            if count == crate::retry::PATIENCE || error.needs_an_operator() {
                show_trouble(pass, &error.to_string()).await?;
            }
            fenced(due::settle(store, claim, now, Some(at), attempt).await)
        }
        Next::Forget => fenced(due::settle(store, claim, now, None, 0).await),
        Next::Stall(message) => match stall(pass, &message).await {
            Ok(()) => fenced(due::settle(store, claim, now, None, 0).await),
            // It could not even be told: try all of it again.
            Err(_) => {
                fenced(due::settle(store, claim, now, Some(now.after(crate::retry::pause(count))), attempt).await)
            }
        },
    }
}

/// Another worker that took over ends this pass, and that is no error.
fn fenced(result: Result<(), StoreError>) -> Result<(), StoreError> {
    match result {
        Err(StoreError::Fenced) => Ok(()),
        other => other,
    }
}

/// What cannot be mended by trying again is shown to people.
async fn stall(pass: &Pass<'_>, message: &str) -> Result<(), Trouble> {
    if let Key::Run(id) = pass.claim.key {
        let row = observe::run(&mut *pass.parts.store.read().await?, id).await?;
        let Some(row) = row.filter(|row| !row.state.is_terminal()) else { return Ok(()) };
        return act::run::fail(pass, row, message).await;
    }
    Ok(show_trouble(pass, message).await?)
}

async fn show_trouble(pass: &Pass<'_>, message: &str) -> Result<(), StoreError> {
    if let Key::Run(id) = pass.claim.key {
        let row = observe::run(&mut *pass.parts.store.read().await?, id).await?;
        return match row {
            Some(row) => fenced(act::run::hinder(pass, row, message).await),
            None => Ok(()),
        };
    }
    let Key::Pull(repo, number) = pass.claim.key else { return Ok(()) };
    let mut tx = match pass.write().await {
        Err(StoreError::Fenced) => return Ok(()),
        tx => tx?,
    };
    pulls::set_trouble(&mut tx, repo, number, Some(message)).await?;
    pass.mark(&mut tx, repo, &Key::Publish(repo, number)).await?;
    pass.commit(tx).await
}
