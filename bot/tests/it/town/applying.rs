//! Applies: what is asked for, what holds it back, and what follows.

use fake_github::{Fault, Rules, Verdict};

use super::{Plan, SHOP, Town, main_tf, story};

const ON_COMMENT: &str = "discover\ndefaults {\n    apply on=comment\n}\n";
const ON_MERGE: &str = "discover\n";

/// Two empty stacks that are applied when someone asks, or on merge.
fn stacks(config: &str, scenario: impl Fn(&mut Town)) -> String {
    let empty = main_tf(&[], "");
    let files = [(".buildit/stacks.kdl", config), ("network/main.tf", &*empty), ("cache/main.tf", &*empty)];
    story(&Plan { files: &files, slots: 4 }, scenario)
}

/// Ana's pull request that gives both stacks a resource.
fn grow(town: &mut Town, branch: &str, value: &str) -> u64 {
    let files =
        [("network/main.tf", &*main_tf(&[("vpc", value)], "")), ("cache/main.tf", &*main_tf(&[("redis", value)], ""))];
    let number = town.open(branch, "Grow", &files);
    town.settle();
    number
}

/// Ben's word, some time after what he read.
fn approve(town: &mut Town, number: u64) {
    town.advance(2);
    town.double.review(SHOP, number, "ben", Verdict::Approve, "Fine.").expect("a review");
    town.settle();
}

fn say(town: &mut Town, number: u64, author: &str, body: &str) {
    town.say(number, author, body);
    town.settle();
    let made = town.reality.told();
    town.note(&format!("{author}: {body:?}; made: {made}"));
}

#[test]
fn a_comment_applies_what_was_reviewed_and_the_merge_lets_go() {
    let told = stacks(ON_COMMENT, |town| {
        let number = grow(town, "topic", "a");
        say(town, number, "ana", "buildit apply");
        approve(town, number);
        town.tell("approved");
        say(town, number, "ana", "buildit apply");
        town.tell("applied");
        town.double.merge(SHOP, number, "ana").expect("merged");
        town.settle();
        town.tell("merged");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_branch_may_require_our_own_plan_check() {
    let told = stacks(ON_COMMENT, |town| {
        let required = Rules::checks(&[("buildit/plan", Some(7)), ("buildit/apply", Some(7))]);
        town.double.protect(SHOP, "main", required).expect("a rule");
        let number = grow(town, "topic", "a");
        // Nobody tells us of our own checks, and nobody asks here.
        assert!(town.shown().contains("✅ other checks: 1 required check passed"), "{}", town.shown());
        check(town, number, APPLY);
        town.commit("topic", "Slip", &[("cache/main.tf", "# town: init fails\n")]);
        town.settle();
        check(town, number, APPLY);
        town.commit("topic", "Mend", &[("cache/main.tf", &main_tf(&[("redis", "b")], ""))]);
        town.settle();
        approve(town, number);
        check(town, number, APPLY);
        say(town, number, "ana", "buildit apply");
        merge(town, number);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_merge_applies_what_was_reviewed() {
    let told = stacks(ON_MERGE, |town| {
        let number = grow(town, "topic", "a");
        say(town, number, "ana", "buildit apply");
        approve(town, number);
        town.tell("approved");
        town.double.merge(SHOP, number, "ana").expect("merged");
        town.settle();
        town.note(&town.reality.told());
        town.tell("merged");
    });
    insta::assert_snapshot!(told);
}

/// Merges, and notes what was made by it.
fn merge(town: &mut Town, number: u64) {
    town.double.merge(SHOP, number, "ana").expect("merged");
    town.settle();
    let made = town.reality.told();
    town.note(&format!("merged {number}; made: {made}"));
}

/// The title of a check, and what its summary begins with.
fn check(town: &mut Town, number: u64, name: &str) {
    let shown = town.shown();
    let pull = shown.split("== acme/shop#").find(|part| part.starts_with(&format!("{number} "))).unwrap_or_default();
    let check = pull.split("-- check ").filter(|part| part.starts_with(&format!("{name} at "))).last();
    let lines: Vec<&str> = check.unwrap_or("none").lines().take(5).map(str::trim).collect();
    town.note(&lines.join(" | "));
}

const APPLY: &str = "buildit/apply";

#[test]
fn only_those_who_may_apply_only_what_is_ready() {
    let config = "discover\ndefaults {\n    apply on=comment\n}\naccess {\n    allow apply { who user:ben }\n}\n";
    let told = stacks(config, |town| {
        let number = grow(town, "topic", "a");
        say(town, number, "ben", "buildit apply");
        town.double.review(SHOP, number, "ana", Verdict::Approve, "Mine.").ok();
        approve(town, number);
        say(town, number, "ana", "buildit apply");
        say(town, number, "eve", "buildit apply");
        say(town, number, "ben", "> buildit apply");
        say(town, number, "ben", "buildit apply -p nothing");
        say(town, number, "ben", "buildit apply -p network --target x");
        say(town, number, "ben", "buildit apply -p network");
        say(town, number, "ben", "buildit apply");
        say(town, number, "ben", "buildit apply");
        town.tell("applied");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_push_takes_back_what_was_approved_unless_it_would_do_the_same() {
    let told = stacks(ON_COMMENT, |town| {
        let number = grow(town, "topic", "a");
        approve(town, number);
        town.commit("topic", "Words", &[("README.md", "# words\n")]);
        town.settle();
        check(town, number, APPLY);
        town.commit("topic", "Comment", &[("cache/main.tf", &main_tf(&[("redis", "a")], "# a comment\n"))]);
        town.settle();
        check(town, number, APPLY);
        town.commit("topic", "More", &[("cache/main.tf", &main_tf(&[("redis", "b")], ""))]);
        town.settle();
        check(town, number, APPLY);
        say(town, number, "ana", "buildit apply");
        approve(town, number);
        say(town, number, "ana", "buildit apply");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_shown_again_can_be_approved_again() {
    let told = grown_stacks(ON_COMMENT, |town| {
        let number = change(town, "one", &[("redis", "1")]);
        check(town, number, APPLY);
        // The base brings something of its own, and takes it back.
        for disk in ["5", "0"] {
            let [_, cache] = grown(&[("disk", disk)]);
            town.commit("main", "By hand", &[(cache.0, &cache.1)]);
            town.settle();
            approve(town, number);
            check(town, number, APPLY);
        }
        say(town, number, "ana", "buildit apply");
    });
    insta::assert_snapshot!(told);
}

/// Two applied stacks in which pull requests can change different things: `changed` of these, the rest as it was.
fn grown(changed: &[(&str, &str)]) -> [(&'static str, String); 2] {
    let of = |names: &[&'static str]| {
        let value = |name: &&'static str| changed.iter().find(|it| it.0 == *name).map_or("0", |it| it.1);
        let there: String = names.iter().map(|name| format!("# state: {name}=0\n")).collect();
        main_tf(&names.iter().map(|name| (*name, value(name))).collect::<Vec<_>>(), &there)
    };
    [("network/main.tf", of(&["vpc", "dns", "nat", "vpn"])), ("cache/main.tf", of(&["redis", "disk", "users", "tls"]))]
}

/// As `stacks`, with something in them.
fn grown_stacks(config: &str, scenario: impl Fn(&mut Town)) -> String {
    let [network, cache] = grown(&[]);
    let files = [(".buildit/stacks.kdl", config), (network.0, &*network.1), (cache.0, &*cache.1)];
    story(&Plan { files: &files, slots: 4 }, scenario)
}

/// Ana's pull request of these changes.
fn change(town: &mut Town, branch: &str, changed: &[(&str, &str)]) -> u64 {
    let files = grown(changed);
    let number = town.open(branch, branch, &[(files[0].0, &*files[0].1), (files[1].0, &*files[1].1)]);
    town.settle();
    approve(town, number);
    number
}

#[test]
fn pull_requests_wait_in_line_for_a_lock() {
    let told = grown_stacks(ON_COMMENT, |town| {
        let first = change(town, "one", &[("vpc", "1")]);
        let second = change(town, "two", &[("nat", "2"), ("redis", "2")]);
        let third = change(town, "three", &[("vpn", "3"), ("users", "3")]);
        say(town, first, "ana", "buildit apply -p network");
        check(town, second, APPLY);
        say(town, second, "ana", "buildit apply -p network");
        say(town, third, "ana", "buildit apply -p network -p cache");
        check(town, second, APPLY);
        check(town, third, APPLY);
        // The cache is free, and whoever waits for both must not starve.
        say(town, second, "ana", "buildit apply -p cache");
        town.double.merge(SHOP, first, "ana").expect("merged");
        town.settle();
        let made = town.reality.told();
        town.note(&format!("the first is merged; made: {made}"));
        check(town, second, APPLY);
        check(town, third, APPLY);
        say(town, second, "ana", "buildit unlock");
        check(town, third, APPLY);
        say(town, first, "ana", "buildit unlock");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn merged_pull_requests_are_served_in_the_order_of_their_merges() {
    let told = stacks(ON_MERGE, |town| {
        let waits = "# town: apply waits\n";
        let one = town.open("one", "One", &[("network/main.tf", &main_tf(&[("vpc", "a")], waits))]);
        town.settle();
        let two = town.open("two", "Two", &[("cache/main.tf", &main_tf(&[("redis", "a")], ""))]);
        town.settle();
        approve(town, one);
        approve(town, two);
        merge(town, one);
        check(town, one, APPLY);
        // While the first is being applied, a second that changes the same stack is merged, and one that does not.
        let files = [("network/main.tf", &*main_tf(&[("vpc", "a"), ("dns", "a")], ""))];
        let three = town.open("three", "Three", &files);
        town.settle();
        approve(town, three);
        merge(town, two);
        merge(town, three);
        check(town, three, APPLY);
        for job in town.jobs.running() {
            town.jobs.release(&job);
        }
        town.settle();
        let made = town.reality.told();
        town.note(&format!("the first has ended; made: {made}"));
        for number in [one, two, three] {
            check(town, number, APPLY);
        }
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_differs_after_the_merge_asks() {
    let told = grown_stacks(ON_MERGE, |town| {
        // Two change the same stack; the second is merged when the first was, and before its new plan was seen.
        let first = change(town, "one", &[("vpc", "1")]);
        let second = change(town, "two", &[("nat", "2")]);
        town.double.merge(SHOP, first, "ana").expect("merged");
        town.double.merge(SHOP, second, "ana").expect("merged");
        town.settle();
        let made = town.reality.told();
        town.note(&format!("both are merged; made: {made}"));
        check(town, first, APPLY);
        check(town, second, APPLY);
        town.tell("the second asks");
        say(town, second, "eve", "buildit apply -p network");
        say(town, second, "ben", "buildit apply -p network");
        check(town, second, APPLY);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn an_apply_that_fails_half_way_shows_what_is_left() {
    let told = stacks(ON_COMMENT, |town| {
        let fails = main_tf(&[("a", "1"), ("b", "1")], "# town: apply fails\n");
        let number = town.open("topic", "Grow", &[("network/main.tf", &fails)]);
        town.settle();
        approve(town, number);
        say(town, number, "ana", "buildit apply");
        town.tell("it failed half way");
        town.commit("topic", "Mend", &[("network/main.tf", &main_tf(&[("a", "1"), ("b", "1")], ""))]);
        town.settle();
        check(town, number, APPLY);
        approve(town, number);
        say(town, number, "ana", "buildit apply");
        check(town, number, APPLY);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn an_apply_that_somebody_stops_shows_what_is_left() {
    let told = stacks(ON_COMMENT, |town| {
        let hangs = main_tf(&[("a", "1")], "# town: apply hangs\n");
        let number = town.open("topic", "Grow", &[("network/main.tf", &hangs)]);
        town.settle();
        approve(town, number);
        say(town, number, "ana", "buildit apply");
        check(town, number, APPLY);
        let plans = town.jobs.started().len();
        say(town, number, "ana", "buildit cancel");
        town.tell("it was stopped");
        assert_eq!(town.jobs.started().len(), plans + 1, "what is left is planned");
        say(town, number, "ana", "buildit unlock");
        check(town, number, APPLY);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_failed_apply_on_merge_is_discarded_or_asked_for_again() {
    let told = stacks(ON_MERGE, |town| {
        let fails = main_tf(&[("a", "1"), ("b", "1")], "# town: apply fails\n");
        let number = town.open("topic", "Grow", &[("network/main.tf", &fails)]);
        town.settle();
        approve(town, number);
        merge(town, number);
        check(town, number, APPLY);
        // What is merged behind it waits.
        let other = town.open("mend", "Mend", &[("network/main.tf", &main_tf(&[("a", "1"), ("c", "1")], ""))]);
        town.settle();
        approve(town, other);
        merge(town, other);
        check(town, other, APPLY);
        say(town, number, "eve", "buildit discard -p network \"no quota\"");
        say(town, number, "ana", "buildit discard -p network \"no quota\"");
        check(town, number, APPLY);
        check(town, other, APPLY);
        say(town, other, "ana", "buildit apply -p network");
        check(town, other, APPLY);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_vanished_apply_is_lost_and_frozen_until_someone_looks() {
    let told = stacks(ON_COMMENT, |town| {
        let waits = main_tf(&[("a", "1")], "# town: apply waits\n");
        let number = town.open("topic", "Grow", &[("network/main.tf", &waits)]);
        town.settle();
        approve(town, number);
        say(town, number, "ana", "buildit apply");
        check(town, number, APPLY);
        for job in town.jobs.running() {
            town.jobs.vanish(&job);
        }
        town.settle();
        town.tell("its worker vanished");
        say(town, number, "ana", "buildit apply");
        say(town, number, "ana", "buildit unlock");
        say(town, number, "ben", "buildit approve lost -p network");
        say(town, number, "ana", "buildit approve lost -p network");
        check(town, number, "buildit/plan");
        check(town, number, APPLY);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_pull_request_merges_itself_once_all_of_it_is_applied() {
    let config = "discover\ndefaults {\n    apply on=comment { automerge squash }\n}\n";
    let told = grown_stacks(config, |town| {
        let first = change(town, "one", &[("vpc", "1"), ("redis", "1")]);
        say(town, first, "ana", "buildit apply -p network");
        check(town, first, APPLY);
        // GitHub does not want it yet; it is asked again.
        town.double
            .fail_next("PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge", 1, Fault::BadGateway)
            .expect("a route");
        say(town, first, "ana", "buildit apply");
        town.advance(60);
        town.tell("merged");
        let second = change(town, "two", &[("dns", "2")]);
        say(town, second, "ana", "buildit apply --no-merge");
        town.tell("not merged");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_push_that_nobody_reviewed_asks_in_an_issue() {
    let told = grown_stacks(ON_MERGE, |town| {
        let first = change(town, "one", &[("vpc", "1")]);
        let [network, _] = grown(&[("dns", "2")]);
        town.commit("main", "By hand", &[(network.0, &network.1)]);
        town.settle();
        town.tell("pushed");
        town.commit("main", "Words", &[("network/words.md", "# words\n")]);
        town.settle();
        town.double.close_pull(SHOP, first, "ana").expect("closed");
        town.settle();
        let made = town.reality.told();
        town.note(&format!("made: {made}"));
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_push_is_applied_where_the_configuration_says_so() {
    let config =
        "discover\ndefaults {\n    apply on=push\n    require { approvals 0; checks-passed { ignore \"*\" } }\n}\n";
    let told = grown_stacks(config, |town| {
        let first = change(town, "one", &[("vpc", "1")]);
        let [network, _] = grown(&[("dns", "2")]);
        town.commit("main", "By hand", &[(network.0, &network.1)]);
        town.settle();
        let made = town.reality.told();
        town.note(&format!("made: {made}"));
        check(town, first, APPLY);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_stack_that_is_ahead_warns_others_and_keeps_its_lock() {
    let told = grown_stacks(ON_COMMENT, |town| {
        let first = change(town, "one", &[("vpc", "1")]);
        let second = change(town, "two", &[("vpc", "2"), ("nat", "2")]);
        say(town, first, "ana", "buildit apply -p network");
        town.double.close_pull(SHOP, first, "ana").expect("closed");
        town.settle();
        town.tell("closed, and ahead");
        say(town, first, "ana", "buildit unlock");
        say(town, second, "ana", &format!("buildit unlock {first}"));
        say(town, second, "ana", &format!("buildit unlock {first} --accept-ahead"));
        check(town, second, APPLY);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn force_skips_requirements_but_neither_locks_nor_plans() {
    let config = "discover\ndefaults {\n    apply on=comment\n}\naccess {\n    allow force-apply { who user:ben }\n}\n";
    let told = grown_stacks(config, |town| {
        let files = grown(&[("vpc", "1")]);
        let number = town.open("one", "one", &[(files[0].0, &*files[0].1), (files[1].0, &*files[1].1)]);
        town.settle();
        town.advance(2);
        say(town, number, "ana", "buildit force-apply -p network --reason \"it burns\"");
        say(town, number, "ben", "buildit force-apply --reason \"it burns\"");
        say(town, number, "ben", "buildit force-apply -p network --reason \"it burns\"");
        check(town, number, APPLY);
        let other = change(town, "two", &[("nat", "2")]);
        say(town, other, "ben", "buildit force-apply -p network --reason \"it burns\"");
        town.tell("at the end");
    });
    insta::assert_snapshot!(told);
}
