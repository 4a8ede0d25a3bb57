//! Repositories and pull requests: facts, as last observed.

use model::id::{CommitSha, InstallationId, PullNumber, RepoId, RepoName};
use model::pull::RepoSnapshot;
use model::pull::{PullSnapshot, PullState};
use model::survey::Survey;
use model::time::Timestamp;
use sqlx::any::AnyRow;

use super::db::{self, int, maybe_int, maybe_json, maybe_text, sql, to_json};
use super::{Conn, StoreError, due};
use crate::brief::SurveyBrief;
use crate::world::{GatesRow, Key, MergingRow, PullRow, RepoRow};

/// Learns of a repository, or its new name.
pub(crate) async fn know_repo(
    conn: &mut Conn,
    id: RepoId,
    installation: InstallationId,
    name: &RepoName,
) -> Result<(), StoreError> {
    let query = sql("insert into repositories (id, installation, name, name_key) values ($1, $2, $3, $4) \
         on conflict (id) do update set installation=excluded.installation, name=excluded.name, name_key=excluded.name_key");
    let text = name.to_string();
    db::run(conn, query.bind(id.get()).bind(installation.get()).bind(text.clone()).bind(text.to_ascii_lowercase()))
        .await?;
    Ok(())
}

/// Stores what GitHub says of a repository.
pub(crate) async fn set_repo(conn: &mut Conn, snapshot: &RepoSnapshot, now: Timestamp) -> Result<(), StoreError> {
    know_repo(conn, snapshot.id, snapshot.installation, &snapshot.name).await?;
    let query = sql("update repositories set snapshot=$2, observed_at=$3 where id=$1");
    db::run(conn, query.bind(snapshot.id.get()).bind(to_json(snapshot)?).bind(now.micros())).await?;
    Ok(())
}

/// A repository.
pub(crate) async fn repo(conn: &mut Conn, id: RepoId) -> Result<Option<RepoRow>, StoreError> {
    let query = sql("select id, installation, name, snapshot from repositories where id=$1").bind(id.get());
    db::optional(conn, query).await?.as_ref().map(read_repo).transpose()
}

/// The repository that has this name; of several that had it, the one that was seen last.
pub(crate) async fn repo_by_name(conn: &mut Conn, name: &RepoName) -> Result<Option<(RepoId, RepoName)>, StoreError> {
    let query = sql("select id, name from repositories where name_key=$1 order by observed_at desc, id desc limit 1");
    let row = db::optional(conn, query.bind(name.to_string().to_ascii_lowercase())).await?;
    row.map(|row| Ok((RepoId::new(int(&row, "id")?), read_name(&row)?))).transpose()
}

/// Repositories of an organisation or user.
pub(crate) async fn repos_of_owner(conn: &mut Conn, owner: &str) -> Result<Vec<RepoId>, StoreError> {
    // `0` comes right after `/`.
    let query = sql("select id from repositories where name_key>$1 and name_key<$2 order by id");
    let owner = owner.to_ascii_lowercase();
    let rows = db::all(conn, query.bind(format!("{owner}/")).bind(format!("{owner}0"))).await?;
    rows.iter().map(|row| Ok(RepoId::new(int(row, "id")?))).collect()
}

fn read_name(row: &AnyRow) -> Result<RepoName, StoreError> {
    RepoName::parse(&db::text(row, "name")?).map_err(|error| StoreError::Unreadable { what: error.to_string() })
}

fn read_repo(row: &AnyRow) -> Result<RepoRow, StoreError> {
    Ok(RepoRow {
        installation: InstallationId::new(int(row, "installation")?),
        name: read_name(row)?,
        snapshot: maybe_json(row, "snapshot")?,
    })
}

/// Learns of a pull request, or that its facts are old.
pub(crate) async fn ask(conn: &mut Conn, repo: RepoId, number: PullNumber, now: Timestamp) -> Result<(), StoreError> {
    let query = sql("insert into pulls (repo, number, first_seen) values ($1, $2, $3) \
         on conflict (repo, number) do update set asked=pulls.asked+1");
    db::run(conn, query.bind(repo.get()).bind(number.get()).bind(now.micros())).await?;
    Ok(())
}

/// A pull request.
pub(crate) async fn pull(conn: &mut Conn, repo: RepoId, number: PullNumber) -> Result<Option<PullRow>, StoreError> {
    let query = sql(
        "select repo, number, asked, seen, first_seen, snapshot, default_tip, heard, cursor, survey, survey_key, trouble, \
         gates, gates_seen, gates_at, gates_tries, allowed, merge_head, merge_tries, merge_at, merge_why, into_since, \
         head_since from pulls where repo=$1 and number=$2",
    );
    let row = db::optional(conn, query.bind(repo.get()).bind(number.get())).await?;
    row.as_ref().map(read_pull).transpose()
}

fn read_pull(row: &AnyRow) -> Result<PullRow, StoreError> {
    let sha = |column| -> Result<Option<CommitSha>, StoreError> {
        Ok(maybe_text(row, column)?.and_then(|text| CommitSha::parse(&text).ok()))
    };
    Ok(PullRow {
        repo: RepoId::new(int(row, "repo")?),
        number: PullNumber::new(int(row, "number")?),
        asked: int(row, "asked")?,
        seen: int(row, "seen")?,
        first_seen: Timestamp::from_micros(int(row, "first_seen")?),
        snapshot: maybe_json(row, "snapshot")?,
        default_tip: sha("default_tip")?,
        heard: int(row, "heard")?,
        cursor: maybe_int(row, "cursor")?.map(Timestamp::from_micros),
        survey: maybe_json(row, "survey")?,
        survey_key: maybe_text(row, "survey_key")?,
        trouble: maybe_text(row, "trouble")?,
        gates: GatesRow {
            facts: maybe_json(row, "gates")?,
            seen: int(row, "gates_seen")?,
            at: maybe_int(row, "gates_at")?.map(Timestamp::from_micros),
            tries: int(row, "gates_tries")?,
        },
        allowed: maybe_text(row, "allowed")?,
        merging: MergingRow {
            head: maybe_text(row, "merge_head")?,
            tries: int(row, "merge_tries")?,
            at: maybe_int(row, "merge_at")?.map(Timestamp::from_micros),
            why: maybe_text(row, "merge_why")?,
        },
        since: maybe_int(row, "into_since")?.map(Timestamp::from_micros),
        head_since: maybe_int(row, "head_since")?.map(Timestamp::from_micros),
    })
}

/// What a refresh read.
#[derive(Debug, Clone)]
pub(crate) struct PullFacts {
    pub(crate) snapshot: PullSnapshot,
    pub(crate) default_tip: CommitSha,
    pub(crate) seen: i64,
}

/// Stores facts. What they replace says since when there is another head, or another base branch.
pub(crate) async fn set_facts(
    conn: &mut Conn,
    repo: RepoId,
    facts: &PullFacts,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sql("update pulls set snapshot=$3, default_tip=$4, seen=$5, observed_at=$6, base_branch=$7, head=$8, \
         open=$9, changed_at=$10, merged=$11, trouble=null, \
         into_since=case when base_branch<>$7 then $6 else into_since end, \
         head_since=case when head=$8 then head_since else $6 end where repo=$1 and number=$2");
    let s = &facts.snapshot;
    let query = query.bind(repo.get()).bind(s.number.get()).bind(to_json(s)?).bind(facts.default_tip.to_string());
    let query = query.bind(facts.seen).bind(now.micros());
    let open = i64::from(s.state == PullState::Open);
    let query = query.bind(s.base_branch.clone()).bind(s.head.to_string()).bind(open);
    let merged = i64::from(s.state == PullState::Merged);
    db::run(conn, query.bind(s.updated_at.micros()).bind(merged)).await?;
    Ok(())
}

/// Comments up to the time `cursor` were read when `asked` stood at `heard`.
pub(crate) async fn set_heard(
    conn: &mut Conn,
    repo: RepoId,
    number: PullNumber,
    heard: i64,
    cursor: Option<Timestamp>,
) -> Result<(), StoreError> {
    let query = sql("update pulls set heard=$3, cursor=$4 where repo=$1 and number=$2");
    let query = query.bind(repo.get()).bind(number.get()).bind(heard).bind(cursor.map(Timestamp::micros));
    db::run(conn, query).await?;
    Ok(())
}

/// Stores a survey.
pub(crate) async fn set_survey(
    conn: &mut Conn,
    repo: RepoId,
    number: PullNumber,
    survey: &Survey,
    key: &str,
) -> Result<(), StoreError> {
    let query = sql("update pulls set survey=$3, survey_key=$4, brief=$5, trouble=null where repo=$1 and number=$2");
    let brief = SurveyBrief::of(survey).map(|brief| to_json(&brief)).transpose()?;
    let query = query.bind(repo.get()).bind(number.get()).bind(to_json(survey)?).bind(key.to_owned());
    db::run(conn, query.bind(brief)).await?;
    Ok(())
}

/// Says what is wrong; the publication shows it.
pub(crate) async fn set_trouble(
    conn: &mut Conn,
    repo: RepoId,
    number: PullNumber,
    message: Option<&str>,
) -> Result<(), StoreError> {
    let query = sql("update pulls set trouble=$3 where repo=$1 and number=$2");
    db::run(conn, query.bind(repo.get()).bind(number.get()).bind(message.map(str::to_owned))).await?;
    Ok(())
}

/// A person lets this head be planned.
pub(crate) async fn allow(conn: &mut Conn, repo: RepoId, number: PullNumber, head: &str) -> Result<(), StoreError> {
    let query = sql("update pulls set allowed=$3 where repo=$1 and number=$2");
    db::run(conn, query.bind(repo.get()).bind(number.get()).bind(head.to_owned())).await?;
    Ok(())
}

/// Notes how merging went.
pub(crate) async fn set_merging(
    conn: &mut Conn,
    repo: RepoId,
    number: PullNumber,
    row: &MergingRow,
) -> Result<(), StoreError> {
    let query = sql("update pulls set merge_head=$3, merge_tries=$4, merge_at=$5, merge_why=$6 \
         where repo=$1 and number=$2");
    let query = query.bind(repo.get()).bind(number.get()).bind(row.head.clone()).bind(row.tries);
    db::run(conn, query.bind(row.at.map(Timestamp::micros)).bind(row.why.clone())).await?;
    Ok(())
}

/// A pull request that is gone on GitHub.
pub(crate) async fn close(conn: &mut Conn, repo: RepoId, number: PullNumber, seen: i64) -> Result<(), StoreError> {
    let query = sql("update pulls set open=0, seen=$3 where repo=$1 and number=$2");
    db::run(conn, query.bind(repo.get()).bind(number.get()).bind(seen)).await?;
    Ok(())
}

/// All open pull requests.
pub(crate) async fn all_open(conn: &mut Conn) -> Result<Vec<(RepoId, PullNumber)>, StoreError> {
    let rows = db::all(conn, sql("select repo, number from pulls where open=1 order by repo, number")).await?;
    rows.iter().map(|row| Ok((RepoId::new(int(row, "repo")?), PullNumber::new(int(row, "number")?)))).collect()
}

/// Open pull requests of a repository, of one base branch when it is given.
pub(crate) async fn open(conn: &mut Conn, repo: RepoId, branch: Option<&str>) -> Result<Vec<PullNumber>, StoreError> {
    let rows = match branch {
        Some(branch) => {
            let query = sql("select number from pulls where repo=$1 and open=1 and base_branch=$2 order by number");
            db::all(conn, query.bind(repo.get()).bind(branch.to_owned())).await?
        }
        None => {
            db::all(conn, sql("select number from pulls where repo=$1 and open=1 order by number").bind(repo.get()))
                .await?
        }
    };
    rows.iter().map(|row| Ok(PullNumber::new(int(row, "number")?))).collect()
}

/// Makes all open pull requests of a repository due: what their plans were made on may have changed.
pub(crate) async fn mark_open(conn: &mut Conn, repo: RepoId, now: Timestamp) -> Result<(), StoreError> {
    for pull in open(conn, repo, None).await? {
        for key in [Key::Pull(repo, pull), Key::Publish(repo, pull)] {
            due::mark(conn, &key, &repo.to_string(), now, now).await?;
        }
    }
    Ok(())
}

/// Open pull requests with this head.
pub(crate) async fn with_head(conn: &mut Conn, repo: RepoId, head: &str) -> Result<Vec<PullNumber>, StoreError> {
    let query = sql("select number from pulls where repo=$1 and head=$2 and open=1 order by number");
    let rows = db::all(conn, query.bind(repo.get()).bind(head.to_owned())).await?;
    rows.iter().map(|row| Ok(PullNumber::new(int(row, "number")?))).collect()
}

/// Repositories of an installation.
pub(crate) async fn repos_of(conn: &mut Conn, installation: InstallationId) -> Result<Vec<RepoId>, StoreError> {
    let query = sql("select id from repositories where installation=$1 order by id").bind(installation.get());
    let rows = db::all(conn, query).await?;
    rows.iter().map(|row| Ok(RepoId::new(int(row, "id")?))).collect()
}
