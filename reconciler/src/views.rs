//! What pages read: rows as values for people.
//!
//! Invariant: reads only, and each answer is of one moment. What it says of a pull request is the same value that
//! its comment on GitHub is made of.

use model::id::{PullNumber, RepoName, RunId, RunNumber, StackName};
use model::plan::{Counts, Risk};
use model::run::{RunState, Wanted};
use model::time::Timestamp;

use crate::brief::SurveyBrief;
use crate::store::views::{ListedPull, ListedRun, NewestRun};
use crate::store::{Store, StoreError, views};

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

/// Reads for pages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Views {
    store: Store,
    #[expect(dead_code, reason = "the page of a pull request, its reader, comes with `observe`")]
    public_url: String,
}

impl Views {
    /// Over a database; links begin with `public_url`, which has no `/` at its end.
    pub fn new(store: Store, public_url: String) -> Self {
        Self { store, public_url }
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
