//! What pages read: rows as values for people.
//!
//! Invariant: reads only, and each answer is of one moment. What it says of a pull request is the same value that
//! its comment on GitHub is made of.

use std::fmt;
use std::sync::Arc;

use model::id::{CommitSha, PullNumber, RepoName, RunId, RunNumber, StackName};
use model::plan::{Counts, Risk};
use model::ports::Clock;
use model::publication::{PullView, StackRow};
use model::run::{RunState, Wanted};
use model::time::Timestamp;

use crate::brief::SurveyBrief;
use crate::decide::publish;
use crate::observe;
use crate::store::views::{ListedPull, ListedRun, NewestRun};
use crate::store::{Store, StoreError, runs, views};

/// The page of a pull request lists so many runs.
const RUNS: u32 = 200;

/// A line of the list of pull requests.
#[derive(Debug, Clone, PartialEq)]
pub struct PullCard {
    /// The repository.
    pub repo: RepoName,
    /// Its number.
    pub number: PullNumber,
    /// Its title, as written.
    pub title: String,
    /// The author's login.
    pub author: String,
    /// Last change.
    pub updated_at: Timestamp,
    /// What stands in the way of all plans, until someone mends it.
    pub trouble: Option<String>,
    /// Why nothing is planned although nothing is wrong.
    pub quiet: Option<String>,
    /// The states of its current runs.
    pub states: Vec<RunState>,
    /// The worst risk among its plans.
    pub risk: Risk,
}

/// A line of the list of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct RunCard {
    /// Its number.
    pub number: RunNumber,
    /// The repository.
    pub repo: RepoName,
    /// The pull request.
    pub pull: PullNumber,
    /// The stack.
    pub stack: StackName,
    /// Where it is.
    pub state: RunState,
    /// What the plan would do, once known.
    pub counts: Option<Counts>,
    /// How dangerous that is.
    pub risk: Risk,
    /// When it was made.
    pub created_at: Timestamp,
    /// Wall clock time of its job in milliseconds, once ended.
    pub millis: Option<u64>,
}

/// A pull request's page.
#[derive(Debug, Clone, PartialEq)]
pub struct PullPage {
    /// Its title, as written.
    pub title: String,
    /// The author's login.
    pub author: String,
    /// Where it stands: the same value that the comment is made of.
    pub view: PullView,
    /// Earlier and current runs, the newest first.
    pub runs: Vec<RunCard>,
}

/// A run's page.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPage {
    /// The list's line of it.
    pub card: RunCard,
    /// The head that it plans.
    pub head: CommitSha,
    /// The same value that the comment's row is made of.
    pub row: StackRow,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Reads for pages. Cheap to clone.
#[derive(Clone)]
pub struct Views {
    store: Store,
    public_url: String,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Views {
    /// Over a database; links begin with `public_url`, which has no `/` at its end.
    pub fn new(store: Store, public_url: String, clock: Arc<dyn Clock>) -> Self {
        Self { store, public_url, clock }
    }

    /// Does the database answer?
    pub async fn ready(&self) -> Result<(), StoreError> {
        views::ping(&mut *self.store.read().await?).await
    }

    /// Open pull requests of repositories with a configuration, the newest change first.
    pub async fn recent_pulls(&self, limit: u32) -> Result<Vec<PullCard>, StoreError> {
        let mut conn = self.store.read().await?;
        let listed = views::pulls(&mut conn, limit).await?;
        let newest = views::newest_runs(&mut conn, limit).await?;
        Ok(listed.into_iter().map(|pull| pull_card(pull, &newest)).collect())
    }

    /// Runs, the newest first.
    pub async fn recent_runs(&self, limit: u32) -> Result<Vec<RunCard>, StoreError> {
        let runs = views::runs(&mut *self.store.read().await?, limit).await?;
        Ok(runs.into_iter().map(run_card).collect())
    }

    /// One pull request; `None` when it is not known, or its repository has no configuration.
    pub async fn pull(&self, repo: &RepoName, number: PullNumber) -> Result<Option<PullPage>, StoreError> {
        let mut tx = self.store.snapshot().await?;
        let Some(repo) = views::repo_with(&mut tx, repo, number).await? else { return Ok(None) };
        let Some(world) = observe::pull(&mut tx, repo, number, &self.public_url, self.clock.now()).await? else {
            return Ok(None);
        };
        let (Some(view), Some(snapshot)) = (publish::view(&world), world.pull.snapshot) else { return Ok(None) };
        let runs = views::runs_of(&mut tx, repo, number, RUNS).await?;
        let runs = runs.into_iter().map(run_card).collect();
        Ok(Some(PullPage { title: snapshot.title, author: snapshot.author, view, runs }))
    }

    /// One run.
    pub async fn run(&self, number: RunNumber) -> Result<Option<RunPage>, StoreError> {
        let mut tx = self.store.snapshot().await?;
        let Some(listed) = views::run(&mut tx, number).await? else { return Ok(None) };
        let Some(mut run) = runs::by_number(&mut tx, number).await? else { return Ok(None) };
        run.document = runs::document(&mut tx, run.id).await?;
        let world = observe::pull(&mut tx, run.repo, run.pull, &self.public_url, self.clock.now()).await?;
        let Some(world) = world else { return Ok(None) };
        let row = publish::of_run(&world, &run);
        Ok(Some(RunPage { card: run_card(listed), head: run.what.head, row, ended_at: run.ended_at }))
    }

    /// Which run has that number?
    pub async fn run_id(&self, number: RunNumber) -> Result<Option<RunId>, StoreError> {
        views::run_id(&mut *self.store.read().await?, number).await
    }
}

fn pull_card(pull: ListedPull, newest: &[NewestRun]) -> PullCard {
    let ListedPull { repo, name, snapshot, brief, trouble } = pull;
    let current: Vec<&NewestRun> = newest
        .iter()
        .filter(|run| run.repo == repo && run.pull == snapshot.number)
        .filter(|run| is_current(run, run.head == snapshot.head, brief.as_ref()))
        .collect();
    let mut trouble = trouble;
    let mut quiet = None;
    match &brief {
        _ if trouble.is_some() => {}
        _ if snapshot.fork => quiet = Some("from a fork: nothing was run".to_owned()),
        Some(brief) if !brief.planned_base => {
            quiet = Some(format!("into {}, whose pull requests are not planned", snapshot.base_branch));
        }
        Some(brief) if brief.obstacle.is_some() => trouble.clone_from(&brief.obstacle),
        Some(brief) if current.is_empty() && !brief.affected.is_empty() => {
            let draft = if snapshot.draft { "a draft: " } else { "" };
            quiet = Some(format!("{draft}nothing planned yet"));
        }
        _ => {}
    }
    PullCard {
        repo: name,
        number: snapshot.number,
        title: snapshot.title,
        author: snapshot.author,
        updated_at: snapshot.updated_at,
        trouble,
        states: current.iter().map(|run| run.state).collect(),
        risk: current.iter().filter_map(|run| run.plan).map(|plan| plan.risk).max().unwrap_or_default(),
        quiet,
    }
}

/// Does it speak for its stack now? Here only what rows of lists know is asked; the pull request's page compares
/// inputs too.
fn is_current(run: &NewestRun, here: bool, brief: Option<&SurveyBrief>) -> bool {
    let shown = brief.is_some_and(|brief| brief.affected.contains(&run.stack)) || (run.asked_for && here);
    let speaks = match run.state {
        RunState::Superseded => false,
        RunState::Failed | RunState::Cancelled | RunState::TimedOut => here,
        RunState::Queued
        | RunState::Preparing
        | RunState::Initializing
        | RunState::Planning
        | RunState::Applying
        | RunState::Applied
        | RunState::PartlyApplied
        | RunState::Stale
        | RunState::Lost
        | RunState::Planned
        | RunState::NoChange => true,
    };
    shown && speaks && run.wanted != Wanted::Supersede
}

fn run_card(run: ListedRun) -> RunCard {
    let millis = |(started, ended): (Timestamp, Timestamp)| u64::try_from(ended.since(started).as_millis()).ok();
    RunCard {
        number: run.number,
        repo: run.repo,
        pull: run.pull,
        stack: run.stack,
        state: run.state,
        counts: run.plan.map(|plan| plan.counts),
        risk: run.plan.map(|plan| plan.risk).unwrap_or_default(),
        created_at: run.created_at,
        millis: run.started_at.zip(run.ended_at).and_then(millis),
    }
}

#[cfg(test)]
mod tests;
