//! Judging: may this plan be applied now?
//!
//! Owns the proof that it may. Pure: requirements, facts and a time in, gates out. What is not known, not read or
//! cannot be read never holds. Must never decide whether a plan is still valid; the saga does.

mod approvals;
mod checks;

use model::gate::{Gate, Outcome};
use model::id::{CommitSha, RunId, StackName};
use model::pull::{Decision, Fact, GateFacts, PullState, Role, Unknown};
use model::requirement::{Requirement, Requirements, Scope, Windows};
use model::time::Timestamp;
use model::window::Opening;

pub use checks::warnings;

/// A plan that someone wants to apply.
#[derive(Debug, Clone, Copy)]
pub struct PlanFacts<'a> {
    /// The run that made it.
    pub run: RunId,
    /// Of which stack.
    pub stack: &'a StackName,
    /// The head that it was made for or carried to.
    pub head: &'a CommitSha,
    /// The branch that it is for.
    pub into: &'a str,
    /// The root of its fingerprint.
    pub fingerprint: &'a str,
    /// What was shown of this stack, for which commit and since when, in any order. What shows no change has an empty
    /// fingerprint.
    pub shown: &'a [Shown],
    /// Since when the pull request goes into its base, when it went into another before.
    pub since: Option<Timestamp>,
    /// The fingerprint of a plan that was reviewed and holds all that this one does: its approvals count here too.
    pub within: Option<&'a str>,
    /// Whoever read exactly this plan and asked for it: their word is an approval.
    pub asked: Option<Asked<'a>>,
}

/// A person who asked for a plan by its stack's name.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Their login.
    pub login: &'a str,
    /// An account of a program?
    pub bot: bool,
    /// Their right when they asked.
    pub role: Option<Role>,
    /// When that was.
    pub at: Timestamp,
}

/// A plan's fingerprint that was published for a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The commit on whose checks it stood.
    pub head: CommitSha,
    /// The root.
    pub fingerprint: String,
    /// Since when.
    pub at: Timestamp,
}

/// What came into the base since the base that a plan was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divergence {
    /// The base that the plan was made with, and the base now, where they differ.
    pub moved: Option<(CommitSha, CommitSha)>,
    /// Why that concerns the stack, one line per file; empty: it does not.
    pub touching: Vec<String>,
}

/// How a change comes to its branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Through a pull request that is open, or was merged.
    Pull,
    /// It does not: its pull request was closed.
    Closed,
    /// It was pushed without one.
    Push,
    /// It was pushed without one, and the trusted base has such applied at once: what only a pull request can meet is
    /// not asked of it.
    OnPush,
}

/// All that is judged besides GitHub's facts.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The plan.
    pub plan: PlanFacts<'a>,
    /// How it comes to its branch.
    pub way: Way,
    /// Is its branch one whose rules count?
    pub trusted: bool,
    /// Our own App's id, as checks carry it.
    pub app: Option<i64>,
    /// What came into the base since.
    pub divergence: Fact<Divergence>,
    /// Who froze applies, and why; `None`: nobody.
    pub frozen: Option<String>,
    /// Stacks that must be applied before this one and are not.
    pub waits_for: Vec<StackName>,
    /// Why the state is not the one that was applied to before.
    pub state_moved: Option<String>,
    /// The first error in the base's own configuration.
    pub base_error: Option<String>,
}

/// Judged gates of one plan. Only `judge` makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    plan: RunId,
    head: CommitSha,
    fingerprint: String,
    gates: Vec<Gate>,
}

/// The proof that every gate of a plan held at one moment. Only `approve` makes one; the start of an apply takes
/// it by value.
#[derive(Debug, PartialEq, Eq)]
pub struct ApprovedPlan {
    plan: RunId,
    head: CommitSha,
    fingerprint: String,
    gates: Vec<Gate>,
}

impl Judged {
    /// All gates, in the order in which people read them.
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }
    /// Those that do not hold.
    pub fn unmet(&self) -> impl Iterator<Item = &Gate> {
        self.gates.iter().filter(|gate| !gate.holds())
    }
    /// Gives the gates away.
    pub fn into_gates(self) -> Vec<Gate> {
        self.gates
    }
}

impl ApprovedPlan {
    /// The run that made the plan.
    pub fn plan(&self) -> RunId {
        self.plan
    }
    /// The head that was approved.
    pub fn head(&self) -> &CommitSha {
        &self.head
    }
    /// What was approved.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
    /// The evidence, for the record.
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }
}

/// Turns judged gates into the proof when all of them hold.
///
/// # Errors
/// The gates, when one does not hold.
pub fn approve(judged: Judged) -> Result<ApprovedPlan, Judged> {
    if judged.gates.is_empty() || judged.unmet().next().is_some() {
        return Err(judged);
    }
    let Judged { plan, head, fingerprint, gates } = judged;
    Ok(ApprovedPlan { plan, head, fingerprint, gates })
}

/// The proof for a plan that a person applies by force, whatever its requirements: only that the state is the right
/// one is never forced, nor where. `who` and why stand in its evidence.
///
/// # Errors
/// The gates, when the state has moved or is frozen, or the branch is not trusted.
pub fn force(judged: Judged, who: &str) -> Result<ApprovedPlan, Judged> {
    if judged.unmet().any(|gate| matches!(gate.name.as_str(), "state" | "not-frozen" | "trusted-branch")) {
        return Err(judged);
    }
    let Judged { plan, head, fingerprint, mut gates } = judged;
    gates.push(Gate::new("force-apply", Outcome::Pass, who).titled("applied by force"));
    Ok(ApprovedPlan { plan, head, fingerprint, gates })
}

/// Judges every requirement of a plan. `facts` are `None` where there is no pull request, or they are being read.
pub fn judge(asked: &Requirements, facts: Option<&GateFacts>, context: &Context<'_>, now: Timestamp) -> Judged {
    let same = |facts: &GateFacts| facts.head == *context.plan.head && facts.base_branch == context.plan.into;
    let facts = match (context.way, facts) {
        (Way::Pull, Some(facts)) if same(facts) => Ok(facts),
        (Way::Pull, _) => Err((Outcome::Pending, "what GitHub says of it is being read")),
        (Way::Closed, _) => Err((Outcome::Fail, "the pull request is closed")),
        (Way::Push, _) => Err((Outcome::Fail, "there is no pull request")),
        (Way::OnPush, _) => Err((Outcome::Fail, "this is not known of a push")),
    };
    let mut gates = always(facts, context);
    gates.extend(asked.items().iter().filter_map(|item| one(item, facts, context, now)));
    let PlanFacts { run, head, fingerprint, .. } = context.plan;
    Judged { plan: run, head: head.clone(), fingerprint: fingerprint.to_owned(), gates }
}

/// GitHub's facts of the plan's head, or why there are none.
type Facts<'a> = Result<&'a GateFacts, (Outcome, &'static str)>;

/// What always holds and is not written.
fn always(facts: Facts<'_>, context: &Context<'_>) -> Vec<Gate> {
    let first = match facts {
        Ok(facts) => merges(facts),
        Err(_) if context.way == Way::OnPush => {
            Gate::new("pushed", Outcome::Pass, "pushes are applied at once here (`apply on=push`)")
        }
        Err((outcome, evidence)) => Gate::new("no-conflicts", outcome, evidence).titled("no conflicts"),
    };
    let mut gates = vec![first];
    if !context.trusted {
        let evidence = format!("`{}` is not a trusted branch: nothing is applied into it", context.plan.into);
        gates.push(Gate::new("trusted-branch", Outcome::Fail, evidence).titled("trusted branch"));
    }
    if let Some(error) = &context.base_error {
        let evidence = format!("the base's own `.buildit/` has errors, so what it asks for is not known: {error}");
        gates.push(Gate::new("configuration", Outcome::Fail, evidence));
    }
    if let Some(reason) = &context.state_moved {
        gates.push(Gate::new("state", Outcome::Fail, reason.clone()).titled("the state"));
    }
    if let Some(reason) = &context.frozen {
        gates.push(Gate::new("not-frozen", Outcome::Fail, reason.clone()).titled("not frozen"));
    }
    if !context.waits_for.is_empty() {
        let names: Vec<String> = context.waits_for.iter().map(|name| format!("`{name}`")).collect();
        let evidence = format!("{} must be applied first", names.join(", "));
        gates.push(Gate::new("deps-applied", Outcome::Pending, evidence).titled("stacks before it"));
    }
    gates
}

fn merges(facts: &GateFacts) -> Gate {
    let (outcome, evidence) = match (facts.state, facts.draft, facts.mergeable) {
        (PullState::Merged, ..) => (Outcome::Pass, "merged"),
        (PullState::Closed, ..) => (Outcome::Fail, "the pull request is closed"),
        (PullState::Open, true, _) => (Outcome::Fail, "the pull request is a draft"),
        (PullState::Open, false, Some(true)) => (Outcome::Pass, "it merges without conflicts"),
        (PullState::Open, false, Some(false)) => (Outcome::Fail, "it conflicts with its base"),
        (PullState::Open, false, None) => (Outcome::Pending, "GitHub is still computing whether it merges"),
    };
    Gate::new("no-conflicts", outcome, evidence).titled("no conflicts")
}

/// One written requirement; `None` where it is not evaluated: of a merge, of a push that is applied at once, or of a
/// pull request that was closed, of which nothing holds anyway.
fn one(item: &Requirement, facts: Facts<'_>, context: &Context<'_>, now: Timestamp) -> Option<Gate> {
    let merged = facts.is_ok_and(|facts| facts.state == PullState::Merged);
    let with = |judge: &dyn Fn(&GateFacts) -> Gate| match facts {
        Ok(facts) => judge(facts),
        Err((outcome, evidence)) => Gate::new(item.name(), outcome, evidence),
    };
    if context.way == Way::Closed || (context.way == Way::OnPush && only_of_pulls(item)) {
        return None;
    }
    Some(match item {
        Requirement::Approvals(rule) => with(&|facts| approvals::judge(rule, facts, &context.plan)),
        Requirement::Codeowners => with(&codeowners).titled("code owners"),
        Requirement::ChecksPassed(asked) => {
            with(&|facts| checks::judge(asked, facts, context.app)).titled("other checks")
        }
        Requirement::Undiverged(_) | Requirement::ConversationResolved if merged => return None,
        Requirement::Undiverged(scope) => with(&|facts| undiverged(*scope, facts, context)),
        Requirement::ConversationResolved => with(&conversations).titled("conversations"),
        Requirement::Signed => with(&signed).titled("signatures"),
        Requirement::Windows(windows) => window(windows, now),
        Requirement::CostBelow(limit) => {
            let evidence = format!("this version does not know costs; below {limit} is asked for");
            Gate::new(item.name(), Outcome::Fail, evidence).titled("cost")
        }
        Requirement::Policy(name) => {
            let evidence = format!("this version does not evaluate policies; `{name}` is asked for");
            Gate::new(item.name(), Outcome::Fail, evidence).titled(format!("policy {name}"))
        }
    })
}

/// Is it about how a pull request is merged?
fn only_of_pulls(item: &Requirement) -> bool {
    match item {
        Requirement::Approvals(_)
        | Requirement::Codeowners
        | Requirement::ChecksPassed(_)
        | Requirement::Undiverged(_)
        | Requirement::ConversationResolved => true,
        Requirement::Signed | Requirement::Windows(_) | Requirement::CostBelow(_) | Requirement::Policy(_) => false,
    }
}

fn unknown(name: &str, why: Unknown<'_>) -> Gate {
    Gate::new(name, Outcome::Fail, why.to_string())
}

fn codeowners(facts: &GateFacts) -> Gate {
    let gate = |outcome, evidence: &str| Gate::new("codeowners", outcome, evidence);
    let decision = match (facts.code_owner_rule.known(), facts.decision.known()) {
        (Err(why), _) | (_, Err(why)) => return unknown("codeowners", why),
        (Ok(false), _) => {
            let branch = &facts.base_branch;
            let evidence = format!(
                "no rule of `{branch}` asks for it: turn on \"Require review from Code Owners\" for that branch"
            );
            return Gate::new("codeowners", Outcome::Fail, evidence);
        }
        (Ok(true), Ok(decision)) => decision,
    };
    match decision {
        Some(Decision::Approved) => gate(Outcome::Pass, "the code owners approved"),
        Some(Decision::ReviewRequired) => gate(Outcome::Pending, "a code owner's review is missing"),
        Some(Decision::ChangesRequested) => gate(Outcome::Fail, "changes are requested"),
        None => gate(Outcome::Fail, "GitHub gives no verdict on the reviews"),
    }
}

fn undiverged(scope: Scope, facts: &GateFacts, context: &Context<'_>) -> Gate {
    let gate = |outcome, evidence: String| Gate::new("undiverged", outcome, evidence);
    let judged = match context.divergence.known() {
        Err(why) => unknown("undiverged", why),
        Ok(Divergence { moved: None, .. }) => {
            gate(Outcome::Pass, "nothing came into the base since the plan".to_owned())
        }
        Ok(Divergence { moved: Some((from, to)), .. }) if scope == Scope::Repository => {
            let evidence = format!("the base moved from {} to {} since the plan", from.short(), to.short());
            gate(Outcome::Fail, evidence)
        }
        Ok(it) if it.touching.is_empty() => {
            gate(Outcome::Pass, "what came into the base since the plan does not concern the stack".to_owned())
        }
        Ok(it) => gate(Outcome::Fail, format!("the base changed since the plan: {}", it.touching.join("; "))),
    };
    judged.titled(format!("up to date with `{}`", facts.base_branch))
}

fn conversations(facts: &GateFacts) -> Gate {
    let name = "conversation-resolved";
    match facts.unresolved.known() {
        Err(why) => unknown(name, why),
        Ok(0) => Gate::new(name, Outcome::Pass, "every conversation is resolved"),
        Ok(1) => Gate::new(name, Outcome::Pending, "1 conversation is not resolved"),
        Ok(open) => Gate::new(name, Outcome::Pending, format!("{open} conversations are not resolved")),
    }
}

fn signed(facts: &GateFacts) -> Gate {
    let unsigned = match facts.unsigned.known() {
        Err(why) => return unknown("signed", why),
        Ok(unsigned) => unsigned,
    };
    let named: Vec<String> =
        unsigned.iter().take(3).map(|one| format!("{} ({})", one.commit.short(), one.reason)).collect();
    match unsigned.len() {
        0 => Gate::new("signed", Outcome::Pass, "every commit has a verified signature"),
        count => {
            let more = if count > named.len() { ", …" } else { "" };
            Gate::new("signed", Outcome::Fail, format!("without a verified signature: {}{more}", named.join(", ")))
        }
    }
}

fn window(windows: &Windows, now: Timestamp) -> Gate {
    let mut next: Option<(Timestamp, String)> = None;
    for window in &windows.any {
        match window.at(now) {
            Opening::Open { until } => {
                return Gate::new("window", Outcome::Pass, format!("open until {}", window.local(until)));
            }
            Opening::Closed { next: Some(at) } => {
                if next.as_ref().is_none_or(|(known, _)| at < *known) {
                    next = Some((at, window.local(at)));
                }
            }
            Opening::Closed { next: None } => {}
        }
    }
    match next {
        Some((_, text)) => Gate::new("window", Outcome::Pending, format!("closed; it opens {text}")),
        None => Gate::new("window", Outcome::Fail, "closed; it never opens"),
    }
}

#[cfg(test)]
mod tests;
