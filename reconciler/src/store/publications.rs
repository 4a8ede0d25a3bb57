//! What was written to GitHub, one row per target.
//!
//! Invariant: `attempt` comes before the effect and `published` after it, so that a restart knows what may be there.

use model::id::{CommitSha, PullNumber, RepoId};
use sqlx::any::AnyRow;

use super::db::{self, int, maybe_int, maybe_text, sql, text};
use super::{Conn, StoreError};
use crate::world::{NOBODY, PublicationRow};

/// All of a pull request.
pub(crate) async fn of_pull(
    conn: &mut Conn,
    repo: RepoId,
    number: PullNumber,
) -> Result<Vec<PublicationRow>, StoreError> {
    let query = sql("select target, commit_id, published, remote_id, content, closed from publications \
         where repo=$1 and number=$2 order by target");
    let rows = db::all(conn, query.bind(repo.get()).bind(number.get())).await?;
    rows.iter().map(read).collect()
}

/// What was written on a commit that belongs to no pull request.
pub(crate) async fn of_commit(
    conn: &mut Conn,
    repo: RepoId,
    commit: &CommitSha,
) -> Result<Vec<PublicationRow>, StoreError> {
    let query = sql("select target, commit_id, published, remote_id, content, closed from publications \
         where repo=$1 and number=$2 and commit_id=$3 order by target");
    let query = query.bind(repo.get()).bind(NOBODY.get()).bind(commit.to_string());
    db::all(conn, query).await?.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<PublicationRow, StoreError> {
    Ok(PublicationRow {
        target: text(row, "target")?,
        commit: maybe_text(row, "commit_id")?,
        published: maybe_text(row, "published")?,
        remote_id: maybe_int(row, "remote_id")?,
        content: maybe_text(row, "content")?,
        closed: int(row, "closed")? == 1,
    })
}

/// Notes that the target is about to be written with the content of this digest.
pub(crate) async fn attempt(
    conn: &mut Conn,
    (repo, number): (RepoId, PullNumber),
    target: &str,
    commit: Option<&str>,
    digest: &str,
) -> Result<(), StoreError> {
    let query =
        sql("insert into publications (target, repo, number, commit_id, attempted) values ($1, $2, $3, $4, $5) \
         on conflict (target) do update set attempted=excluded.attempted");
    let query = query.bind(target.to_owned()).bind(repo.get()).bind(number.get());
    db::run(conn, query.bind(commit.map(str::to_owned)).bind(digest.to_owned())).await?;
    Ok(())
}

/// What stands on GitHub now.
#[derive(Debug, Clone)]
pub(crate) struct Published<'a> {
    pub(crate) digest: &'a str,
    pub(crate) remote_id: i64,
    /// Kept when it may have to be closed later.
    pub(crate) content: Option<String>,
    /// Nothing will be written there any more.
    pub(crate) closed: bool,
}

/// Notes that it was written.
pub(crate) async fn published(conn: &mut Conn, target: &str, it: &Published<'_>) -> Result<(), StoreError> {
    let query = sql("update publications set published=$2, remote_id=$3, content=$4, closed=$5 where target=$1");
    let query = query.bind(target.to_owned()).bind(it.digest.to_owned()).bind(it.remote_id);
    db::run(conn, query.bind(it.content.clone()).bind(i64::from(it.closed))).await?;
    Ok(())
}

/// Nothing will be written there any more.
pub(crate) async fn close(conn: &mut Conn, target: &str) -> Result<(), StoreError> {
    db::run(conn, sql("update publications set closed=1 where target=$1").bind(target.to_owned())).await?;
    Ok(())
}
