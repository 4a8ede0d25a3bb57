//! Who may apply to which stack, and who waits for that.
//!
//! Invariant: a stack has one holder; locks are taken all or none, in the order of the stacks' names.

use std::collections::BTreeMap;

use model::id::{PullNumber, RepoId, StackName};
use model::time::Timestamp;

use super::db::{self, int, sql, text};
use super::{Conn, StoreError};
use crate::world::LockRow;

/// All locks of a repository with their waiters.
pub(crate) async fn of_repo(conn: &mut Conn, repo: RepoId) -> Result<Vec<LockRow>, StoreError> {
    let waiting = sql("select stack, pull from lock_waiters where repo=$1 order by stack, since, pull");
    let mut waiters: BTreeMap<String, Vec<PullNumber>> = BTreeMap::new();
    for row in db::all(conn, waiting.bind(repo.get())).await? {
        waiters.entry(text(&row, "stack")?).or_default().push(PullNumber::new(int(&row, "pull")?));
    }
    let held = sql("select stack, pull, since from locks where repo=$1 order by stack").bind(repo.get());
    let rows = db::all(conn, held).await?;
    rows.iter()
        .map(|row| {
            let stack = text(row, "stack")?;
            Ok(LockRow {
                waiters: waiters.remove(&stack).unwrap_or_default(),
                stack: StackName::parse(&stack).map_err(|error| StoreError::Unreadable { what: error.to_string() })?,
                pull: PullNumber::new(int(row, "pull")?),
                since: Timestamp::from_micros(int(row, "since")?),
            })
        })
        .collect()
}

/// Takes the locks of all these stacks for a pull request. False: one is another's, and none was taken; the
/// transaction must be rolled back.
pub(crate) async fn take(
    conn: &mut Conn,
    repo: RepoId,
    pull: PullNumber,
    stacks: &[StackName],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut stacks: Vec<&StackName> = stacks.iter().collect();
    stacks.sort();
    for stack in stacks {
        let query = sql("insert into locks (repo, stack, pull, since) values ($1, $2, $3, $4) \
             on conflict (repo, stack) do nothing");
        let query = query.bind(repo.get()).bind(stack.to_string()).bind(pull.get()).bind(now.micros());
        db::run(conn, query).await?;
        let query = sql("select pull from locks where repo=$1 and stack=$2").bind(repo.get()).bind(stack.to_string());
        if int(&db::one(conn, query).await?, "pull")? != pull.get() {
            return Ok(false);
        }
        let query = sql("delete from lock_waiters where repo=$1 and stack=$2 and pull=$3");
        db::run(conn, query.bind(repo.get()).bind(stack.to_string()).bind(pull.get())).await?;
    }
    Ok(true)
}

/// Lets go of a stack, and of the place in its line. Gives who is next.
pub(crate) async fn release(
    conn: &mut Conn,
    repo: RepoId,
    pull: PullNumber,
    stack: &StackName,
) -> Result<Option<PullNumber>, StoreError> {
    for text in [
        "delete from lock_waiters where repo=$1 and stack=$2 and pull=$3",
        "delete from locks where repo=$1 and stack=$2 and pull=$3",
    ] {
        db::run(conn, sql(text).bind(repo.get()).bind(stack.to_string()).bind(pull.get())).await?;
    }
    let query = sql("select pull from lock_waiters where repo=$1 and stack=$2 order by since, pull limit 1");
    let row = db::optional(conn, query.bind(repo.get()).bind(stack.to_string())).await?;
    row.map(|row| Ok(PullNumber::new(int(&row, "pull")?))).transpose()
}
