//! Merge queues: what a group says of pull requests that are merged together.

use fake_github::{Method, QueueRules, Rules, Verdict};

use super::{Plan, SHOP, Town, main_tf, story};

const ON_MERGE: &str = "discover\n";
const ON_COMMENT: &str = "discover\ndefaults {\n    apply on=comment\n}\n";

/// `main` asks for both aggregates and merges by a queue.
fn queued(config: &str, queue: &QueueRules, scenario: impl Fn(&mut Town)) -> String {
    behind(&["buildit/plan", "buildit/apply"], config, queue, scenario)
}

/// The same with these required checks.
fn behind(required: &[&str], config: &str, queue: &QueueRules, scenario: impl Fn(&mut Town)) -> String {
    let network = network(&[]);
    let files =
        [(".buildit/stacks.kdl", config), ("network/main.tf", &*network), ("cache/main.tf", &*main_tf(&[], ""))];
    story(&Plan { files: &files, slots: 4 }, |town| {
        let required: Vec<(&str, Option<u64>)> = required.iter().map(|name| (*name, None)).collect();
        let checks = Rules::checks(&required);
        let rules = Rules { queue: Some(queue.clone()), ..checks };
        town.double.set_ruleset(SHOP, "queue", "~DEFAULT_BRANCH", rules).expect("set");
        scenario(town);
    })
}

/// Three resources that are there, and what is made of them.
fn network(changed: &[(&str, &str)]) -> String {
    let value = |name: &str| changed.iter().find(|it| it.0 == name).map_or("0", |it| it.1).to_owned();
    let names = ["vpc", "dns", "nat"];
    let there: String = names.iter().map(|name| format!("# state: {name}=0\n")).collect();
    let lines: Vec<(&str, String)> = names.iter().map(|name| (*name, value(name))).collect();
    main_tf(&lines.iter().map(|(name, value)| (*name, &**value)).collect::<Vec<_>>(), &there)
}

/// Ana's pull request, approved by Ben.
fn open(town: &mut Town, branch: &str, path: &str, text: &str) -> u64 {
    let number = town.open(branch, branch, &[(path, text)]);
    town.settle();
    town.advance(2);
    town.double.review(SHOP, number, "ben", Verdict::Approve, "Fine.").expect("a review");
    town.settle();
    number
}

/// Presses "Merge when ready", without waiting for what follows.
fn enqueue(town: &mut Town, numbers: &[u64]) -> Vec<String> {
    for number in numbers {
        town.double.enqueue(SHOP, *number, "ana").expect("it is ready");
    }
    let queue = town.double.merge_queue(SHOP, "main").expect("a queue");
    queue.into_iter().filter_map(|(_, commit)| commit).collect()
}

/// The check `test` is green on these branches; on groups nobody ever answers it, so that they stay in the queue.
fn tests_pass(town: &mut Town, branches: &[&str]) {
    for branch in branches {
        let head = town.double.branch(SHOP, branch).expect("a branch");
        town.double.set_status(SHOP, &head, "ben", "test", "success").expect("a status");
    }
    town.settle();
}

/// What stands on the commits of groups.
fn tested(town: &mut Town, commits: &[String]) {
    for (at, commit) in commits.iter().enumerate() {
        let shown = town.double.checks_of(SHOP, commit).expect("a repository");
        town.note(&format!("group {}\n{shown}", at + 1));
    }
    let made = town.reality.told();
    let waiting = town.double.merge_queue(SHOP, "main").expect("a queue");
    let waiting: Vec<u64> = waiting.into_iter().map(|it| it.0).collect();
    town.note(&format!("in the queue: {waiting:?}; made: {made}"));
}

#[test]
fn a_pull_request_alone_is_merged_as_it_was_reviewed() {
    let told = queued(ON_MERGE, &QueueRules::default(), |town| {
        let number = open(town, "one", "cache/main.tf", &main_tf(&[("redis", "a")], ""));
        let groups = enqueue(town, &[number]);
        let before = town.jobs.started().len();
        town.settle();
        tested(town, &groups);
        assert_eq!(town.jobs.started().len(), before + 1, "the apply, and no plan");
        town.tell("merged");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_two_change_in_one_stack_is_planned_together_and_merged_when_it_adds_up() {
    let rules = QueueRules { min: 2, ..QueueRules::default() };
    let told = queued(ON_MERGE, &rules, |town| {
        let one = open(town, "one", "network/main.tf", &network(&[("vpc", "1")]));
        let two = open(town, "two", "network/main.tf", &network(&[("nat", "2")]));
        let groups = enqueue(town, &[one, two]);
        town.settle();
        tested(town, &groups);
        town.tell("both are merged");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_two_change_in_different_ways_is_not_merged() {
    let rules = QueueRules { min: 2, ..QueueRules::default() };
    let told = queued(ON_MERGE, &rules, |town| {
        let one = open(town, "one", "network/main.tf", &network(&[("vpc", "1")]));
        let other = "resource \"terraform_data\" \"vpc\" {\n  input = \"2\"\n}\n";
        let two = open(town, "two", "network/main_override.tf", other);
        let groups = enqueue(town, &[one, two]);
        town.settle();
        tested(town, &groups);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_must_be_applied_first_is_not_merged_before() {
    let told = queued(ON_COMMENT, &QueueRules::default(), |town| {
        let number = open(town, "one", "cache/main.tf", &main_tf(&[("redis", "a")], ""));
        let refused = town.double.enqueue(SHOP, number, "ana").expect_err("it is not applied");
        town.note(&refused.to_string());
        town.say(number, "ana", "buildit apply");
        town.settle();
        let groups = enqueue(town, &[number]);
        town.settle();
        tested(town, &groups);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_group_that_its_queue_dissolves_is_planned_no_further() {
    let rules = QueueRules { method: Method::Squash, min: 2, ..QueueRules::default() };
    let told = queued(ON_MERGE, &rules, |town| {
        let one = open(town, "one", "network/main.tf", &network(&[("vpc", "1")]));
        let waits = format!("# town: waits\n{}", network(&[("nat", "2")]));
        let two = open(town, "two", "network/main.tf", &waits);
        for job in town.jobs.running() {
            town.jobs.release(&job);
        }
        town.advance(2);
        let groups = enqueue(town, &[one, two]);
        town.settle();
        tested(town, &groups);
        town.double.dequeue(SHOP, two, "ana").expect("it is in the queue");
        town.settle();
        tested(town, &groups);
        assert_eq!(town.jobs.running(), [], "nothing is planned for nobody");
    });
    insta::assert_snapshot!(told);
}

const BOUND: &str = "discover\nstack network {\n    path network\n    var { password secret=DB }\n}\n";

#[test]
fn a_stack_with_a_secret_is_as_reviewed_and_planned_with_it() {
    let rules = QueueRules { min: 2, ..QueueRules::default() };
    queued(BOUND, &rules, |town| {
        town.set_secret("DB", Some("correct-horse"));
        let one = open(town, "one", "network/main.tf", &network(&[("vpc", "1")]));
        let two = open(town, "two", "network/main.tf", &network(&[("nat", "2")]));
        let groups = enqueue(town, &[one, two]);
        let before = town.jobs.started().len();
        town.settle();
        let first = town.double.checks_of(SHOP, &groups[0]).expect("a repository");
        assert!(first.contains("- `network`: as reviewed\n"), "alone nothing is planned:\n{first}");
        let both = town.double.checks_of(SHOP, &groups[1]).expect("a repository");
        assert!(both.contains("- `network`: as reviewed (["), "together it is planned:\n{both}");
        let planned = &town.jobs.started()[before];
        assert_eq!(planned.secret_names, ["TF_VAR_password"]);
    });
}

#[test]
fn a_secret_that_a_member_brings_is_given_when_it_was_allowed_there() {
    behind(&["test"], ON_MERGE, &QueueRules::default(), |town| {
        town.set_secret("DB", Some("correct-horse"));
        let grown = network(&[("vpc", "1")]);
        let number = town.open("take", "Take it", &[(".buildit/stacks.kdl", BOUND), ("network/main.tf", &grown)]);
        town.settle();
        let head = town.double.branch(SHOP, "take").expect("a branch");
        tests_pass(town, &["take"]);
        let groups = enqueue(town, &[number]);
        town.settle();
        let shown = |town: &Town| town.double.checks_of(SHOP, &groups[0]).expect("a repository");
        assert!(shown(town).contains("it could not be planned: it needs `buildit allow`"), "{}", shown(town));
        let names = |town: &Town| town.jobs.started().into_iter().flat_map(|job| job.secret_names).collect::<Vec<_>>();
        assert_eq!(names(town), Vec::<String>::new(), "a secret for what nobody allowed");
        town.say(number, "ben", &format!("buildit allow {}", &head[..7]));
        town.advance(2);
        assert!(shown(town).contains("- `network`: as reviewed\n"), "{}", shown(town));
        assert_eq!(names(town), ["TF_VAR_password"], "the pull request's own plan has it now");
    });
}

#[test]
fn a_group_says_that_one_of_it_weakens_what_nobody_approved() {
    let told = behind(&["test"], ON_MERGE, &QueueRules::default(), |town| {
        let weaker = "discover\ndefaults {\n    require { approvals 0 }\n}\n";
        let one = open(town, "one", "cache/main.tf", &main_tf(&[("redis", "a")], ""));
        let two = open(town, "two", ".buildit/stacks.kdl", weaker);
        tests_pass(town, &["one", "two"]);
        let groups = enqueue(town, &[one, two]);
        town.settle();
        tested(town, &groups);
        town.say(two, "ana", "buildit approve config");
        town.advance(2);
        tested(town, &groups[1..]);
    });
    insta::assert_snapshot!(told);
}
