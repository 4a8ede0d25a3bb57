//! What happens less often, and must be said as well.

use fake_github::{Change, NewPull};

use super::opening::two_stacks;
use super::{Plan, SHOP, Town, main_tf, story};

fn vpc(input: &str) -> String {
    main_tf(&[("vpc", input)], "")
}

#[test]
fn a_conflict_names_its_files() {
    let told = two_stacks(|town| {
        town.commit("topic", "Mine", &[("network/main.tf", &vpc("mine"))]);
        town.commit("main", "Theirs", &[("network/main.tf", &vpc("theirs"))]);
        let pull = NewPull { title: "Mine".into(), head: "topic".into(), base: "main".into(), ..NewPull::default() };
        town.open_as("ana", &pull);
        town.settle();
        town.tell("opened");
        assert!(town.jobs.started().is_empty());
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_a_plan_would_need_is_named_and_it_does_not_run() {
    let told = two_stacks(|town| {
        let config = "discover\nstack \"network\" {\n    path \"network\"\n    var {\n        password \"${secrets.DB_PASSWORD}\"\n    }\n}\n";
        town.open("topic", "A secret", &[(".buildit/stacks.kdl", config), ("network/main.tf", &vpc("a"))]);
        town.settle();
        town.tell("opened");
        assert!(town.jobs.started().is_empty());
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_deleted_comment_is_written_anew() {
    let told = two_stacks(|town| {
        let number = town.open("topic", "Grow", &[("network/main.tf", &vpc("a"))]);
        town.settle();
        let ours = town.comments(number, "buildit[bot]");
        town.double.delete_comment(SHOP, *ours.last().expect("a comment"), "ana").expect("deleted");
        town.commit("topic", "More", &[("network/main.tf", &vpc("b"))]);
        town.settle();
        town.tell("deleted and pushed");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn stacks_that_go_and_move_are_shown() {
    let told = two_stacks(|town| {
        let changes = [
            Change::delete("cache/main.tf"),
            Change::delete("network/main.tf"),
            Change::write("infra/network/main.tf", vpc("a")),
        ];
        town.double.commit_files(SHOP, "topic", "ana", "Move and remove", &changes).expect("a commit");
        let pull = NewPull { title: "Move".into(), head: "topic".into(), base: "main".into(), ..NewPull::default() };
        town.open_as("ana", &pull);
        town.settle();
        town.tell("opened");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_deleted_branch_and_a_rewritten_one() {
    let told = two_stacks(|town| {
        let first = town.commit("topic", "First", &[("network/main.tf", &vpc("first"))]);
        town.commit("topic", "Second", &[("network/main.tf", &vpc("second"))]);
        let pull = NewPull { title: "Grow".into(), head: "topic".into(), base: "main".into(), ..NewPull::default() };
        town.open_as("ana", &pull);
        town.settle();
        town.double.push(SHOP, "topic", &first, "ana").expect("forced back");
        town.settle();
        town.tell("forced back to the first commit");
        town.double.delete_branch(SHOP, "topic", "ana").expect("deleted");
        town.settle();
        town.tell("deleted");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_broken_hcl_file_is_shown_and_its_stack_is_planned() {
    let told = two_stacks(|town| {
        let broken = format!("{}resource \"x\" {{\n# town: init fails\n", vpc("a"));
        town.open("topic", "Break", &[("network/main.tf", &broken)]);
        town.settle();
        town.tell("opened");
    });
    insta::assert_snapshot!(told);
}

/// Many stacks, more than get a check of their own.
#[test]
fn thirty_stacks_fit() {
    let names: Vec<String> = (0..30).map(|at| format!("s{at:02}/main.tf")).collect();
    let empty = main_tf(&[], "");
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), &*empty)).collect();
    files.push((".buildit/stacks.kdl", "discover\n"));
    let told = story(&Plan { files: &files, slots: 4 }, |town: &mut Town| {
        let change = vpc("a");
        let changed: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), &*change)).collect();
        town.open("topic", "Grow", &changed);
        town.settle();
        assert_eq!(town.jobs.started().len(), 30);
        let shown = town.shown();
        let checks = shown.lines().filter(|line| line.starts_with("-- check")).count();
        let comments = shown.matches("-- comment by").count();
        let plan = shown.split("-- check buildit/plan").nth(1).unwrap_or_default();
        let title = plan.lines().find(|line| line.starts_with("  title")).unwrap_or_default().to_owned();
        town.note(&format!("{checks} checks, {comments} comment;{title}"));
    });
    insta::assert_snapshot!(told, @"#### 22 checks, 1 comment;  title: 30 of 30 stacks change: +30 ~0 −0");
}
