//! Stacks that come before others: what waits, what is skipped, what goes on.

use fake_github::Verdict;

use super::{Plan, SHOP, Town, main_tf, story};

const ORDERED: &str = "defaults {\n    apply on=MODE after-upstream=AFTER\n}\nstack network {\n    path network\n}\n\
                       stack cache {\n    path cache\n    depends-on network\n}\n";

fn stacks(mode: &str, after: &str, scenario: impl Fn(&mut Town)) -> String {
    let config = ORDERED.replace("MODE", mode).replace("AFTER", after);
    let empty = main_tf(&[], "");
    let files = [(".buildit/stacks.kdl", &*config), ("network/main.tf", &*empty), ("cache/main.tf", &*empty)];
    story(&Plan { files: &files, slots: 4 }, scenario)
}

/// Ana's pull request, approved by Ben.
fn open(town: &mut Town, files: &[(&str, &str)]) -> u64 {
    let number = town.open("topic", "Grow", files);
    town.settle();
    town.advance(2);
    town.double.review(SHOP, number, "ben", Verdict::Approve, "Fine.").expect("a review");
    town.settle();
    number
}

fn say(town: &mut Town, number: u64, body: &str) {
    town.say(number, "ana", body);
    town.settle();
    let made = town.reality.told();
    town.note(&format!("ana: {body:?}; made: {made}"));
}

/// The first lines of both aggregates.
fn shown(town: &mut Town, when: &str) {
    let shown = town.shown();
    let checks = shown.split("-- check ").filter(|part| part.starts_with("buildit/") || part.starts_with("plan: "));
    let lines: Vec<String> =
        checks.map(|it| it.lines().take(2).map(str::trim).collect::<Vec<_>>().join(" | ")).collect();
    town.note(&format!("{when}\n{}", lines.join("\n")));
}

fn both() -> [(&'static str, String); 2] {
    [("network/main.tf", main_tf(&[("vpc", "a")], "")), ("cache/main.tf", main_tf(&[("redis", "a")], ""))]
}

#[test]
fn what_depends_is_planned_when_what_it_depends_on_is_applied() {
    let told = stacks("comment", "ask", |town| {
        let [network, cache] = both();
        let number = open(town, &[(network.0, &network.1), (cache.0, &cache.1)]);
        town.tell("opened");
        say(town, number, "buildit apply -p cache");
        say(town, number, "buildit why -p cache");
        say(town, number, "buildit apply");
        shown(town, "the first is applied");
        say(town, number, "buildit apply");
        shown(town, "both are applied");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn it_goes_on_by_itself_where_the_configuration_says_so() {
    let told = stacks("comment", "apply", |town| {
        let [network, cache] = both();
        let number = open(town, &[(network.0, &network.1), (cache.0, &cache.1)]);
        say(town, number, "buildit apply");
        shown(town, "at the end");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_merge_applies_them_in_their_order() {
    let told = stacks("merge", "apply", |town| {
        let [network, cache] = both();
        let number = open(town, &[(network.0, &network.1), (cache.0, &cache.1)]);
        shown(town, "opened");
        town.double.merge(SHOP, number, "ana").expect("merged");
        town.settle();
        let made = town.reality.told();
        town.note(&format!("merged; made: {made}"));
        shown(town, "at the end");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_fails_first_blocks_what_depends_on_it() {
    let told = stacks("comment", "ask", |town| {
        let fails = main_tf(&[("vpc", "a"), ("dns", "a")], "# town: apply fails\n");
        let number = open(town, &[("network/main.tf", &fails), ("cache/main.tf", &both()[1].1)]);
        say(town, number, "buildit apply");
        shown(town, "the first failed");
        town.commit("topic", "Mend", &[("network/main.tf", "# nothing\n")]);
        town.settle();
        shown(town, "mended");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_only_depends_is_skipped_when_nothing_changes_before_it() {
    let told = stacks("comment", "ask", |town| {
        open(town, &[("network/main.tf", &main_tf(&[], "# only a comment\n"))]);
        shown(town, "opened");
        assert_eq!(town.jobs.started().len(), 1, "the one that depends is not planned");
    });
    insta::assert_snapshot!(told);
}
