//! What others do on GitHub is heard of: reviews, checks, statuses, conversations, rules and teams make facts old.

use fake_github::{AppSpec, Rules, Verdict};

use super::{Plan, SHOP, Town, main_tf, story};

const EMPTY: &str = "terraform {\n  backend \"local\" {}\n}\n";
const CI: u64 = 9;

fn town(require: &str, scenario: impl Fn(&mut Town)) {
    let stacks = format!("discover\ndefaults {{\n  require {{ {require} }}\n}}\n");
    let files = [(".buildit/stacks.kdl", stacks.as_str()), ("network/main.tf", EMPTY)];
    story(&Plan { files: &files, slots: 2 }, |town| {
        let app = AppSpec::new(CI, "ci", "", &[("checks", "write")], &[]);
        town.double.create_app(app).expect("an app");
        town.double.install_app(CI, SHOP).expect("installed");
        scenario(town);
    });
}

fn opened(town: &mut Town) -> u64 {
    let number = town.open("topic", "Grow", &[("network/main.tf", &main_tf(&[("vpc", "a")], ""))]);
    town.settle();
    number
}

/// The title of `buildit/apply` at the head.
fn title(town: &mut Town) -> String {
    town.settle();
    let shown = town.double.transcript();
    let mut lines = shown.lines().skip_while(|line| !line.starts_with("-- check buildit/apply"));
    let title = lines.find_map(|line| line.trim().strip_prefix("title: "));
    title.expect("the check is there").to_owned()
}

fn head(town: &Town) -> String {
    town.double.branch(SHOP, "topic").expect("the branch is there")
}

#[test]
fn reviews_are_heard_of() {
    town("approvals 1", |town| {
        let number = opened(town);
        assert_eq!(title(town), "Merging now would not apply: approvals 0 of 1");
        let review = town.double.review(SHOP, number, "ben", Verdict::Approve, "").expect("a review");
        assert_eq!(title(town), "Ready: 1 stack applied on merge");
        town.double.dismiss_review(SHOP, number, review, "ana").expect("dismissed");
        assert_eq!(title(town), "Merging now would not apply: approvals 0 of 1");
        town.double.review(SHOP, number, "eve", Verdict::Approve, "").expect("a review");
        assert_eq!(title(town), "Merging now would not apply: approvals 0 of 1", "a reader's");
    });
}

#[test]
fn checks_statuses_and_rules_are_heard_of() {
    town("approvals 0; checks-passed", |town| {
        opened(town);
        let (ready, waits) = ("Ready: 1 stack applied on merge", "Merging now would not apply: other checks");
        assert_eq!(title(town), ready);
        town.double.protect(SHOP, "main", Rules::checks(&[("test", Some(CI)), ("lint", None)])).expect("protected");
        assert_eq!(title(town), waits, "the rule changed");
        town.double.report_check(SHOP, &head(town), CI, "test", "success").expect("a check");
        town.double.set_status(SHOP, &head(town), "ana", "lint", "success").expect("a status");
        assert_eq!(title(town), ready, "both passed");
        town.double.report_check(SHOP, &head(town), CI, "test", "in_progress").expect("a check");
        assert_eq!(title(town), waits, "it is run again");
        town.double.report_check(SHOP, &head(town), CI, "test", "success").expect("a check");
        town.double.set_status(SHOP, &head(town), "ana", "lint", "failure").expect("a status");
        assert_eq!(title(town), waits, "the status failed");
        town.double.protect(SHOP, "main", Rules::checks(&[("test", Some(CI))])).expect("protected");
        assert_eq!(title(town), ready, "it is not required any more");
        town.double.set_ruleset(SHOP, "r", "~DEFAULT_BRANCH", Rules::checks(&[("scan", None)])).expect("a rule");
        assert_eq!(title(town), waits, "a ruleset");
        town.double.remove_ruleset(SHOP, "r").expect("removed");
        assert_eq!(title(town), ready);
    });
}

#[test]
fn teams_and_conversations_are_heard_of() {
    town("approvals 1 { any-of team:sre }; conversation-resolved", |town| {
        town.double.add_team("acme", "sre", None, &[]).expect("a team");
        let number = opened(town);
        let approvals = "Merging now would not apply: approvals 0 of 1 (team:sre)";
        town.double.review(SHOP, number, "ben", Verdict::Approve, "").expect("a review");
        assert_eq!(title(town), approvals);
        town.double.set_team_member("acme", "sre", "ben", true).expect("a member");
        assert_eq!(title(town), "Ready: 1 stack applied on merge");
        let thread = town.double.open_thread(SHOP, number, "ben", "network/main.tf", 1, "why?").expect("a thread");
        assert_eq!(title(town), "Merging now would not apply: conversations");
        town.double.resolve_thread(SHOP, number, thread, "ana", true).expect("resolved");
        assert_eq!(title(town), "Ready: 1 stack applied on merge");
        town.double.set_team_member("acme", "sre", "ben", false).expect("no member");
        assert_eq!(title(town), approvals);
    });
}

#[test]
fn checks_of_what_we_do_not_know_and_our_own_cost_nothing() {
    town("approvals 0", |town| {
        opened(town);
        let main = town.double.branch(SHOP, "main").expect("the branch is there");
        let before = town.double.requests();
        town.double.report_check(SHOP, &main, CI, "test", "success").expect("a check");
        town.double.set_status(SHOP, &main, "ana", "lint", "success").expect("a status");
        town.double.report_check(SHOP, &head(town), 7, "buildit/extra", "success").expect("a check");
        town.double.set_status(SHOP, &head(town), "buildit[bot]", "buildit/extra", "success").expect("a status");
        town.settle();
        assert_eq!(town.double.requests(), before);
        town.double.report_check(SHOP, &head(town), CI, "test", "success").expect("a check");
        town.settle();
        assert_ne!(town.double.requests(), before, "the twin that is news");
    });
}
