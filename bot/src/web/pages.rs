//! The pages. Each answers one question at a glance, and its title says the answer.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use model::id::{PullNumber, RepoName, RunNumber};
use model::publication::{RowStatus, StackRow, Standing};

use crate::render::{ordered, pull_body, pull_verdict, row_body, row_verdict, words};
use crate::web::log::{Piece, piece};
use crate::web::view::{Layout, Plan, PullLine, RunLine, html, line};
use crate::web::{ReadError, WebState, errors};

/// Lists on the first page show so many lines.
const RECENT: u32 = 50;

fn shown(state: &WebState, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(_) => errors::broken(state),
    }
}

#[derive(Template)]
#[template(path = "pages/dashboard.html")]
struct Dashboard<'a> {
    layout: Layout<'a>,
    urgent: Vec<PullLine>,
    others: Vec<PullLine>,
    runs: Vec<RunLine>,
    live: bool,
}

/// `/`: what needs a person now?
pub(super) async fn dashboard(State(state): State<WebState>) -> Response {
    let read = async {
        let pulls = state.reads.recent_pulls(RECENT).await?;
        let runs = state.reads.recent_runs(RECENT).await?;
        Ok::<_, ReadError>((pulls, runs))
    };
    let (pulls, runs) = match read.await {
        Ok(read) => read,
        Err(error) => return errors::failed(&state, &error),
    };
    let mut lines: Vec<PullLine> = pulls.iter().map(PullLine::of).collect();
    lines.sort_by_key(|line| line.rank);
    let (urgent, others): (Vec<PullLine>, Vec<PullLine>) = lines.into_iter().partition(|line| line.rank <= 2);
    let title = match urgent.len() {
        0 => "Nothing needs a look".to_owned(),
        1 => "1 pull request needs a look".to_owned(),
        n => format!("{n} pull requests need a look"),
    };
    let live = runs.iter().any(|run| !run.state.is_terminal());
    let runs = runs.iter().map(RunLine::of).collect();
    shown(&state, &Dashboard { layout: Layout::new(&state, &title, "dashboard"), urgent, others, runs, live })
}

/// A stack in a pull request's table.
struct StackLine {
    name: String,
    path: String,
    run: Option<i64>,
    class: &'static str,
    says: String,
    waits: String,
    took: String,
}

impl StackLine {
    fn of(row: &StackRow) -> Self {
        let verdict = row_verdict(row);
        let class = match &row.status {
            RowStatus::Failed(_) | RowStatus::TimedOut { .. } => "bad",
            RowStatus::NotYet(_) => "danger",
            RowStatus::Planned(plan) if plan.risk >= model::plan::Risk::High => "danger",
            RowStatus::Planned(_) => "good",
            RowStatus::Queued { .. } | RowStatus::Blocked { .. } | RowStatus::Deferred { .. } => "wait",
            RowStatus::Behind { .. } => "bad",
            RowStatus::Running(_) => "busy",
            RowStatus::Skipped { .. }
            | RowStatus::NoChange
            | RowStatus::Cancelled
            | RowStatus::Closed
            | RowStatus::Superseded => "still",
        };
        let prefix = format!("{}: ", row.stack);
        let says = match &row.status {
            RowStatus::NoChange => "no changes".to_owned(),
            _ => verdict.title.strip_prefix(&prefix).unwrap_or(&verdict.title).to_owned(),
        };
        let waits = match &row.status {
            RowStatus::Failed(failed) => failed.headline.clone(),
            RowStatus::Queued { since, .. } | RowStatus::Blocked { since, .. } => {
                format!("since {}", words::date(*since))
            }
            RowStatus::NotYet(_) => "this version cannot give it".to_owned(),
            _ => String::new(),
        };
        Self {
            name: row.stack.to_string(),
            path: if row.path.is_root() { ".".to_owned() } else { row.path.to_string() },
            run: row.run.as_ref().map(|run| run.number.get()),
            class,
            says,
            waits,
            took: row.millis.map(words::duration).unwrap_or_default(),
        }
    }
}

#[derive(Template)]
#[template(path = "pages/pull.html")]
struct Pull<'a> {
    layout: Layout<'a>,
    repo: String,
    number: i64,
    name: &'a str,
    author: &'a str,
    github: Option<&'a str>,
    head: &'a str,
    base: String,
    headline: String,
    next: String,
    stacks: Vec<StackLine>,
    body: String,
    runs: Vec<RunLine>,
    live: bool,
}

/// `/{owner}/{repo}/pull/{n}`: why is this not applied yet?
pub(super) async fn pull(
    State(state): State<WebState>,
    Path((owner, name, number)): Path<(String, String, i64)>,
) -> Response {
    let Ok(repo) = RepoName::parse(&format!("{owner}/{name}")) else {
        return errors::not_found(&state, "There is no such repository");
    };
    let page = match state.reads.pull(&repo, PullNumber::new(number)).await {
        Ok(Some(page)) => page,
        Ok(None) => return errors::not_found(&state, "There is no such pull request here"),
        Err(error) => return errors::failed(&state, &error),
    };
    let view = &page.view;
    let verdict = pull_verdict(view);
    let stacks = match &view.standing {
        Standing::Stacks(rows) => ordered(rows).into_iter().map(StackLine::of).collect(),
        _ => Vec::new(),
    };
    let title = format!("{} · {repo} pull request {number}", verdict.title);
    let base = view.base.as_ref().map(|base| format!("{} {}", view.base_branch, base.short()));
    let values = Pull {
        layout: Layout::new(&state, &title, "pull"),
        repo: repo.to_string(),
        number,
        name: &page.title,
        author: &page.author,
        github: page.github_url.as_deref(),
        head: view.head.short(),
        base: base.unwrap_or_else(|| view.base_branch.clone()),
        headline: line(&verdict.headline),
        next: line(&verdict.next),
        stacks,
        body: html(&pull_body(view)),
        runs: page.runs.iter().map(RunLine::of).collect(),
        live: verdict.status.conclusion.is_none(),
    };
    shown(&state, &values)
}

#[derive(Template)]
#[template(path = "pages/run.html")]
struct Run<'a> {
    layout: Layout<'a>,
    run: RunLine,
    state: &'static str,
    class: &'static str,
    head: &'a str,
    path: String,
    tool: String,
    ended: String,
    headline: String,
    next: String,
    details: String,
    plan: Option<Plan>,
    log: Piece,
    live: bool,
}

/// `/r/{n}`: what does it say, and on which line did it fail?
pub(super) async fn run(State(state): State<WebState>, Path(number): Path<i64>) -> Response {
    let run_number = RunNumber::new(number);
    let read = async {
        let Some(page) = state.reads.run(run_number).await? else { return Ok(None) };
        Ok::<_, ReadError>(piece(&*state.reads, run_number, 0).await?.map(|log| (page, log)))
    };
    let (page, log) = match read.await {
        Ok(Some(read)) => read,
        Ok(None) => return errors::not_found(&state, "There is no such run"),
        Err(error) => return errors::failed(&state, &error),
    };
    let row = &page.row;
    let verdict = row_verdict(row);
    let title = format!("{} · run {number}", verdict.title);
    let values = Run {
        layout: Layout::new(&state, &title, "run"),
        run: RunLine::of(&page.card),
        state: words::state(page.card.state),
        class: RunLine::of(&page.card).class,
        head: page.head.short(),
        path: if row.path.is_root() { ".".to_owned() } else { row.path.to_string() },
        tool: row.tool.as_ref().map(|(tool, version)| format!("{} {version}", tool.name())).unwrap_or_default(),
        ended: page.ended_at.map(words::date).unwrap_or_default(),
        headline: line(&verdict.headline),
        next: line(&verdict.next),
        details: html(&row_body(row)),
        plan: Plan::of(row),
        live: !(page.card.state.is_terminal() && log.ended),
        log,
    };
    shown(&state, &values)
}
