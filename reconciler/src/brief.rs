//! What lists say of large values; stored beside them when they are stored.
//!
//! Invariant: a function of the large value alone, and small whatever its size.

use model::id::StackName;
use model::plan::{Counts, PlanDocument, Risk};
use model::survey::{BaseTrust, Survey};
use serde::{Deserialize, Serialize};

/// The longest obstacle, in characters.
const OBSTACLE: usize = 200;

/// Of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanBrief {
    pub(crate) counts: Counts,
    pub(crate) risk: Risk,
}

impl From<&PlanDocument> for PlanBrief {
    fn from(document: &PlanDocument) -> Self {
        Self { counts: document.counts, risk: document.risk }
    }
}

/// Of a survey of a repository that has a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SurveyBrief {
    /// What stands in the way of all plans and someone must mend.
    pub(crate) obstacle: Option<String>,
    /// Is the base branch one whose pull requests are planned?
    pub(crate) planned_base: bool,
    /// The affected stacks.
    pub(crate) affected: Vec<StackName>,
}

impl SurveyBrief {
    /// `None` for a repository without a configuration, which no list shows.
    pub(crate) fn of(survey: &Survey) -> Option<Self> {
        survey.configured.then(|| Self {
            obstacle: obstacle(survey).map(|text| text.chars().take(OBSTACLE).collect()),
            planned_base: survey.base_trust != BaseTrust::Untrusted,
            affected: survey.affected.affected.iter().map(|hit| hit.stack.clone()).collect(),
        })
    }
}

fn obstacle(survey: &Survey) -> Option<String> {
    if let Some(error) = survey.diagnostics.errors().next() {
        let place = error.span.as_ref().map(|span| format!("{}:{}: ", span.file, span.line)).unwrap_or_default();
        let more = match survey.diagnostics.errors().count() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        return Some(format!("{place}{}{more}", error.summary));
    }
    if survey.conflicts.is_empty() && survey.plan_tree.is_some() {
        return None;
    }
    let files: Vec<&str> = survey.conflicts.iter().map(|path| path.as_str()).collect();
    Some(if files.is_empty() {
        "conflicts with its base".to_owned()
    } else {
        format!("conflicts in {}", files.join(", "))
    })
}
