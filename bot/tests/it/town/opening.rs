//! Opening a pull request: what is planned, and what is said when nothing is.

use fake_github::{Change, NewPull};

use super::{Plan, SHOP, Town, main_tf, story};

const EMPTY: &str = "terraform {\n  backend \"local\" {}\n}\n";

/// Two stacks with nothing in them.
pub(crate) const FILES: [(&str, &str); 4] = [
    (".buildit/stacks.kdl", "discover\n"),
    ("README.md", "# shop\n"),
    ("network/main.tf", EMPTY),
    ("cache/main.tf", EMPTY),
];

pub(crate) fn two_stacks(scenario: impl Fn(&mut Town)) -> String {
    story(&Plan { files: &FILES, slots: 4 }, scenario)
}

fn vpc() -> String {
    main_tf(&[("vpc", "10.0.0.0/16")], "")
}

#[test]
fn two_stacks_get_checks_and_one_comment() {
    let told = two_stacks(|town| {
        let cache = main_tf(&[("redis", "small"), ("disk", "1")], "# state: disk=2\n# state: old=x\n");
        town.open("cache", "Add a cache", &[("network/main.tf", &vpc()), ("cache/main.tf", &cache)]);
        town.settle();
        town.tell("opened");
        assert_eq!(town.jobs.started().len(), 2);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_configuration_error_is_annotated_on_its_line() {
    let told = two_stacks(|town| {
        let config = "discover\nstack \"network\" {\n    path \"network\"\n    aproval 1\n}\n";
        town.open("typo", "Tidy up", &[(".buildit/stacks.kdl", config), ("network/main.tf", &vpc())]);
        town.settle();
        town.tell("opened");
        assert!(town.jobs.started().is_empty(), "nothing runs on a broken configuration");
        town.commit("typo", "Mend it", &[(".buildit/stacks.kdl", "discover\n")]);
        town.settle();
        town.tell("mended");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn nothing_of_a_fork_runs() {
    let told = two_stacks(|town| {
        let fork = town.double.create_fork(SHOP, "eve").expect("a fork");
        let change = [Change::write("network/main.tf", vpc())];
        town.double.commit_files(&fork, "vpc", "eve", "Add a network", &change).expect("a commit");
        let pull = NewPull {
            title: "Add a network".into(),
            head: "eve:vpc".into(),
            base: "main".into(),
            ..NewPull::default()
        };
        let number = town.open_as("eve", &pull);
        town.settle();
        town.tell("opened");
        town.say(number, "ben", "buildit plan");
        town.settle();
        town.tell("a writer asks for a plan");
        assert!(town.jobs.started().is_empty());
    });
    insta::assert_snapshot!(told);
}

#[test]
fn nothing_runs_into_an_untrusted_branch() {
    let told = two_stacks(|town| {
        town.commit("dev", "Begin", &[("README.md", "# dev\n")]);
        town.commit("vpc", "Add a network", &[("network/main.tf", &vpc())]);
        let pull = NewPull { title: "Add".into(), head: "vpc".into(), base: "dev".into(), ..NewPull::default() };
        let number = town.open_as("ana", &pull);
        town.settle();
        town.tell("into dev");
        assert!(town.jobs.started().is_empty());
        town.double.change_base(SHOP, number, "ana", "main").expect("another base");
        town.settle();
        town.tell("into main");
        assert_eq!(town.jobs.started().len(), 1);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn an_unaffected_pull_request_succeeds_and_is_not_commented_on() {
    let told = two_stacks(|town| {
        town.open("words", "Better words", &[("README.md", "# The shop\n")]);
        town.settle();
        town.tell("opened");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn no_change_is_said_in_the_check_only() {
    let told = two_stacks(|town| {
        let same = main_tf(&[("vpc", "a")], "# state: vpc=a\n");
        town.open("tidy", "Tidy up", &[("network/main.tf", &same)]);
        town.settle();
        town.tell("opened");
        town.commit("tidy", "Now something", &[("network/main.tf", &main_tf(&[("vpc", "b")], "# state: vpc=a\n"))]);
        town.settle();
        town.commit("tidy", "Nothing after all", &[("network/main.tf", &format!("{same}# again\n"))]);
        town.settle();
        town.tell("changed and changed back: the comment is edited");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_draft_waits_until_it_is_ready() {
    let told = two_stacks(|town| {
        town.commit("vpc", "Add a network", &[("network/main.tf", &vpc())]);
        let pull = NewPull {
            title: "Add a network".into(),
            head: "vpc".into(),
            base: "main".into(),
            draft: true,
            ..NewPull::default()
        };
        let number = town.open_as("ana", &pull);
        town.settle();
        town.tell("a draft");
        assert!(town.jobs.started().is_empty());
        town.double.set_draft(SHOP, number, "ana", false).expect("ready");
        town.settle();
        town.tell("ready");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_repository_without_configuration_hears_nothing() {
    let told = story(&Plan { files: &[("network/main.tf", &vpc())], slots: 4 }, |town| {
        let number = town.open("vpc", "Add", &[("network/main.tf", &main_tf(&[("vpc", "b")], ""))]);
        town.settle();
        town.say(number, "ana", "buildit plan");
        town.settle();
        town.resync();
        town.tell("opened and asked");
        assert!(town.jobs.started().is_empty());
    });
    insta::assert_snapshot!(told, @r"
    #### opened and asked
    == acme/shop#1 Add [open] vpc -> main
    head <head 1> of 1 by ana
    -- comment by ana
        buildit plan
    ");
}

#[test]
fn a_summary_that_was_talked_out_of_sight_is_written_anew_at_the_next_push() {
    let told = two_stacks(|town| {
        let number = town.open("net", "Add a network", &[("network/main.tf", &vpc())]);
        town.settle();
        for line in 1..=19 {
            town.say(number, "ben", &format!("Thought {line}."));
        }
        town.commit("net", "Rename", &[("network/main.tf", &main_tf(&[("vpc", "10.1.0.0/16")], ""))]);
        town.settle();
        town.note(&summaries(&town.shown()));
        town.say(number, "ben", "One more.");
        town.commit("net", "Rename again", &[("network/main.tf", &main_tf(&[("vpc", "10.2.0.0/16")], ""))]);
        town.settle();
        town.note(&summaries(&town.shown()));
    });
    insta::assert_snapshot!(told, @r"
    #### -- comment by buildit[bot]

    #### -- comment by buildit[bot] (edited, minimized as outdated)
    -- comment by buildit[bot]
    ");
}

/// Who said what, in order, in a word.
fn summaries(shown: &str) -> String {
    let comments = shown.lines().filter(|line| line.starts_with("-- comment by buildit"));
    comments.collect::<Vec<_>>().join("\n")
}
