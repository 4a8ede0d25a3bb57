//! Every requirement with what breaks it and its allowed twin, and what holds of all of them.

mod properties;
mod table;

use std::collections::BTreeMap;

use model::id::{CommitSha, PullNumber, RunId, StackName};
use model::pull::{
    CheckFact, CheckState, Decision, Fact, GateFacts, GateWants, PullSnapshot, PullState, Pushers, RequiredCheck,
    Review, ReviewState, Role,
};
use model::requirement::{Requirement, Requirements};
use model::time::Timestamp;
use model::who::Teams;

use super::{Asked, Context, Divergence, Judged, PlanFacts, Shown, Way, judge};

pub(super) fn sha(digit: char) -> CommitSha {
    CommitSha::parse(&digit.to_string().repeat(40)).expect("forty digits")
}

pub(super) fn at(minutes: i64) -> Timestamp {
    // 2026-03-26, a Thursday, 12:00 UTC and later.
    Timestamp::from_seconds(1_774_526_400 + minutes * 60)
}

pub(super) fn review(id: i64, author: &str, state: ReviewState, commit: char, minutes: i64) -> Review {
    Review { id, author: author.to_owned(), bot: false, state, commit: Some(sha(commit)), submitted_at: at(minutes) }
}

pub(super) fn approved(author: &str) -> Review {
    review(1, author, ReviewState::Approved, 'a', 10)
}

/// A pull request of ana on which all is well; ben approved it.
pub(super) fn facts() -> GateFacts {
    let pull = PullSnapshot {
        number: PullNumber::new(7),
        title: "Add a cache".to_owned(),
        author: "ana".to_owned(),
        author_is_bot: false,
        state: PullState::Open,
        draft: false,
        head: sha('a'),
        head_branch: "cache".to_owned(),
        fork: false,
        base: sha('b'),
        base_branch: "main".to_owned(),
        merge_commit: None,
        mergeable: Some(true),
        labels: Vec::new(),
        updated_at: at(0),
        merged_at: None,
    };
    let mut teams = Teams::default();
    teams.note("sre", Some(["ben", "cleo"]));
    teams.note("sec", Some(["cleo"]));
    teams.note("hidden", None::<[&str; 0]>);
    let check = |context: &str, app| CheckFact { context: context.to_owned(), app, state: CheckState::Passed };
    let required = |context: &str, app| RequiredCheck { context: context.to_owned(), app };
    GateFacts {
        protected: Fact::Is(true),
        reviews: Fact::Is(vec![approved("ben")]),
        roles: BTreeMap::from([
            ("ana".to_owned(), Role::Admin),
            ("ben".to_owned(), Role::Write),
            ("cleo".to_owned(), Role::Maintain),
            ("eve".to_owned(), Role::Read),
        ]),
        teams,
        pushers: Fact::Is(Pushers::Last("ana".to_owned())),
        decision: Fact::Is(Some(Decision::Approved)),
        code_owner_rule: Fact::Is(true),
        required: Fact::Is(vec![required("test", None), required("lint", Some(5)), required("buildit/apply", None)]),
        checks: Fact::Is(vec![check("test", None), check("lint", Some(5)), check("extra", None)]),
        unresolved: Fact::Is(0),
        unsigned: Fact::Is(Vec::new()),
        ..GateFacts::of(&pull, &GateWants::default())
    }
}

/// What a case may change.
pub(super) struct Case {
    pub(super) asked: Requirements,
    pub(super) facts: GateFacts,
    pub(super) shown: Vec<Shown>,
    pub(super) since: Option<Timestamp>,
    pub(super) within: Option<&'static str>,
    pub(super) word: Option<Asked<'static>>,
    pub(super) way: Way,
    pub(super) trusted: bool,
    pub(super) divergence: Fact<Divergence>,
    pub(super) frozen: Option<String>,
    pub(super) waits_for: Vec<StackName>,
    pub(super) base_error: Option<String>,
    pub(super) now: Timestamp,
}

impl Case {
    pub(super) fn asking(items: &[Requirement]) -> Self {
        Self {
            asked: Requirements::union(items, []),
            facts: facts(),
            shown: vec![Shown { head: sha('a'), fingerprint: "F1".to_owned(), at: at(5) }],
            since: None,
            within: None,
            word: None,
            way: Way::Pull,
            trusted: true,
            divergence: Fact::Is(Divergence { moved: None, touching: Vec::new() }),
            frozen: None,
            waits_for: Vec::new(),
            base_error: None,
            now: at(20),
        }
    }

    pub(super) fn judge(&self) -> Judged {
        self.judge_with(Some(&self.facts))
    }

    pub(super) fn judge_with(&self, facts: Option<&GateFacts>) -> Judged {
        let stack = StackName::parse("network").expect("a name");
        let (head, run) = (sha('a'), RunId::parse("01890000-0000-7000-8000-000000000001").expect("an id"));
        let plan = PlanFacts {
            run,
            stack: &stack,
            head: &head,
            into: "main",
            fingerprint: "F1",
            shown: &self.shown,
            since: self.since,
            within: self.within,
            asked: self.word,
        };
        let context = Context {
            plan,
            app: Some(99),
            way: self.way,
            trusted: self.trusted,
            divergence: self.divergence.clone(),
            frozen: self.frozen.clone(),
            waits_for: self.waits_for.clone(),
            state_moved: None,
            base_error: self.base_error.clone(),
        };
        judge(&self.asked, facts, &context, self.now)
    }
}
