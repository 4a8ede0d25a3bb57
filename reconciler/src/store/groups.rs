//! Groups of merge queues, one per branch that GitHub makes for them.

use model::group::MergeGroup;
use model::id::{CommitSha, RepoId};
use model::survey::Survey;
use sqlx::any::AnyRow;

use super::db::{self, json, maybe_json, sql, text, to_json};
use super::{Conn, StoreError};
use crate::world::GroupRow;

/// A group; `None` when it is not known, or gone.
pub(crate) async fn find(conn: &mut Conn, repo: RepoId, branch: &str) -> Result<Option<GroupRow>, StoreError> {
    let query = sql("select base_branch, head, base, members, survey from groups where repo=$1 and branch=$2");
    let row = db::optional(conn, query.bind(repo.get()).bind(branch.to_owned())).await?;
    row.map(|row| {
        Ok(GroupRow {
            branch: branch.to_owned(),
            base_branch: text(&row, "base_branch")?,
            head: sha(&row, "head")?,
            group: MergeGroup { base: sha(&row, "base")?, members: json(&row, "members")? },
            survey: maybe_json(&row, "survey")?,
        })
    })
    .transpose()
}

fn sha(row: &AnyRow, column: &str) -> Result<CommitSha, StoreError> {
    CommitSha::parse(&text(row, column)?).map_err(|error| StoreError::Unreadable { what: error.to_string() })
}

/// The branches of all groups of a repository.
pub(crate) async fn branches(conn: &mut Conn, repo: RepoId) -> Result<Vec<String>, StoreError> {
    let rows = db::all(conn, sql("select branch from groups where repo=$1 order by branch").bind(repo.get())).await?;
    rows.iter().map(|row| text(row, "branch")).collect()
}

/// Notes a group, or its new head.
pub(crate) async fn put(conn: &mut Conn, repo: RepoId, row: &GroupRow) -> Result<(), StoreError> {
    let query = sql("insert into groups (repo, branch, base_branch, head, base, members) \
         values ($1, $2, $3, $4, $5, $6) on conflict (repo, branch) do update set base_branch=excluded.base_branch, \
         head=excluded.head, base=excluded.base, members=excluded.members, survey=null");
    let query = query.bind(repo.get()).bind(row.branch.clone()).bind(row.base_branch.clone());
    let query = query.bind(row.head.to_string()).bind(row.group.base.to_string());
    db::run(conn, query.bind(to_json(&row.group.members)?)).await?;
    Ok(())
}

/// Stores what a group does to which stack.
pub(crate) async fn set_survey(conn: &mut Conn, repo: RepoId, branch: &str, survey: &Survey) -> Result<(), StoreError> {
    let query = sql("update groups set survey=$3 where repo=$1 and branch=$2").bind(repo.get());
    db::run(conn, query.bind(branch.to_owned()).bind(to_json(survey)?)).await?;
    Ok(())
}

/// The queue has dissolved it.
pub(crate) async fn remove(conn: &mut Conn, repo: RepoId, branch: &str) -> Result<(), StoreError> {
    let query = sql("delete from groups where repo=$1 and branch=$2").bind(repo.get()).bind(branch.to_owned());
    db::run(conn, query).await?;
    Ok(())
}
