//! Secrets that stacks are bound to: missing, set, changed, and brought by a change.

use super::{Plan, Town, main_tf, story};

const BOUND: &str = "stack network {\n  path network\n  var { password secret=DB_PASSWORD }\n}\n";

fn network(config: &str, scenario: impl Fn(&mut Town)) -> String {
    let files = [(".buildit/stacks.kdl", config), ("network/main.tf", &*main_tf(&[], ""))];
    story(&Plan { files: &files, slots: 2 }, scenario)
}

fn vpc() -> [(&'static str, String); 1] {
    [("network/main.tf", main_tf(&[("vpc", "a")], ""))]
}

fn open(town: &Town, title: &str) -> u64 {
    let [(path, text)] = vpc();
    town.open("topic", title, &[(path, &text)])
}

#[test]
fn a_missing_secret_is_named_and_its_stack_is_planned_once_it_is_set() {
    let told = network(BOUND, |town| {
        open(town, "Grow");
        town.settle();
        town.tell("it is not set");
        assert!(town.jobs.started().is_empty());
        town.set_secret("DB_PASSWORD", Some("correct-horse"));
        assert_eq!(town.jobs.started().len(), 1);
        town.tell("it is set");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_changed_secret_makes_plans_stale() {
    network(BOUND, |town| {
        town.set_secret("DB_PASSWORD", Some("correct-horse"));
        town.set_secret("OTHER", Some("another-one"));
        open(town, "Grow");
        town.settle();
        assert_eq!(town.jobs.started().len(), 1);
        town.set_secret("OTHER", Some("another-value"));
        assert_eq!(town.jobs.started().len(), 1, "it is bound to nothing here");
        town.set_secret("DB_PASSWORD", Some("battery-staple"));
        assert_eq!(town.jobs.started().len(), 2, "planned again with the new value");
        town.set_secret("DB_PASSWORD", None);
        assert_eq!(town.jobs.started().len(), 2, "without a value nothing is started");
        let shown = town.shown();
        assert!(shown.contains("do: buildit secrets set DB_PASSWORD --repo acme/shop"), "{shown}");
    });
}

#[test]
fn a_secret_that_a_change_would_bring_waits_for_somebody() {
    let told = network("stack network {\n  path network\n}\n", |town| {
        town.set_secret("DB_PASSWORD", Some("correct-horse"));
        let [(path, text)] = vpc();
        town.open("topic", "Take it", &[(".buildit/stacks.kdl", BOUND), (path, &text)]);
        town.settle();
        assert!(town.jobs.started().is_empty());
        town.tell("opened");
    });
    insta::assert_snapshot!(told);
}
