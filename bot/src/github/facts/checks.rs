//! Check runs and commit statuses of the head.

use std::collections::BTreeMap;

use model::ports::ForgeError;
use model::pull::{CheckFact, CheckState, Fact, GateWants};
use serde::Deserialize;

use super::{Place, if_wanted, readable};
use crate::github::auth::Scope;
use crate::github::shape;

#[derive(Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    id: i64,
    name: String,
    status: String,
    conclusion: Option<String>,
    app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    id: i64,
}

#[derive(Deserialize)]
struct Combined {
    statuses: Vec<Status>,
}

#[derive(Deserialize)]
struct Status {
    context: String,
    state: String,
}

/// Both kinds, or neither: a required name may be set as either.
pub(super) async fn read(place: &Place<'_>, wants: &GateWants) -> Result<Fact<Vec<CheckFact>>, ForgeError> {
    if_wanted(wants.checks, async {
        let (runs, statuses) = tokio::join!(runs(place), statuses(place));
        let runs = readable(runs, "check runs", "Checks: read and write")?;
        let statuses = readable(statuses, "commit statuses", "Commit statuses: read")?;
        Ok(match (runs, statuses) {
            (Fact::Is(mut all), Fact::Is(statuses)) => {
                all.extend(statuses);
                all.sort();
                Fact::Is(all)
            }
            (Fact::Is(_), unreadable) | (unreadable, _) => unreadable,
        })
    })
    .await
}

/// The newest of each name and App: a check that is run again is a new one with the same name.
async fn runs(place: &Place<'_>) -> Result<Vec<CheckFact>, ForgeError> {
    let path = format!("/repos/{}/commits/{}/check-runs?filter=latest", place.repo.name, place.pull.head);
    let pick = |page| shape::read::<Runs>("check runs", page).map(|it| it.check_runs);
    let listed = place.github.repo_pages(place.repo, Scope::Checks, &path, pick).await?;
    let mut newest: BTreeMap<(String, Option<i64>), (i64, CheckState)> = BTreeMap::new();
    for run in listed {
        let state = match (run.status.as_str(), run.conclusion.as_deref()) {
            ("completed", Some("success" | "neutral" | "skipped")) => CheckState::Passed,
            ("completed", _) => CheckState::Failed,
            _ => CheckState::Running,
        };
        let known = newest.entry((run.name, run.app.map(|app| app.id))).or_insert((run.id, state));
        if run.id > known.0 {
            *known = (run.id, state);
        }
    }
    Ok(newest.into_iter().map(|((context, app), (_, state))| CheckFact { context, app, state }).collect())
}

/// The newest of each context, as GitHub combines them.
async fn statuses(place: &Place<'_>) -> Result<Vec<CheckFact>, ForgeError> {
    let path = format!("/repos/{}/commits/{}/status", place.repo.name, place.pull.head);
    let pick = |page| shape::read::<Combined>("commit statuses", page).map(|it| it.statuses);
    let listed = place.github.repo_pages(place.repo, Scope::Statuses, &path, pick).await?;
    let fact = |it: Status| {
        let state = match it.state.as_str() {
            "success" => CheckState::Passed,
            "pending" => CheckState::Running,
            _ => CheckState::Failed,
        };
        CheckFact { context: it.context, app: None, state }
    };
    Ok(listed.into_iter().map(fact).collect())
}
