//! Comments that may be commands, one row per comment id, and pressed buttons of checks.

use model::id::{CheckRunId, CommentId, CommitSha, PullNumber, RepoId};
use model::publication::CheckAction;
use model::time::Timestamp;

use super::db::{self, int, maybe_int, maybe_json, maybe_text, sql, text, to_json};
use super::{Conn, StoreError};
use crate::inbox::Button;
use crate::world::{CommandRow, Outcome};

/// Notes one; a second time does nothing.
pub(crate) async fn note(
    conn: &mut Conn,
    repo: RepoId,
    number: PullNumber,
    row: &CommandRow,
) -> Result<(), StoreError> {
    let query =
        sql("insert into commands (id, comment, repo, number, author, bot, edited, body, created_at, role, state) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'new') on conflict (id) do nothing");
    let query = query.bind(row.id.clone()).bind(row.comment.map(CommentId::get)).bind(repo.get()).bind(number.get());
    let query =
        query.bind(row.author.clone()).bind(i64::from(row.bot)).bind(i64::from(row.edited)).bind(row.body.clone());
    db::run(conn, query.bind(row.created_at.micros()).bind(row.role.map(|r| to_json(&r)).transpose()?)).await?;
    Ok(())
}

/// Those of a pull request that are new or have an answer, oldest first.
pub(crate) async fn of_pull(conn: &mut Conn, repo: RepoId, number: PullNumber) -> Result<Vec<CommandRow>, StoreError> {
    let query = sql("select id, comment, author, bot, edited, body, created_at, role, state, outcome from commands \
         where repo=$1 and number=$2 and (state='new' or outcome is not null) order by created_at, id");
    let rows = db::all(conn, query.bind(repo.get()).bind(number.get())).await?;
    rows.iter()
        .map(|row| {
            Ok(CommandRow {
                id: text(row, "id")?,
                comment: maybe_int(row, "comment")?.map(CommentId::new),
                author: text(row, "author")?,
                bot: int(row, "bot")? == 1,
                edited: int(row, "edited")? == 1,
                body: text(row, "body")?,
                created_at: Timestamp::from_micros(int(row, "created_at")?),
                role: maybe_json(row, "role")?,
                done: text(row, "state")? == "done",
                outcome: maybe_json(row, "outcome")?,
            })
        })
        .collect()
}

/// Ends it, exactly once. False when it had ended.
pub(crate) async fn end(conn: &mut Conn, id: &str, outcome: Option<&Outcome>) -> Result<bool, StoreError> {
    let query = sql("update commands set state='done', outcome=$2 where id=$1 and state='new'");
    Ok(db::run(conn, query.bind(id.to_owned()).bind(outcome.map(to_json).transpose()?)).await? == 1)
}

/// Notes a pressed button.
pub(crate) async fn press(
    conn: &mut Conn,
    id: &str,
    repo: RepoId,
    button: &Button,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sql("insert into reruns (id, repo, head, check_id, created_at, action, author, bot, state) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'new') on conflict (id) do nothing");
    let Button { commit, check, action, login, bot } = button;
    let query = query.bind(id.to_owned()).bind(repo.get()).bind(commit.to_string()).bind(check.map(CheckRunId::get));
    let query = query.bind(now.micros()).bind(action.identifier().to_owned()).bind(login.clone());
    db::run(conn, query.bind(i64::from(*bot))).await?;
    Ok(())
}

/// A button that waits, in which repository and since when.
pub(crate) async fn waiting_press(
    conn: &mut Conn,
    id: &str,
) -> Result<Option<(RepoId, Button, Timestamp)>, StoreError> {
    let query = sql("select repo, head, check_id, created_at, action, author, bot from reruns \
         where id=$1 and state='new'");
    let Some(row) = db::optional(conn, query.bind(id.to_owned())).await? else { return Ok(None) };
    let unreadable = |what: String| StoreError::Unreadable { what };
    let button = Button {
        commit: CommitSha::parse(&text(&row, "head")?).map_err(|error| unreadable(error.to_string()))?,
        check: maybe_int(&row, "check_id")?.map(CheckRunId::new),
        action: CheckAction::parse(&text(&row, "action")?).ok_or_else(|| unreadable("a button".to_owned()))?,
        login: text(&row, "author")?,
        bot: int(&row, "bot")? == 1,
    };
    Ok(Some((RepoId::new(int(&row, "repo")?), button, Timestamp::from_micros(int(&row, "created_at")?))))
}

/// Ends it.
pub(crate) async fn end_press(conn: &mut Conn, id: &str) -> Result<(), StoreError> {
    db::run(conn, sql("update reruns set state='done' where id=$1").bind(id.to_owned())).await?;
    Ok(())
}

/// The target of the check with that id on GitHub.
pub(crate) async fn check_target(conn: &mut Conn, repo: RepoId, check: i64) -> Result<Option<String>, StoreError> {
    let query = sql("select target from publications where repo=$1 and remote_id=$2 and commit_id is not null");
    let row = db::optional(conn, query.bind(repo.get()).bind(check)).await?;
    row.map(|row| Ok(maybe_text(&row, "target")?.unwrap_or_default())).transpose()
}
