//! Values as the templates want them.

use model::plan::Risk;
use model::publication::{RowStatus, StackRow};
use model::run::RunState;
use pulldown_cmark::{Options, Parser};

use crate::render::diff::{Line, diff};
use crate::render::words;
use crate::web::assets::{Paths, paths};
use crate::web::{PullCard, RunCard, WebState};

/// The longest diff on a page, in characters.
const DIFF: usize = 1_500_000;

/// What stands around every page.
pub(super) struct Layout<'a> {
    pub(super) title: &'a str,
    pub(super) place: &'a str,
    pub(super) version: &'a str,
    pub(super) banner: Option<&'a str>,
    pub(super) paths: Paths,
}

impl<'a> Layout<'a> {
    pub(super) fn new(state: &'a WebState, title: &'a str, place: &'a str) -> Self {
        Self { title, place, version: state.version, banner: state.banner.as_deref(), paths: paths() }
    }
}

/// Our own Markdown as HTML; what other people wrote in it was made harmless by `render::text`.
pub(super) fn html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_GFM;
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, Parser::new_ext(markdown, options));
    out
}

/// One line of it, without the paragraph.
pub(super) fn line(markdown: &str) -> String {
    let html = html(markdown);
    let html = html.trim();
    html.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>")).unwrap_or(html).to_owned()
}

/// The class that colours a state.
const fn state_class(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "wait",
        RunState::Preparing | RunState::Initializing | RunState::Planning | RunState::Applying => "busy",
        RunState::Planned | RunState::Applied => "good",
        RunState::NoChange | RunState::Cancelled | RunState::Superseded => "still",
        RunState::Failed | RunState::TimedOut | RunState::PartlyApplied | RunState::Lost => "bad",
        RunState::Stale => "danger",
    }
}

/// A run in a list.
pub(super) struct RunLine {
    pub(super) number: i64,
    pub(super) repo: String,
    pub(super) pull: i64,
    pub(super) stack: String,
    pub(super) state: &'static str,
    pub(super) class: &'static str,
    pub(super) what: String,
    pub(super) at: String,
    pub(super) took: String,
}

impl RunLine {
    pub(super) fn of(card: &RunCard) -> Self {
        let danger = card.risk >= Risk::High;
        Self {
            number: card.number.get(),
            repo: card.repo.to_string(),
            pull: card.pull.get(),
            stack: card.stack.to_string(),
            state: words::state(card.state),
            class: if danger && card.state == RunState::Planned { "danger" } else { state_class(card.state) },
            what: match (card.state, card.counts) {
                (RunState::Planned, Some(counts)) => words::cell(counts).replace("**", ""),
                _ => String::new(),
            },
            at: words::date(card.created_at),
            took: card.millis.map(words::duration).unwrap_or_default(),
        }
    }
}

/// A pull request in the list.
pub(super) struct PullLine {
    pub(super) repo: String,
    pub(super) number: i64,
    pub(super) title: String,
    pub(super) author: String,
    pub(super) at: String,
    pub(super) class: &'static str,
    pub(super) says: String,
    /// Smaller is more urgent.
    pub(super) rank: u8,
}

impl PullLine {
    pub(super) fn of(card: &PullCard) -> Self {
        let number = |wanted: fn(RunState) -> bool| card.states.iter().filter(|state| wanted(**state)).count();
        let failed = number(|state| matches!(state, RunState::Failed | RunState::TimedOut));
        let busy = number(|state| !state.is_terminal());
        let changed = number(|state| state == RunState::Planned);
        let stacks = words::count(card.states.len(), "stack");
        let change = if changed == 1 { "changes" } else { "change" };
        let (rank, class, says) = if let Some(trouble) = &card.trouble {
            (0, "bad", trouble.clone())
        } else if let Some(quiet) = &card.quiet {
            (5, "still", quiet.clone())
        } else if failed > 0 {
            (0, "bad", format!("{failed} of {stacks} failed"))
        } else if card.risk == Risk::Data && changed > 0 {
            (1, "danger", format!("would destroy data; {changed} of {stacks} {change}"))
        } else if busy > 0 {
            (3, "busy", format!("planning {stacks}: {} done", card.states.len() - busy))
        } else if changed > 0 {
            let class = if card.risk >= Risk::High { "danger" } else { "good" };
            (2, class, format!("review: {changed} of {stacks} {change}"))
        } else if card.states.is_empty() {
            (5, "still", "no stacks affected".to_owned())
        } else {
            (4, "still", format!("no changes in {stacks}"))
        };
        Self {
            repo: card.repo.to_string(),
            number: card.number.get(),
            title: card.title.clone(),
            author: card.author.clone(),
            at: words::date(card.updated_at),
            class,
            says,
            rank,
        }
    }
}

/// A stack's plan.
pub(super) struct Plan {
    pub(super) lines: Vec<Line>,
    pub(super) left_out: usize,
    pub(super) warnings: Vec<String>,
    pub(super) sentence: String,
}

impl Plan {
    pub(super) fn of(row: &StackRow) -> Option<Self> {
        let RowStatus::Planned(plan) = &row.status else { return None };
        let shown = diff(plan, DIFF);
        let mut warnings = plan.warnings.clone();
        if row.state_known == Some(false) {
            warnings.push("There is no backend: planned on an empty state, so that everything is to add.".to_owned());
        }
        if plan.plan_timestamp {
            warnings.push("It uses plantimestamp(), so that every plan of it differs.".to_owned());
        }
        if !plan.complete {
            warnings.push("The plan is not complete: parts of the configuration were left out.".to_owned());
        }
        let sentence = line(&words::sentence(plan.counts));
        Some(Self { lines: shown.lines, left_out: shown.left_out, warnings, sentence })
    }
}
