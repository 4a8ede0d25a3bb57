//! Each requirement, case by case.

use insta::assert_snapshot;
use model::gate::Outcome;
use model::id::StackName;
use model::pull::{
    CheckFact, CheckState, Decision, Fact, GateFacts, PullState, Pushers, RequiredCheck, Review, ReviewState, Unsigned,
};
use model::requirement::{Approvals, ChecksPassed, Requirement, Scope, Windows};
use model::who::Who;
use model::window::Window;

use super::{Case, approved, at, review, sha};
use crate::gate::{Asked, Divergence, Shown, Way, approve, warnings};

fn shown(judged: &crate::gate::Judged, name: &str) -> String {
    let line = |gate: &model::gate::Gate| {
        let mark = match gate.outcome {
            Outcome::Pass => "pass",
            Outcome::Pending => "pending",
            Outcome::Fail => "fail",
        };
        format!("{mark} {} | {}", gate.title, gate.evidence)
    };
    let named: Vec<String> = judged.gates().iter().filter(|gate| gate.name == name).map(line).collect();
    named.join("\n")
}

/// One rule, with the facts changed.
fn rule(rule: Approvals, change: impl FnOnce(&mut Case)) -> String {
    let mut case = Case::asking(&[Requirement::Approvals(rule)]);
    change(&mut case);
    shown(&case.judge(), "approvals")
}

fn who(names: &[&str]) -> std::collections::BTreeSet<Who> {
    names.iter().map(|name| Who::parse(name).expect("a name")).collect()
}

fn from(count: u32, names: &[&str]) -> Approvals {
    Approvals { any_of: who(names), ..Approvals::plain(count) }
}

fn reviews(all: Vec<Review>) -> impl FnOnce(&mut Case) {
    move |case| case.facts.reviews = Fact::Is(all)
}

#[test]
fn when_all_holds_there_is_a_proof() {
    let judged = Case::asking(&[]).judge();
    let all: Vec<String> = judged.gates().iter().map(ToString::to_string).collect();
    assert_snapshot!(all.join("\n"), @r"
    no conflicts: it merges without conflicts
    approvals 1 of 1: approved by ben
    other checks: 2 required checks passed
    up to date with `main`: nothing came into the base since the plan
    ");
    let proof = approve(judged).expect("every gate holds");
    assert_eq!((proof.fingerprint(), proof.head(), proof.gates().len()), ("F1", &sha('a'), 4));
}

#[test]
fn approvals_are_counted_by_person() {
    let two = |reviews_of| rule(Approvals::plain(2), reviews(reviews_of));
    assert_snapshot!(two(vec![approved("ben"), review(2, "cleo", ReviewState::Approved, 'a', 11)]), @r"pass approvals 2 of 2 | approved by ben, cleo");
    assert_snapshot!(two(vec![approved("ben"), review(2, "BEN", ReviewState::Approved, 'a', 11)]), @r"pending approvals 1 of 2 | approved by BEN");
    assert_snapshot!(two(Vec::new()), @r"pending approvals 0 of 2 | nobody approved");
    assert_snapshot!(two(vec![approved("ben"), review(2, "eve", ReviewState::Approved, 'a', 11)]), @r"pending approvals 1 of 2 | approved by ben; not counted: eve (not role:write)");
}

#[test]
fn the_last_word_of_each_person_counts() {
    use ReviewState::{Approved, ChangesRequested, Commented, Dismissed};
    let of = |states: &[ReviewState]| {
        let all = states.iter().zip(0..).map(|(state, n)| review(n, "ben", *state, 'a', 10 + n)).collect();
        rule(Approvals::plain(1), reviews(all))
    };
    assert_snapshot!(of(&[Approved, Commented]), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(of(&[Approved, ChangesRequested]), @r"fail approvals 0 of 1 | ben asked for changes");
    assert_snapshot!(of(&[ChangesRequested, Approved]), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(of(&[Approved, Dismissed]), @r"pending approvals 0 of 1 | nobody approved");
    assert_snapshot!(of(&[Approved, Approved, Dismissed]), @r"pending approvals 0 of 1 | nobody approved");
    assert_snapshot!(of(&[Dismissed, Approved]), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(of(&[Commented]), @r"pending approvals 0 of 1 | nobody approved");
    // Whose approval would not count does not stand in the way either.
    let eve = review(3, "eve", ChangesRequested, 'a', 12);
    assert_snapshot!(rule(Approvals::plain(1), reviews(vec![approved("ben"), eve.clone()])), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(rule(from(1, &["team:hidden", "user:ben"]), reviews(vec![approved("ben"), eve])), @r"fail approvals 1 of 1 (user:ben, team:hidden) | approved by ben; eve asked for changes");
}

#[test]
fn names_and_teams() {
    assert_snapshot!(rule(from(1, &["team:sre"]), |_| {}), @r"pass approvals 1 of 1 (team:sre) | approved by ben");
    assert_snapshot!(rule(from(2, &["team:sre"]), |_| {}), @r"pending approvals 1 of 2 (team:sre) | approved by ben; from team:sre");
    assert_snapshot!(rule(from(1, &["team:sec"]), |_| {}), @r"pending approvals 0 of 1 (team:sec) | from team:sec; not counted: ben (not team:sec)");
    assert_snapshot!(rule(from(1, &["team:hidden"]), |_| {}), @r"fail approvals 0 of 1 (team:hidden) | from team:hidden; not counted: ben (whether that is team:hidden could not be read)");
    assert_snapshot!(rule(from(1, &["role:maintain", "user:eve"]), reviews(vec![approved("eve")])), @r"pass approvals 1 of 1 (user:eve, role:maintain) | approved by eve");
    let all = Approvals { all_of: who(&["team:sre", "team:sec"]), ..Approvals::plain(1) };
    assert_snapshot!(rule(all.clone(), |_| {}), @r"pending approvals 1 of 1 | approved by ben; nobody of team:sec approved");
    assert_snapshot!(rule(all, reviews(vec![approved("cleo")])), @r"pass approvals 1 of 1 | approved by cleo");
    assert_snapshot!(rule(Approvals::plain(1), |case| case.facts.roles.clear()), @r"fail approvals 0 of 1 | not counted: ben (whether that is role:write could not be read)");
}

#[test]
fn ones_own_work() {
    let own = |flags: (bool, bool), author: &str, pushers: Fact<Pushers>| {
        let asked = Approvals { not_author: flags.0, not_pusher: flags.1, ..Approvals::plain(1) };
        let author = author.to_owned();
        rule(asked, |case| {
            case.facts.author = author;
            case.facts.pushers = pushers;
        })
    };
    let last = |login: &str| Fact::Is(Pushers::Last(login.to_owned()));
    let committers = |names: &[&str], unknown: Vec<_>| {
        Fact::Is(Pushers::Committers { logins: names.iter().map(|name| (*name).to_owned()).collect(), unknown })
    };
    assert_snapshot!(own((true, true), "Ben", last("ana")), @r"pending approvals 0 of 1 | not counted: ben (the author)");
    assert_snapshot!(own((false, true), "ben", last("ana")), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(own((true, true), "ana", last("ben")), @r"pending approvals 0 of 1 | not counted: ben (pushed the head)");
    assert_snapshot!(own((true, false), "ana", last("ben")), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(own((true, true), "ana", committers(&["ana", "ben"], Vec::new())), @r"pending approvals 0 of 1 | not counted: ben (has a commit in it, and who pushed is not known)");
    assert_snapshot!(own((true, true), "ana", committers(&["ana"], Vec::new())), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(own((true, true), "ana", committers(&["ana"], vec![sha('d')])), @r"fail approvals 0 of 1 | not counted: ben (who pushed is not known, and ddddddd belongs to no account)");
    assert_snapshot!(own((true, true), "ana", Fact::Unreadable("the App lacks a permission".to_owned())), @r"fail approvals 0 of 1 | not counted: ben (who pushed is not known: the App lacks a permission)");
    assert_snapshot!(own((true, false), "ana", Fact::NotAsked), @r"pass approvals 1 of 1 | approved by ben");
}

#[test]
fn an_approval_is_for_what_was_seen() {
    let one = |head: char, fingerprint: &str, minutes: i64| Shown {
        head: sha(head),
        fingerprint: fingerprint.to_owned(),
        at: at(minutes),
    };
    let seen = |all: Vec<Shown>, given: Review| {
        rule(Approvals::plain(1), |case| {
            case.shown = all;
            case.facts.reviews = Fact::Is(vec![given]);
        })
    };
    let ben = |commit, minutes| review(1, "ben", ReviewState::Approved, commit, minutes);
    // For an older head with the same plan; the twin had another.
    assert_snapshot!(seen(vec![one('c', "F1", 1), one('a', "F1", 5)], ben('c', 2)), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(seen(vec![one('c', "F0", 1), one('a', "F1", 5)], ben('c', 2)), @r"pending approvals 0 of 1 | not counted: ben (for another plan, at ccccccc)");
    // Planned again at the same head: only who saw the new one counts.
    assert_snapshot!(seen(vec![one('a', "F0", 1), one('a', "F1", 5)], ben('a', 2)), @r"pending approvals 0 of 1 | not counted: ben (for another plan, at aaaaaaa)");
    assert_snapshot!(seen(vec![one('a', "F0", 1), one('a', "F1", 5)], ben('a', 6)), @r"pass approvals 1 of 1 | approved by ben");
    // Earlier than any plan: for the first of its commit.
    assert_snapshot!(seen(vec![one('a', "F1", 5)], ben('a', 1)), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(seen(vec![one('a', "F0", 5), one('a', "F1", 9)], ben('a', 1)), @r"pending approvals 0 of 1 | not counted: ben (for another plan, at aaaaaaa)");
    // A commit whose plan nobody saw, or that is gone.
    assert_snapshot!(seen(vec![one('a', "F1", 5)], ben('d', 6)), @r"pending approvals 0 of 1 | not counted: ben (for ddddddd, of which no plan of this stack was shown)");
    assert_snapshot!(seen(vec![one('a', "F1", 5)], Review { commit: None, ..ben('a', 6) }), @r"pending approvals 0 of 1 | not counted: ben (for a commit that is not known any more)");
    let latest = Approvals { on_latest_push: true, ..Approvals::plain(1) };
    let older = |case: &mut Case| {
        case.shown = vec![one('c', "F1", 1), one('a', "F1", 5)];
        case.facts.reviews = Fact::Is(vec![ben('c', 6)]);
    };
    assert_snapshot!(rule(latest.clone(), older), @r"pending approvals 0 of 1 | not counted: ben (for ccccccc, not for the newest push)");
    assert_snapshot!(rule(latest, |_| {}), @r"pass approvals 1 of 1 | approved by ben");
}

fn checks(asked: &[&str], change: impl FnOnce(&mut GateFacts)) -> String {
    let ignore = asked.iter().map(|glob| (*glob).to_owned()).collect();
    let mut case = Case::asking(&[Requirement::ChecksPassed(ChecksPassed { ignore })]);
    change(&mut case.facts);
    shown(&case.judge(), "checks-passed")
}

fn check(context: &str, app: Option<i64>, state: CheckState) -> CheckFact {
    CheckFact { context: context.to_owned(), app, state }
}

fn required(context: &str, app: Option<i64>) -> Fact<Vec<RequiredCheck>> {
    Fact::Is(vec![RequiredCheck { context: context.to_owned(), app }])
}

#[test]
fn required_checks_must_pass() {
    use CheckState::{Failed, Passed, Running};
    let with = |wanted: (&str, Option<i64>), found: Vec<CheckFact>| {
        checks(&["codecov/*"], |facts| {
            facts.required = required(wanted.0, wanted.1);
            facts.checks = Fact::Is(found);
        })
    };
    assert_snapshot!(checks(&[], |_| {}), @r"pass other checks | 2 required checks passed");
    assert_snapshot!(with(("test", None), Vec::new()), @r"pending other checks | `test` is missing");
    assert_snapshot!(with(("test", None), vec![check("test", None, Running)]), @r"pending other checks | `test` is not ended");
    assert_snapshot!(with(("test", None), vec![check("test", None, Failed)]), @r"fail other checks | `test` failed");
    assert_snapshot!(with(("test", None), vec![check("test", None, Passed), check("test", Some(1), Failed)]), @r"fail other checks | `test` failed");
    // Pinned to an App: another's does not count, nor does a status.
    assert_snapshot!(with(("test", Some(5)), vec![check("test", Some(6), Passed), check("test", None, Passed)]), @r"pending other checks | `test` is missing");
    assert_snapshot!(with(("test", Some(5)), vec![check("test", Some(5), Passed), check("test", Some(6), Failed)]), @r"pass other checks | 1 required check passed");
    // Our own answer is not waited for, another App's of that name is; everything else of ours is too.
    assert_snapshot!(with(("buildit/apply", Some(99)), Vec::new()), @r"pass other checks | nothing else is required");
    assert_snapshot!(with(("buildit/apply", Some(6)), Vec::new()), @r"pending other checks | `buildit/apply` is missing");
    assert_snapshot!(with(("buildit/plan", None), Vec::new()), @r"pending other checks | `buildit/plan` is missing");
    assert_snapshot!(with(("codecov/patch", None), Vec::new()), @r"pass other checks | nothing else is required");
    assert_snapshot!(with(("codecov", None), Vec::new()), @r"pending other checks | `codecov` is missing");
    assert_snapshot!(checks(&[], |facts| facts.required = Fact::Unreadable("403".to_owned())), @r"fail other checks | not known: 403");
    assert_snapshot!(checks(&[], |facts| facts.checks = Fact::NotAsked), @r"fail other checks | not known: it was not read");
}

#[test]
fn what_is_wrong_with_the_protection_is_said() {
    let with = |protected, wanted| {
        let mut facts = super::facts();
        (facts.protected, facts.required) = (protected, wanted);
        warnings(&facts, Some(99)).join("\n")
    };
    assert_eq!(with(Fact::Is(true), required("buildit/apply", Some(99))), "");
    assert_eq!(with(Fact::Is(true), required("test", None)), "");
    assert_snapshot!(with(Fact::Is(false), required("buildit/apply", None)), @r"
    `main` is not protected: whoever may push can change what it asks for
    `buildit/apply` is required, but not from this App: choose BuildIt as its source in the rule
    ");
    assert_snapshot!(with(Fact::Is(true), required("buildit/plan", Some(7))), @r"`buildit/plan` is required, but not from this App: choose BuildIt as its source in the rule");
}

#[test]
fn code_owners_need_a_rule_and_a_verdict() {
    let with = |rule: Fact<bool>, decision: Fact<Option<Decision>>| {
        let mut case = Case::asking(&[Requirement::Codeowners]);
        (case.facts.code_owner_rule, case.facts.decision) = (rule, decision);
        shown(&case.judge(), "codeowners")
    };
    assert_snapshot!(with(Fact::Is(true), Fact::Is(Some(Decision::Approved))), @r"pass code owners | the code owners approved");
    assert_snapshot!(with(Fact::Is(true), Fact::Is(Some(Decision::ReviewRequired))), @r"pending code owners | a code owner's review is missing");
    assert_snapshot!(with(Fact::Is(true), Fact::Is(Some(Decision::ChangesRequested))), @r"fail code owners | changes are requested");
    assert_snapshot!(with(Fact::Is(true), Fact::Is(None)), @r"fail code owners | GitHub gives no verdict on the reviews");
    assert_snapshot!(with(Fact::Is(false), Fact::Is(Some(Decision::Approved))), @r#"fail code owners | no rule of `main` asks for it: turn on "Require review from Code Owners" for that branch"#);
    let lacks = "give the App the permission administration: read".to_owned();
    assert_snapshot!(with(Fact::Unreadable(lacks), Fact::Is(Some(Decision::Approved))), @r"fail code owners | not known: give the App the permission administration: read");
}

#[test]
fn what_always_holds() {
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::asking(&[Requirement::Approvals(Approvals::plain(0))]);
        change(&mut case);
        case.judge().unmet().map(|gate| format!("{:?} {gate}", gate.outcome)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(with(&|_| {}), "");
    assert_snapshot!(with(&|case| case.facts.mergeable = None), @r"Pending no conflicts: GitHub is still computing whether it merges");
    assert_snapshot!(with(&|case| case.facts.mergeable = Some(false)), @r"Fail no conflicts: it conflicts with its base");
    assert_snapshot!(with(&|case| case.facts.draft = true), @r"Fail no conflicts: the pull request is a draft");
    assert_snapshot!(with(&|case| case.facts.state = PullState::Closed), @r"Fail no conflicts: the pull request is closed");
    assert_snapshot!(with(&|case| case.frozen = Some("frozen by ana: release day".to_owned())), @r"Fail not frozen: frozen by ana: release day");
    assert_snapshot!(with(&|case| case.trusted = false), @r"Fail trusted branch: `main` is not a trusted branch: nothing is applied into it");
    assert_snapshot!(with(&|case| case.waits_for = vec![StackName::parse("dns").expect("a name")]), @r"Pending stacks before it: `dns` must be applied first");
    assert_snapshot!(with(&|case| case.base_error = Some("unknown node `aproval`".to_owned())), @r"Fail configuration: the base's own `.buildit/` has errors, so what it asks for is not known: unknown node `aproval`");
    assert_snapshot!(with(&|case| case.facts.head = sha('e')), @r"
    Pending no conflicts: what GitHub says of it is being read
    Pending other checks: what GitHub says of it is being read
    Pending undiverged: what GitHub says of it is being read
    ");
    // Retargeted since: another branch's rules are no answer.
    let elsewhere = with(&|case| case.facts.base_branch = "release/1".to_owned());
    assert_eq!(elsewhere, with(&|case| case.facts.head = sha('e')));
}

#[test]
fn the_base_may_move_where_nobody_looks() {
    let with = |scope, moved: bool, touching: &[&str]| {
        let mut case = Case::asking(&[Requirement::Undiverged(scope)]);
        let touching = touching.iter().map(|text| (*text).to_owned()).collect();
        case.divergence = Fact::Is(Divergence { moved: moved.then(|| (sha('b'), sha('c'))), touching });
        shown(&case.judge(), "undiverged")
    };
    assert_snapshot!(with(Scope::Stack, false, &[]), @r"pass up to date with `main` | nothing came into the base since the plan");
    assert_snapshot!(with(Scope::Stack, true, &[]), @r"pass up to date with `main` | what came into the base since the plan does not concern the stack");
    assert_snapshot!(with(Scope::Stack, true, &["`modules/vpc/main.tf` (module ../../modules/vpc)"]), @r"fail up to date with `main` | the base changed since the plan: `modules/vpc/main.tf` (module ../../modules/vpc)");
    assert_snapshot!(with(Scope::Repository, true, &[]), @r"fail up to date with `main` | the base moved from bbbbbbb to ccccccc since the plan");
    assert_snapshot!(with(Scope::Repository, false, &[]), @r"pass up to date with `main` | nothing came into the base since the plan");
    let mut case = Case::asking(&[]);
    case.divergence = Fact::Unreadable("git could not fetch".to_owned());
    assert_snapshot!(shown(&case.judge(), "undiverged"), @r"fail up to date with `main` | not known: git could not fetch");
}

#[test]
fn conversations_signatures_windows_costs() {
    let window = |cron: &str| Window { cron: cron.to_owned(), seconds: 3600, tz: "Europe/Paris".to_owned() };
    let windows =
        |crons: &[&str]| Requirement::Windows(Windows { any: crons.iter().map(|cron| window(cron)).collect() });
    let with = |item: Requirement, change: &dyn Fn(&mut GateFacts)| {
        let mut case = Case::asking(std::slice::from_ref(&item));
        change(&mut case.facts);
        shown(&case.judge(), item.name())
    };
    assert_snapshot!(with(Requirement::ConversationResolved, &|_| {}), @r"pass conversations | every conversation is resolved");
    assert_snapshot!(with(Requirement::ConversationResolved, &|facts| facts.unresolved = Fact::Is(2)), @r"pending conversations | 2 conversations are not resolved");
    assert_snapshot!(with(Requirement::ConversationResolved, &|facts| facts.unresolved = Fact::NotAsked), @r"fail conversations | not known: it was not read");
    assert_snapshot!(with(Requirement::Signed, &|_| {}), @r"pass signatures | every commit has a verified signature");
    let unsigned = |count: usize| vec![Unsigned { commit: sha('a'), reason: "unsigned".to_owned() }; count];
    assert_snapshot!(with(Requirement::Signed, &|facts| facts.unsigned = Fact::Is(unsigned(1))), @r"fail signatures | without a verified signature: aaaaaaa (unsigned)");
    assert_snapshot!(with(Requirement::Signed, &|facts| facts.unsigned = Fact::Is(unsigned(4))), @r"fail signatures | without a verified signature: aaaaaaa (unsigned), aaaaaaa (unsigned), aaaaaaa (unsigned), …");
    assert_snapshot!(with(Requirement::Signed, &|facts| facts.unsigned = Fact::NotAsked), @r"fail signatures | not known: it was not read");
    // It is Thursday, 13:20 in Paris.
    assert_snapshot!(with(windows(&["0 13 * * THU"]), &|_| {}), @r"pass window | open until Thu 26 Mar 14:00 Europe/Paris");
    assert_snapshot!(with(windows(&["0 9 * * MON", "0 14 * * *"]), &|_| {}), @r"pending window | closed; it opens Thu 26 Mar 14:00 Europe/Paris");
    assert_snapshot!(with(windows(&["0 0 30 2 *"]), &|_| {}), @r"fail window | closed; it never opens");
    assert_snapshot!(with(Requirement::CostBelow(5.0), &|_| {}), @r"fail cost | this version does not know costs; below 5 is asked for");
    assert_snapshot!(with(Requirement::Policy("cost".to_owned()), &|_| {}), @r"fail policy cost | this version does not evaluate policies; `cost` is asked for");
}

#[test]
fn a_merge_answers_what_only_an_open_pull_request_is_asked() {
    let merged = |case: &mut Case| {
        case.facts.state = PullState::Merged;
        case.facts.mergeable = None;
        case.facts.draft = true;
        case.facts.unresolved = Fact::Is(3);
        case.divergence = Fact::NotAsked;
    };
    let mut case = Case::asking(&[Requirement::ConversationResolved, Requirement::Codeowners]);
    merged(&mut case);
    let judged = case.judge();
    let names: Vec<&str> = judged.gates().iter().map(|gate| gate.name.as_str()).collect();
    assert_eq!(names, ["no-conflicts", "approvals", "codeowners", "checks-passed"]);
    assert!(approve(case.judge()).is_ok());
    // What is read for the head that was merged still counts.
    case.facts.reviews = Fact::Is(Vec::new());
    assert!(approve(case.judge()).is_err());
}

#[test]
fn without_a_pull_request_nothing_holds_unless_pushes_are_applied() {
    let window =
        Windows { any: [Window { cron: "0 13 * * THU".into(), seconds: 3600, tz: "Europe/Paris".into() }].into() };
    let push = |way, more: &[Requirement]| {
        let mut case = Case::asking(&[&[Requirement::Windows(window.clone()), Requirement::Codeowners], more].concat());
        case.way = way;
        case
    };
    let unmet = |case: &Case| {
        let judged = case.judge_with(None);
        judged.unmet().map(|gate| gate.name.clone()).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(unmet(&push(Way::Push, &[])), "no-conflicts, approvals, codeowners, checks-passed, undiverged");
    assert_eq!(unmet(&push(Way::OnPush, &[])), "");
    // What is of the commit, or of the moment, is asked of a push too.
    assert_eq!(unmet(&push(Way::OnPush, &[Requirement::Signed])), "signed");
    let mut late = push(Way::OnPush, &[]);
    late.now = at(120);
    assert_eq!(unmet(&late), "window");
    let frozen = Case { frozen: Some("ana froze applies".to_owned()), ..push(Way::OnPush, &[]) };
    assert_eq!(unmet(&frozen), "not-frozen");
    assert!(approve(push(Way::OnPush, &[]).judge_with(None)).is_ok());
}

#[test]
fn a_program_approves_only_where_it_is_named() {
    let by_bot = |asked: Approvals| {
        rule(asked, |case| {
            let given = Review { bot: true, ..approved("renovate-approve[bot]") };
            case.facts.reviews = Fact::Is(vec![given]);
            case.facts.roles.insert("renovate-approve[bot]".to_owned(), model::pull::Role::Write);
        })
    };
    assert_snapshot!(by_bot(Approvals::plain(1)), @r"pending approvals 0 of 1 | not counted: renovate-approve[bot] (a program)");
    assert_snapshot!(by_bot(from(1, &["*"])), @r"pending approvals 0 of 1 (*) | from *; not counted: renovate-approve[bot] (a program)");
    assert_snapshot!(by_bot(from(1, &["user:renovate-approve[bot]"])), @r"pass approvals 1 of 1 (user:renovate-approve[bot]) | approved by renovate-approve[bot]");
}

#[test]
fn another_base_begins_anew() {
    let since = |minutes: Option<i64>| rule(Approvals::plain(1), |case| case.since = minutes.map(at));
    assert_snapshot!(since(None), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(since(Some(9)), @r"pass approvals 1 of 1 | approved by ben");
    assert_snapshot!(since(Some(11)), @r"pending approvals 0 of 1 | not counted: ben (given before the pull request went into `main`)");
}

#[test]
fn whoever_asks_for_what_differs_approves_it() {
    let by = |login: &'static str, asked: Approvals| {
        rule(asked, |case| {
            case.shown = vec![Shown { head: sha('a'), fingerprint: "F0".to_owned(), at: at(5) }];
            case.word = Some(Asked { login, bot: false, role: Some(model::pull::Role::Write), at: at(15) });
        })
    };
    assert_snapshot!(by("dan", Approvals::plain(1)), @r"pass approvals 1 of 1 | approved by dan, who asked for it; not counted: ben (for another plan, at aaaaaaa)");
    // Their own work they cannot approve so either, nor for others who must.
    assert_snapshot!(by("ana", Approvals::plain(1)), @r"pending approvals 0 of 1 | not counted: ana (the author), ben (for another plan, at aaaaaaa)");
    assert_snapshot!(by("dan", Approvals::plain(2)), @r"pending approvals 1 of 2 | approved by dan, who asked for it; not counted: ben (for another plan, at aaaaaaa)");
    assert_snapshot!(by("dan", from(1, &["team:sre"])), @r"pending approvals 0 of 1 (team:sre) | from team:sre; not counted: ben (for another plan, at aaaaaaa), dan (not team:sre)");
    // What is within a reviewed plan was reviewed.
    let within = rule(Approvals::plain(1), |case| {
        case.shown = vec![Shown { head: sha('a'), fingerprint: "F0".to_owned(), at: at(5) }];
        case.within = Some("F0");
    });
    assert_snapshot!(within, @r"pass approvals 1 of 1 | approved by ben");
}
