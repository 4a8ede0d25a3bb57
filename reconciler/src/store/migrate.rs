//! Migrations: numbered SQL files, run once each, each in one transaction.

use sqlx::AnyConnection;

use super::StoreError;
use super::db::{self, sql};

const STEPS: &[(i64, &str)] = &[
    (1, include_str!("../../../migrations/0001_first.sql")),
    (2, include_str!("../../../migrations/0002_lists.sql")),
    (3, include_str!("../../../migrations/0003_states.sql")),
    (5, include_str!("../../../migrations/0005_applies.sql")),
    (6, include_str!("../../../migrations/0006_gates.sql")),
    (7, include_str!("../../../migrations/0007_buttons.sql")),
    (8, include_str!("../../../migrations/0008_landings.sql")),
    (9, include_str!("../../../migrations/0009_people.sql")),
    (10, include_str!("../../../migrations/0010_state_seen.sql")),
    (11, include_str!("../../../migrations/0011_api_tokens.sql")),
    (12, include_str!("../../../migrations/0012_secrets.sql")),
    (20, include_str!("../../../migrations/0020_lost.sql")),
    (21, include_str!("../../../migrations/0021_order.sql")),
    (22, include_str!("../../../migrations/0022_care.sql")),
    (30, include_str!("../../../migrations/0030_trust.sql")),
    (31, include_str!("../../../migrations/0031_groups.sql")),
];

/// The statements of a file; comments are lines that begin with `--`.
fn statements(file: &'static str) -> impl Iterator<Item = String> {
    let text: String = file.lines().filter(|line| !line.starts_with("--")).map(|line| format!("{line}\n")).collect();
    text.split(';').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect::<Vec<_>>().into_iter()
}

/// Brings the schema up to date within the caller's transaction.
pub(super) async fn run(conn: &mut AnyConnection) -> Result<(), StoreError> {
    db::run(conn, sql("create table if not exists migrations (step bigint primary key)")).await?;
    let done = db::all(conn, sql("select step from migrations")).await?;
    let done = done.iter().map(|row| db::int(row, "step")).collect::<Result<Vec<_>, _>>()?;
    if let Some(newer) = done.iter().find(|step| !STEPS.iter().any(|(known, _)| known == *step)) {
        return Err(StoreError::Newer { step: *newer });
    }
    for (step, file) in STEPS.iter().filter(|(step, _)| !done.contains(step)) {
        for statement in statements(file) {
            // The text is one of our own files, compiled in.
            sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *conn).await?;
        }
        db::run(conn, sql("insert into migrations (step) values ($1)").bind(*step)).await?;
    }
    Ok(())
}

/// Is the schema exactly the one of this version?
pub(super) async fn is_done(conn: &mut AnyConnection) -> Result<bool, StoreError> {
    // Without the table nothing was ever done.
    let Ok(done) = db::all(conn, sql("select step from migrations order by step")).await else { return Ok(false) };
    let done = done.iter().map(|row| db::int(row, "step")).collect::<Result<Vec<_>, _>>()?;
    Ok(done.iter().eq(STEPS.iter().map(|(step, _)| step)))
}
