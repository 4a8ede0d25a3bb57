//! What holds of all facts.

use model::pull::{Fact, GateFacts, PullState, Pushers, Review, ReviewState};
use model::requirement::{Approvals, Requirement};
use model::who::Who;
use proptest::prelude::*;

use super::{Case, at, review, sha};
use crate::gate::{Judged, approve};

/// Takes one fact away.
type Loss = fn(&mut GateFacts);

fn everything() -> Vec<Requirement> {
    let rule = Approvals { any_of: [Who::parse("team:sre").expect("a name")].into(), ..Approvals::plain(1) };
    vec![Requirement::Approvals(rule), Requirement::Codeowners, Requirement::ConversationResolved, Requirement::Signed]
}

const LOSSES: [(&str, Loss); 10] = [
    ("reviews", |facts| facts.reviews = Fact::NotAsked),
    ("pushers", |facts| facts.pushers = Fact::Unreadable("gone".to_owned())),
    ("teams", |facts| facts.teams = model::who::Teams::default()),
    ("decision", |facts| facts.decision = Fact::NotAsked),
    ("code owners' rule", |facts| facts.code_owner_rule = Fact::Unreadable("403".to_owned())),
    ("required", |facts| facts.required = Fact::NotAsked),
    ("checks", |facts| facts.checks = Fact::Unreadable("403".to_owned())),
    ("conversations", |facts| facts.unresolved = Fact::NotAsked),
    ("signatures", |facts| facts.unsigned = Fact::Unreadable("too many".to_owned())),
    ("mergeable", |facts| facts.mergeable = None),
];

#[test]
fn no_fact_may_be_missing() {
    assert!(approve(Case::asking(&everything()).judge()).is_ok());
    for (name, lose) in LOSSES {
        let mut case = Case::asking(&everything());
        lose(&mut case.facts);
        assert!(approve(case.judge()).is_err(), "{name}");
    }
    let case = Case { divergence: Fact::NotAsked, ..Case::asking(&everything()) };
    assert!(approve(case.judge()).is_err());
    assert!(approve(Case::asking(&everything()).judge_with(None)).is_err());
}

fn person() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["ana", "ben", "cleo", "eve", "dan"]).prop_map(str::to_owned)
}

fn some_review() -> impl Strategy<Value = Review> {
    use ReviewState::{Approved, ChangesRequested, Commented, Dismissed};
    let state = proptest::sample::select(vec![Approved, ChangesRequested, Commented, Dismissed]);
    (person(), state, proptest::sample::select(vec!['a', 'c']), 0i64..20, 0i64..9)
        .prop_map(|(author, state, commit, minutes, id)| review(id, &author, state, commit, minutes))
}

fn some_rule() -> impl Strategy<Value = Approvals> {
    let names = || {
        proptest::sample::subsequence(vec!["team:sre", "team:sec", "team:hidden", "role:write", "user:eve", "*"], 0..3)
    };
    (0u32..3, names(), names(), any::<(bool, bool, bool)>()).prop_map(|(count, any_of, all_of, flags)| Approvals {
        count,
        any_of: any_of.into_iter().map(|name| Who::parse(name).expect("a name")).collect(),
        all_of: all_of.into_iter().map(|name| Who::parse(name).expect("a name")).collect(),
        not_author: flags.0,
        not_pusher: flags.1,
        on_latest_push: flags.2,
    })
}

fn holds(judged: &Judged) -> bool {
    judged.unmet().next().is_none()
}

fn case(rules: Vec<Approvals>, reviews: Vec<Review>, pusher: String) -> Case {
    let items: Vec<Requirement> = rules.into_iter().map(Requirement::Approvals).collect();
    let mut case = Case::asking(&items);
    case.facts.reviews = Fact::Is(reviews);
    case.facts.pushers = Fact::Is(Pushers::Last(pusher));
    case
}

proptest! {
    #[test]
    fn one_more_approval_never_closes_a_gate(
        rules in proptest::collection::vec(some_rule(), 1..4),
        reviews in proptest::collection::vec(some_review(), 0..6),
        pusher in person(),
        more in person(),
    ) {
        let before = case(rules.clone(), reviews.clone(), pusher.clone());
        let mut with = reviews;
        with.push(review(99, &more, ReviewState::Approved, 'a', 19));
        let after = case(rules, with, pusher);
        prop_assert!(!holds(&before.judge()) || holds(&after.judge()));
    }

    #[test]
    fn a_stricter_rule_never_opens_a_gate(
        rules in proptest::collection::vec(some_rule(), 0..3),
        reviews in proptest::collection::vec(some_review(), 0..6),
        pusher in person(),
        more in some_rule(),
    ) {
        let loose = case(rules.clone(), reviews.clone(), pusher.clone());
        let mut strict = case(rules, reviews, pusher);
        strict.asked = loose.asked.clone();
        strict.asked.tighten(&Requirement::Approvals(more));
        prop_assert!(holds(&loose.judge()) || !holds(&strict.judge()));
    }

    #[test]
    fn nobody_passes_alone_on_their_own_work(
        reviews in proptest::collection::vec(some_review(), 0..6),
        rule in some_rule(),
    ) {
        // ana wrote it and pushed it: without hers nothing is lost, with hers nothing is won.
        let rule = Approvals { not_author: true, ..rule };
        let without: Vec<Review> = reviews.iter().filter(|it| it.author != "ana").cloned().collect();
        let mut with = without.clone();
        with.push(review(99, "ana", ReviewState::Approved, 'a', 19));
        let pusher = || "ana".to_owned();
        prop_assert_eq!(
            holds(&case(vec![rule.clone()], with, pusher()).judge()),
            holds(&case(vec![rule], without, pusher()).judge())
        );
    }

    #[test]
    fn a_proof_needs_every_gate(state in proptest::sample::select(vec![PullState::Open, PullState::Closed]), draft: bool, now in 0i64..9000) {
        let mut case = Case::asking(&everything());
        (case.facts.state, case.facts.draft, case.now) = (state, draft, at(now));
        let judged = case.judge();
        let all = judged.gates().iter().all(model::gate::Gate::holds);
        prop_assert_eq!(approve(judged).is_ok(), all);
        prop_assert_eq!(all, state == PullState::Open && !draft);
        prop_assert_eq!(&case.facts.head, &sha('a'));
    }
}
