//! Required checks of the head.

use std::collections::BTreeSet;

use model::config::glob_matches;
use model::gate::{Gate, Outcome};
use model::pull::{CheckState, Fact, GateFacts, RequiredCheck};
use model::requirement::ChecksPassed;

use super::unknown;

/// Our own answer to this question; waiting for it would be a circle.
const APPLY: &str = "buildit/apply";

/// Judges the required checks of the head. `app` is our own App's id.
pub(super) fn judge(asked: &ChecksPassed, facts: &GateFacts, app: Option<i64>) -> Gate {
    let name = "checks-passed";
    let (required, checks) = match (facts.required.known(), facts.checks.known()) {
        (Err(why), _) | (_, Err(why)) => return unknown(name, why),
        (Ok(required), Ok(checks)) => (required, checks),
    };
    let ours = |it: &RequiredCheck| it.context == APPLY && (it.app.is_none() || it.app == app);
    let ignored = |it: &RequiredCheck| asked.ignore.iter().any(|glob| glob_matches(glob, &it.context));
    let (mut failed, mut waiting, mut passed) = (BTreeSet::new(), BTreeSet::new(), 0usize);
    for wanted in required.iter().filter(|it| !ours(it) && !ignored(it)) {
        // Two of one name must both pass, as on GitHub.
        let fits = checks
            .iter()
            .filter(|it| it.context == wanted.context)
            .filter(|it| wanted.app.is_none() || it.app == wanted.app);
        match fits.map(|it| it.state).max() {
            Some(CheckState::Passed) => passed += 1,
            Some(CheckState::Failed) => {
                failed.insert(format!("`{}` failed", wanted.context));
            }
            Some(CheckState::Running) => {
                waiting.insert(format!("`{}` is not ended", wanted.context));
            }
            None => {
                waiting.insert(format!("`{}` is missing", wanted.context));
            }
        }
    }
    let listed = |all: BTreeSet<String>| all.into_iter().collect::<Vec<_>>().join(", ");
    if !failed.is_empty() {
        return Gate::new(name, Outcome::Fail, listed(failed));
    }
    if !waiting.is_empty() {
        return Gate::new(name, Outcome::Pending, listed(waiting));
    }
    let evidence = match passed {
        0 => "nothing else is required".to_owned(),
        1 => "1 required check passed".to_owned(),
        count => format!("{count} required checks passed"),
    };
    Gate::new(name, Outcome::Pass, evidence)
}

/// What is wrong with the branch's protection, for every check: it is missing, or anybody could set ours.
pub fn warnings(facts: &GateFacts, app: Option<i64>) -> Vec<String> {
    let mut warnings = Vec::new();
    if facts.protected == Fact::Is(false) {
        warnings
            .push(format!("`{}` is not protected: whoever may push can change what it asks for", facts.base_branch));
    }
    if let Fact::Is(required) = &facts.required {
        let open =
            required.iter().filter(|it| it.context.starts_with("buildit/") && (it.app.is_none() || it.app != app));
        let names: BTreeSet<String> = open.map(|it| format!("`{}`", it.context)).collect();
        if !names.is_empty() {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            warnings
                .push(format!("{names} is required, but not from this App: choose BuildIt as its source in the rule"));
        }
    }
    warnings
}
