//! Trusted branches as far as they were walked, the commits that landed on them, and what became of each stack.
//!
//! Invariant: a branch's commits are noted in first-parent order, each once, in the transaction that moves on how far
//! it was walked; an outcome is written once.

use model::id::{CommitSha, PullNumber, RepoId, RunId, StackName};
use model::survey::Survey;
use model::time::Timestamp;
use sqlx::any::AnyRow;

use super::db::{self, int, maybe_int, maybe_json, maybe_text, sql, text, to_json};
use super::{Conn, StoreError};
use crate::world::{Before, BranchRow, LandedStack, LandingRow, NewLanding, StackOutcome};

/// A branch whose walk has begun.
pub(crate) async fn branch(conn: &mut Conn, repo: RepoId, name: &str) -> Result<Option<BranchRow>, StoreError> {
    let query = sql("select walked, asked, seen from branches where repo=$1 and name=$2");
    let row = db::optional(conn, query.bind(repo.get()).bind(name.to_owned())).await?;
    row.map(|row| {
        Ok(BranchRow {
            name: name.to_owned(),
            walked: sha(&row, "walked")?,
            asked: int(&row, "asked")?,
            seen: int(&row, "seen")?,
        })
    })
    .transpose()
}

/// Begins a branch's walk at this commit; one that has begun stays where it is.
pub(crate) async fn begin(conn: &mut Conn, repo: RepoId, name: &str, at: &CommitSha) -> Result<(), StoreError> {
    let query =
        sql("insert into branches (repo, name, walked) values ($1, $2, $3) on conflict (repo, name) do nothing");
    db::run(conn, query.bind(repo.get()).bind(name.to_owned()).bind(at.to_string())).await?;
    Ok(())
}

/// The branch may have moved.
pub(crate) async fn ask(conn: &mut Conn, repo: RepoId, name: &str) -> Result<(), StoreError> {
    let query = sql("update branches set asked=asked+1 where repo=$1 and name=$2");
    db::run(conn, query.bind(repo.get()).bind(name.to_owned())).await?;
    Ok(())
}

/// Notes what landed since, oldest first, and how far the branch was walked.
pub(crate) async fn walked(
    conn: &mut Conn,
    repo: RepoId,
    branch: &BranchRow,
    tip: &CommitSha,
    landed: &[NewLanding],
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sql("update branches set walked=$3, seen=$4 where repo=$1 and name=$2 and walked=$5");
    let query = query.bind(repo.get()).bind(branch.name.clone()).bind(tip.to_string()).bind(branch.asked);
    if db::run(conn, query.bind(branch.walked.to_string())).await? == 0 {
        return Err(StoreError::Fenced);
    }
    let last =
        db::optional(conn, sql("select id from landings where repo=$1 order by id desc limit 1").bind(repo.get()));
    let mut id = last.await?.map(|row| int(&row, "id")).transpose()?.unwrap_or(0);
    for it in landed {
        id += 1;
        let query = sql("insert into landings (repo, id, branch, before, commit_id, pull, seen_at) \
             values ($1, $2, $3, $4, $5, $6, $7)");
        let query = query.bind(repo.get()).bind(id).bind(branch.name.clone()).bind(it.before.to_string());
        let query = query.bind(it.commit.to_string()).bind(it.pull.map(PullNumber::get));
        db::run(conn, query.bind(now.micros())).await?;
    }
    Ok(())
}

/// Ids of what landed on a branch and is not done, in order.
pub(crate) async fn open(conn: &mut Conn, repo: RepoId, branch: &str) -> Result<Vec<i64>, StoreError> {
    let query = sql("select id from landings where repo=$1 and branch=$2 and done=0 order by id");
    let rows = db::all(conn, query.bind(repo.get()).bind(branch.to_owned())).await?;
    rows.iter().map(|row| int(row, "id")).collect()
}

/// Pull requests and branches of what landed and is not done.
pub(crate) async fn waiting(conn: &mut Conn, repo: RepoId) -> Result<Vec<(Option<PullNumber>, String)>, StoreError> {
    let query = sql("select pull, branch from landings where repo=$1 and done=0 order by id").bind(repo.get());
    let rows = db::all(conn, query).await?;
    rows.iter().map(|row| Ok((maybe_int(row, "pull")?.map(PullNumber::new), text(row, "branch")?))).collect()
}

/// Branches that have been walked, of all repositories.
pub(crate) async fn branches(conn: &mut Conn) -> Result<Vec<(RepoId, String)>, StoreError> {
    let rows = db::all(conn, sql("select repo, name from branches order by repo, name")).await?;
    rows.iter().map(|row| Ok((RepoId::new(int(row, "repo")?), text(row, "name")?))).collect()
}

/// The newest landing of a pull request.
pub(crate) async fn of_pull(conn: &mut Conn, repo: RepoId, pull: PullNumber) -> Result<Option<LandingRow>, StoreError> {
    let query = sql("select id, branch, before, commit_id, pull, survey, done, seen_at from landings \
         where repo=$1 and pull=$2 order by id desc limit 1");
    match db::optional(conn, query.bind(repo.get()).bind(pull.get())).await? {
        Some(row) => Ok(Some(read(conn, repo, &row).await?)),
        None => Ok(None),
    }
}

/// A landing.
pub(crate) async fn by_id(conn: &mut Conn, repo: RepoId, id: i64) -> Result<Option<LandingRow>, StoreError> {
    let query =
        sql("select id, branch, before, commit_id, pull, survey, done, seen_at from landings where repo=$1 and id=$2");
    match db::optional(conn, query.bind(repo.get()).bind(id)).await? {
        Some(row) => Ok(Some(read(conn, repo, &row).await?)),
        None => Ok(None),
    }
}

async fn read(conn: &mut Conn, repo: RepoId, row: &AnyRow) -> Result<LandingRow, StoreError> {
    let (id, branch) = (int(row, "id")?, text(row, "branch")?);
    let before = behind(conn, repo, &branch, id).await?;
    let query = sql("select stack, outcome, why, actor, asked_plan, asked_by, request from landed_stacks \
         where repo=$1 and landing=$2 order by stack");
    let rows = db::all(conn, query.bind(repo.get()).bind(id)).await?;
    let stacks = rows.iter().map(|row| stack(row, &before)).collect::<Result<Vec<_>, _>>()?;
    Ok(LandingRow {
        id,
        branch,
        before: sha(row, "before")?,
        commit: sha(row, "commit_id")?,
        pull: maybe_int(row, "pull")?.map(PullNumber::new),
        seen_at: Timestamp::from_micros(int(row, "seen_at")?),
        survey: maybe_json(row, "survey")?,
        done: int(row, "done")? == 1,
        stacks,
    })
}

/// Stacks that an earlier commit of the branch has not ended, with the first such commit; a commit that is not
/// surveyed yet may concern every stack.
async fn behind(
    conn: &mut Conn,
    repo: RepoId,
    branch: &str,
    id: i64,
) -> Result<Vec<(Option<StackName>, Before)>, StoreError> {
    let query = sql("select landings.commit_id, landings.pull, landed_stacks.stack from landings \
         left join landed_stacks on landed_stacks.repo=landings.repo and landed_stacks.landing=landings.id \
         and landed_stacks.outcome is null \
         where landings.repo=$1 and landings.branch=$2 and landings.id<$3 and landings.done=0 \
         and (landings.survey is null or landed_stacks.stack is not null) order by landings.id");
    let rows = db::all(conn, query.bind(repo.get()).bind(branch.to_owned()).bind(id)).await?;
    rows.iter()
        .map(|row| {
            let stack =
                maybe_text(row, "stack")?.map(|name| StackName::parse(&name).map_err(unreadable)).transpose()?;
            let pull = maybe_int(row, "pull")?.map(PullNumber::new);
            Ok((stack, Before { commit: sha(row, "commit_id")?, pull }))
        })
        .collect()
}

fn stack(row: &AnyRow, before: &[(Option<StackName>, Before)]) -> Result<LandedStack, StoreError> {
    let name = StackName::parse(&text(row, "stack")?).map_err(unreadable)?;
    let outcome = maybe_text(row, "outcome")?;
    let outcome =
        outcome.map(|text| StackOutcome::parse(&text).ok_or_else(|| unreadable(format!("the outcome {text}"))));
    Ok(LandedStack {
        behind: before
            .iter()
            .find(|(other, _)| other.as_ref().is_none_or(|other| *other == name))
            .map(|it| it.1.clone()),
        stack: name,
        outcome: outcome.transpose()?,
        why: maybe_text(row, "why")?,
        actor: maybe_text(row, "actor")?,
        asked_plan: maybe_text(row, "asked_plan")?.map(|id| RunId::parse(&id).map_err(unreadable)).transpose()?,
        asked_by: maybe_text(row, "asked_by")?,
        request: maybe_text(row, "request")?,
    })
}

/// Stores what a landing does, and to which stacks.
pub(crate) async fn set_survey(
    conn: &mut Conn,
    repo: RepoId,
    id: i64,
    survey: &Survey,
    stacks: &[StackName],
) -> Result<(), StoreError> {
    let query = sql("update landings set survey=$3 where repo=$1 and id=$2").bind(repo.get()).bind(id);
    db::run(conn, query.bind(to_json(survey)?)).await?;
    for stack in stacks {
        let query = sql("insert into landed_stacks (repo, landing, stack) values ($1, $2, $3) \
             on conflict (repo, landing, stack) do nothing");
        db::run(conn, query.bind(repo.get()).bind(id).bind(stack.to_string())).await?;
    }
    Ok(())
}

/// Notes how it ended for a stack; the first outcome stays.
pub(crate) async fn end_stack(
    conn: &mut Conn,
    repo: RepoId,
    (landing, stack): (i64, &StackName),
    (outcome, why, actor): (StackOutcome, &str, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sql("update landed_stacks set outcome=$4, why=$5, actor=$6, ended_at=$7 \
         where repo=$1 and landing=$2 and stack=$3 and outcome is null");
    let query = query.bind(repo.get()).bind(landing).bind(stack.to_string()).bind(outcome.name());
    db::run(conn, query.bind(why.to_owned()).bind(actor.to_owned()).bind(now.micros())).await?;
    Ok(())
}

/// Notes that a person asked for this plan to be applied.
pub(crate) async fn ask_stack(
    conn: &mut Conn,
    repo: RepoId,
    (landing, stack): (i64, &StackName),
    (plan, by, request): (RunId, &str, &str),
) -> Result<(), StoreError> {
    let query = sql("update landed_stacks set asked_plan=$4, asked_by=$5, request=$6 \
         where repo=$1 and landing=$2 and stack=$3 and outcome is null");
    let query = query.bind(repo.get()).bind(landing).bind(stack.to_string()).bind(plan.to_string());
    db::run(conn, query.bind(by.to_owned()).bind(request.to_owned())).await?;
    Ok(())
}

/// Every stack has an outcome.
pub(crate) async fn close(conn: &mut Conn, repo: RepoId, id: i64) -> Result<(), StoreError> {
    db::run(conn, sql("update landings set done=1 where repo=$1 and id=$2").bind(repo.get()).bind(id)).await?;
    Ok(())
}

fn sha(row: &AnyRow, column: &str) -> Result<CommitSha, StoreError> {
    CommitSha::parse(&text(row, column)?).map_err(unreadable)
}

fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: error.to_string() }
}
