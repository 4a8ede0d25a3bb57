//! What requirements are judged by: facts of GitHub, what was shown, freezes, and the evidence of applies.

use model::gate::Gate;
use model::id::{CommitSha, InstallationId, PullNumber, RepoId, RunId, StackName};
use model::pull::GateFacts;
use model::time::Timestamp;

use super::db::{self, int, sql, text, to_json};
use super::{Conn, StoreError};
use crate::gate::Shown;
use crate::world::ShownRow;

/// Stores facts that were read when `asked` stood at `seen`.
pub(crate) async fn set_facts(
    conn: &mut Conn,
    (repo, number): (RepoId, PullNumber),
    facts: &GateFacts,
    seen: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sql("update pulls set gates=$3, gates_seen=$4, gates_at=$5, \
         gates_tries=case when $6=1 then gates_tries+1 else 0 end where repo=$1 and number=$2");
    let query = query.bind(repo.get()).bind(number.get()).bind(to_json(facts)?).bind(seen).bind(now.micros());
    db::run(conn, query.bind(i64::from(facts.mergeable.is_none()))).await?;
    Ok(())
}

/// Open pull requests of a repository that are judged by facts.
pub(crate) async fn judged(conn: &mut Conn, repo: RepoId) -> Result<Vec<PullNumber>, StoreError> {
    let query = sql("select number from pulls where repo=$1 and open=1 and gates is not null order by number");
    let rows = db::all(conn, query.bind(repo.get())).await?;
    rows.iter().map(|row| Ok(PullNumber::new(int(row, "number")?))).collect()
}

/// Open pull requests of an installation in whose facts teams are named.
pub(crate) async fn naming_teams(
    conn: &mut Conn,
    installation: InstallationId,
) -> Result<Vec<(RepoId, PullNumber)>, StoreError> {
    let query = sql("select p.repo, p.number, p.gates from pulls p join repositories r on r.id=p.repo \
         where r.installation=$1 and p.open=1 and p.gates is not null order by p.repo, p.number");
    let rows = db::all(conn, query.bind(installation.get())).await?;
    let mut found = Vec::new();
    for row in rows {
        let facts: GateFacts = db::from_json(&text(&row, "gates")?)?;
        if !facts.wants.teams.is_empty() {
            found.push((RepoId::new(int(&row, "repo")?), PullNumber::new(int(&row, "number")?)));
        }
    }
    Ok(found)
}

/// What was shown of the plans of a pull request, oldest first.
pub(crate) async fn shown(conn: &mut Conn, repo: RepoId, number: PullNumber) -> Result<Vec<ShownRow>, StoreError> {
    let query = sql("select stack, base_branch, head, fingerprint, at from shown where repo=$1 and pull=$2 \
         order by at, stack, head, fingerprint");
    let rows = db::all(conn, query.bind(repo.get()).bind(number.get())).await?;
    let unreadable = |error: &dyn std::fmt::Display| StoreError::Unreadable { what: error.to_string() };
    rows.iter()
        .map(|row| {
            Ok(ShownRow {
                stack: StackName::parse(&text(row, "stack")?).map_err(|error| unreadable(&error))?,
                base_branch: text(row, "base_branch")?,
                shown: Shown {
                    head: CommitSha::parse(&text(row, "head")?).map_err(|error| unreadable(&error))?,
                    fingerprint: text(row, "fingerprint")?,
                    at: Timestamp::from_micros(int(row, "at")?),
                },
            })
        })
        .collect()
}

/// Notes that from now on this is shown.
pub(crate) async fn show(
    conn: &mut Conn,
    (repo, number): (RepoId, PullNumber),
    row: &ShownRow,
) -> Result<(), StoreError> {
    let query = sql("insert into shown (repo, pull, stack, base_branch, head, fingerprint, at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (repo, pull, stack, base_branch, head, at) do update \
         set fingerprint=excluded.fingerprint");
    let query = query.bind(repo.get()).bind(number.get()).bind(row.stack.to_string()).bind(row.base_branch.clone());
    let query = query.bind(row.shown.head.to_string()).bind(row.shown.fingerprint.clone());
    db::run(conn, query.bind(row.shown.at.micros())).await?;
    Ok(())
}

/// The scope of a freeze of everything.
const SERVER: &str = "server";

/// Who froze every apply of the repository or the server, and why.
pub(crate) async fn freeze(conn: &mut Conn, repo: RepoId) -> Result<Option<String>, StoreError> {
    let query = sql("select why, actor from freezes where scope=$1 or scope=$2 order by scope desc limit 1");
    let row = db::optional(conn, query.bind(repo.to_string()).bind(SERVER)).await?;
    row.map(|row| Ok(format!("{} froze applies: {}", text(&row, "actor")?, text(&row, "why")?))).transpose()
}

/// Keeps what an apply was started on.
pub(crate) async fn set_evidence(conn: &mut Conn, run: RunId, gates: &[Gate]) -> Result<(), StoreError> {
    let query = sql("update runs set evidence=$2 where id=$1").bind(run.to_string()).bind(to_json(&gates)?);
    db::run(conn, query).await?;
    Ok(())
}
