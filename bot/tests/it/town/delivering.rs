//! Webhooks are hints: whatever becomes of them, people end up seeing the same.

use std::sync::OnceLock;

use fake_github::Fault;

use super::opening::two_stacks;
use super::{Plan, SHOP, Town, main_tf, same, story};

/// Opens, plans, pushes, asks, moves the base. `shake` does something to the webhooks that wait, before each settling.
pub(crate) fn walk(town: &mut Town, shake: impl Fn(&mut Town)) {
    let files = [("network/main.tf", &*main_tf(&[("vpc", "a")], "")), ("cache/main.tf", &*main_tf(&[("c", "a")], ""))];
    let number = town.open("topic", "Grow", &files);
    town.double.set_labels(SHOP, number, "ana", &["infra"]).expect("labels");
    shake(town);
    town.settle();
    town.commit("topic", "More", &[("network/main.tf", &main_tf(&[("vpc", "b")], ""))]);
    town.commit("topic", "Still more", &[("network/main.tf", &main_tf(&[("vpc", "c")], ""))]);
    shake(town);
    town.settle();
    town.commit("main", "A variable", &[("cache/variables.tf", "variable \"size\" {}\n")]);
    shake(town);
    town.settle();
    town.say(number, "ben", "buildit plan -p network\nbuildit version");
    shake(town);
    town.settle();
    town.double.edit_pull(SHOP, number, "ana", Some("Grow a lot"), None).expect("a new title");
    shake(town);
    town.settle();
}

/// What it ends with when nothing goes wrong.
pub(crate) fn plain() -> &'static str {
    static PLAIN: OnceLock<String> = OnceLock::new();
    PLAIN.get_or_init(|| {
        two_stacks(|town| {
            walk(town, |_| {});
            town.tell("at the end");
        })
    })
}

#[test]
fn the_walk_itself() {
    insta::assert_snapshot!(plain());
}

#[test]
fn duplicates_change_nothing() {
    let told = two_stacks(|town| {
        walk(town, |town| {
            let ids: Vec<u64> = town.double.deliveries().iter().map(|it| it.id).collect();
            for place in 0..town.double.pending_deliveries() {
                town.double.duplicate_next();
                let order: Vec<usize> = (1..=place + 1).collect();
                town.double.reorder(&order);
            }
            // Old ones too, as somebody at GitHub's page would.
            for id in ids.iter().rev().take(5) {
                town.double.redeliver(*id).expect("a delivery");
            }
        });
        town.tell("at the end");
    });
    same(&told, plain(), "against the plain walk");
}

#[test]
fn another_order_changes_nothing() {
    let told = two_stacks(|town| {
        walk(town, |town| {
            let order: Vec<usize> = (0..town.double.pending_deliveries()).rev().collect();
            town.double.reorder(&order);
        });
        town.tell("at the end");
    });
    same(&told, plain(), "against the plain walk");
}

#[test]
fn losing_them_all_costs_time_only() {
    let told = two_stacks(|town| {
        walk(town, |town| {
            while town.double.drop_next() {}
            town.resync();
        });
        town.tell("at the end");
    });
    same(&told, plain(), "against the plain walk");
}

#[test]
fn restarts_between_everything_change_nothing() {
    let told = two_stacks(|town| {
        walk(town, Town::restart);
        town.tell("at the end");
    });
    same(&told, plain(), "against the plain walk");
}

/// All of GitHub fails like this for a while after each thing that people do; then an hour passes.
fn trouble(fault: Fault, times: u32) -> String {
    two_stacks(|town| {
        walk(town, |town| {
            town.double.fail_next("*", times, fault).expect("ordered");
            town.settle();
            for _ in 0..4 {
                town.advance(900);
            }
            assert_eq!(town.double.mend(), 0, "all ordered failures came");
            for _ in 0..4 {
                town.advance(900);
            }
        });
        town.tell("at the end");
    })
}

#[test]
fn bad_gateways_pass() {
    same(&trouble(Fault::BadGateway, 5), plain(), "against the plain walk");
}

#[test]
fn lost_answers_leave_nothing_twice() {
    same(&trouble(Fault::AnswerLost, 3), plain(), "against the plain walk");
}

#[test]
fn rate_limits_are_waited_for() {
    same(&trouble(Fault::TooMany(120), 2), plain(), "against the plain walk");
    same(&trouble(Fault::Exhausted(600), 2), plain(), "against the plain walk");
}

#[test]
fn github_is_away_for_a_day() {
    let told = two_stacks(|town| {
        let away = |town: &mut Town| {
            town.double.fail_next("*", u32::MAX, Fault::BadGateway).expect("ordered");
            town.settle();
            for _ in 0..12 {
                town.advance(7200);
            }
            town.double.mend();
            for _ in 0..4 {
                town.advance(900);
            }
        };
        walk(town, away);
        town.tell("at the end");
    });
    same(&told, plain(), "against the plain walk");
}

#[test]
fn every_write_fails_once_and_is_there_once() {
    let routes = [
        "POST /repos/{owner}/{repo}/check-runs",
        "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
        "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
        "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
        "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
    ];
    let told = two_stacks(|town| {
        walk(town, |town| {
            for route in routes {
                town.double.fail_next(route, 1, Fault::AnswerLost).expect("ordered");
            }
            town.settle();
            for _ in 0..4 {
                town.advance(900);
            }
            town.double.mend();
        });
        town.tell("at the end");
    });
    same(&told, plain(), "against the plain walk");
}

#[test]
fn two_repositories_do_not_mix() {
    let empty = main_tf(&[], "");
    let files = [(".buildit/stacks.kdl", "discover\n"), ("network/main.tf", &*empty)];
    let told = story(&Plan { files: &files, slots: 4 }, |town| {
        town.double.create_repository("acme", "depot", &files).expect("a repository");
        town.double.install_app(7, "acme/depot").expect("installed");
        town.open("one", "One", &[("network/main.tf", &main_tf(&[("vpc", "shop")], ""))]);
        let change = [fake_github::Change::write("network/main.tf", main_tf(&[("vpc", "depot")], ""))];
        town.double.commit_files("acme/depot", "one", "ana", "One", &change).expect("a commit");
        let pull =
            fake_github::NewPull { title: "One".into(), head: "one".into(), base: "main".into(), ..Default::default() };
        town.double.open_pull("acme/depot", "ana", &pull).expect("a pull request");
        town.settle();
        town.tell("both opened");
    });
    insta::assert_snapshot!(told);
}
