//! Rows become worlds: one read transaction per pass, set-based.
//!
//! Invariant: reads and nothing else; what it gives holds all that `decide` may ask.

use model::id::{PullNumber, RepoId, RunId};
use model::run::RunKind;
use model::survey::{Survey, SurveyedStack};
use model::time::Timestamp;

use crate::secrets;
use crate::store::{
    Conn, StoreError, commands, due, gates, groups, landings, locks, publications, pulls, runs, states,
};
use crate::world::{BranchRow, GroupRow, GroupWorld, NOBODY, PullRow, PullWorld, RepoRow, RunRow};

/// All of a pull request; `None` when it or its repository is not known.
pub(crate) async fn pull(
    conn: &mut Conn,
    repo: RepoId,
    number: PullNumber,
    base_url: &str,
    now: Timestamp,
) -> Result<Option<PullWorld>, StoreError> {
    let Some(row) = pulls::repo(conn, repo).await? else { return Ok(None) };
    let Some(mut pull) = pulls::pull(conn, repo, number).await? else { return Ok(None) };
    let mut landing = landings::of_pull(conn, repo, number).await?;
    know_secrets(conn, &row, repo, &mut pull.survey).await?;
    if let Some(landing) = &mut landing {
        know_secrets(conn, &row, repo, &mut landing.survey).await?;
    }
    let head = pull.snapshot.as_ref().map(|snapshot| snapshot.head.as_str());
    if pull.allowed.is_some() && pull.allowed.as_deref() == head {
        let surveys = pull.survey.iter_mut().chain(landing.as_mut().and_then(|landing| landing.survey.as_mut()));
        surveys.flat_map(|survey| &mut survey.stacks).for_each(SurveyedStack::allow_secrets);
    }
    let (plans, applies) = runs::of_pull(conn, repo, number)
        .await?
        .into_iter()
        .partition::<Vec<_>, _>(|run| run.what.kind == RunKind::Plan);
    let (landed, runs) = plans.into_iter().partition(|run| run.what.landing.is_some());
    Ok(Some(PullWorld {
        base_url: base_url.to_owned(),
        keeps_states: due::setting(conn, due::STATES).await?.is_some_and(|value| value == "yes"),
        may_apply: due::setting(conn, due::APPLIES).await?.is_some_and(|value| value == "yes"),
        slug: due::setting(conn, due::SLUG).await?.unwrap_or_else(|| "buildit".to_owned()),
        app: due::setting(conn, due::APP).await?.and_then(|id| id.parse().ok()),
        now,
        repo: row,
        pull,
        runs,
        landed,
        landing,
        applies,
        locks: locks::of_repo(conn, repo).await?,
        shown: gates::shown(conn, repo, number).await?,
        stacks: states::facts(conn, repo).await?,
        freeze: gates::freeze(conn, repo).await?,
        commands: commands::of_pull(conn, repo, number).await?,
        publications: publications::of_pull(conn, repo, number).await?,
        queue: runs::queue(conn).await?,
    }))
}

/// All of a group of a merge queue; `None` when it is not known.
pub(crate) async fn group(
    conn: &mut Conn,
    repo: RepoId,
    branch: &str,
    base_url: &str,
    now: Timestamp,
) -> Result<Option<GroupWorld>, StoreError> {
    let Some(mut row) = groups::find(conn, repo, branch).await? else { return Ok(None) };
    let Some(known) = pulls::repo(conn, repo).await? else { return Ok(None) };
    let mut members = Vec::new();
    for member in &row.group.members {
        members.extend(self::pull(conn, repo, member.number, base_url, now).await?);
    }
    know_secrets(conn, &known, repo, &mut row.survey).await?;
    allow_secrets(&mut row, &members);
    let mut waiting = Vec::new();
    for id in landings::open(conn, repo, &row.base_branch).await? {
        waiting.extend(self::landing(conn, repo, id, base_url, now).await?);
    }
    Ok(Some(GroupWorld {
        base_url: base_url.to_owned(),
        may_apply: due::setting(conn, due::APPLIES).await?.is_some_and(|value| value == "yes"),
        repo: known,
        runs: runs::of_request(conn, repo, &row.request()).await?,
        publications: publications::of_commit(conn, repo, &row.head).await?,
        row,
        members,
        waiting,
    }))
}

/// A group brings a stack the secrets that its members bring it, once they were allowed on each of them.
fn allow_secrets(row: &mut GroupRow, members: &[PullWorld]) {
    let all = members.len() == row.group.members.len();
    for stack in row.survey.iter_mut().flat_map(|survey| &mut survey.stacks) {
        let waits = |survey: &Survey| survey.stack(&stack.stack.name).is_some_and(|own| !own.new_secrets.is_empty());
        let allowed = |member: &PullWorld| member.pull.survey.as_ref().is_some_and(|survey| !waits(survey));
        if all && members.iter().all(allowed) {
            stack.allow_secrets();
        }
    }
}

/// A branch that is walked; `None` when it is not.
pub(crate) async fn branch(
    conn: &mut Conn,
    repo: RepoId,
    name: &str,
) -> Result<Option<(BranchRow, Vec<i64>)>, StoreError> {
    let Some(row) = landings::branch(conn, repo, name).await? else { return Ok(None) };
    let open = landings::open(conn, repo, name).await?;
    Ok(Some((row, open)))
}

/// What landed, as the world of its pull request; without one as a world that nothing is known of but the commit.
pub(crate) async fn landing(
    conn: &mut Conn,
    repo: RepoId,
    id: i64,
    base_url: &str,
    now: Timestamp,
) -> Result<Option<PullWorld>, StoreError> {
    let Some(mut landing) = landings::by_id(conn, repo, id).await? else { return Ok(None) };
    if let Some(pull) = landing.pull {
        let Some(world) = self::pull(conn, repo, pull, base_url, now).await? else { return Ok(None) };
        know_secrets(conn, &world.repo, repo, &mut landing.survey).await?;
        let merged = world.pull.snapshot.as_ref().map(|snapshot| snapshot.head.as_str());
        if merged.is_some() && world.pull.allowed.as_deref() == merged {
            landing.survey.iter_mut().flat_map(|survey| &mut survey.stacks).for_each(SurveyedStack::allow_secrets);
        }
        return Ok(Some(PullWorld { landing: Some(landing), ..world }));
    }
    let Some(row) = pulls::repo(conn, repo).await? else { return Ok(None) };
    know_secrets(conn, &row, repo, &mut landing.survey).await?;
    let (landed, applies) =
        runs::of_landing(conn, repo, id).await?.into_iter().partition(|run| run.what.kind == RunKind::Plan);
    Ok(Some(PullWorld {
        base_url: base_url.to_owned(),
        may_apply: due::setting(conn, due::APPLIES).await?.is_some_and(|value| value == "yes"),
        slug: due::setting(conn, due::SLUG).await?.unwrap_or_else(|| "buildit".to_owned()),
        keeps_states: due::setting(conn, due::STATES).await?.is_some_and(|value| value == "yes"),
        app: due::setting(conn, due::APP).await?.and_then(|id| id.parse().ok()),
        now,
        repo: row,
        pull: PullRow::nobody(repo, now),
        runs: Vec::new(),
        landed,
        landing: Some(landing),
        applies,
        locks: locks::of_repo(conn, repo).await?,
        shown: Vec::new(),
        stacks: states::facts(conn, repo).await?,
        freeze: gates::freeze(conn, repo).await?,
        commands: Vec::new(),
        publications: publications::of_pull(conn, repo, NOBODY).await?,
        queue: runs::queue(conn).await?,
    }))
}

/// Which values the secrets of a survey's stacks have.
async fn know_secrets(
    conn: &mut Conn,
    row: &RepoRow,
    repo: RepoId,
    survey: &mut Option<Survey>,
) -> Result<(), StoreError> {
    match survey {
        Some(survey) => secrets::fill(conn, (repo, &row.name), survey).await,
        None => Ok(()),
    }
}

/// A run.
pub(crate) async fn run(conn: &mut Conn, id: RunId) -> Result<Option<RunRow>, StoreError> {
    runs::by_id(conn, id).await
}
