//! Buttons of checks: whoever presses one is authorised as if they had commented.

use super::opening::two_stacks;
use super::{Plan, SHOP, Town, main_tf, story};

fn planned(town: &mut Town) -> u64 {
    let files = [("network/main.tf", &*main_tf(&[("vpc", "a")], "")), ("cache/main.tf", &*main_tf(&[("c", "a")], ""))];
    let number = town.open("topic", "Grow", &files);
    town.settle();
    number
}

/// Presses it, settles, and answers how many jobs that started.
fn pressed(town: &mut Town, number: u64, check: &str, button: &str, login: &str) -> usize {
    let before = town.jobs.started().len();
    let run = town.double.check_run(SHOP, number, check).expect("a check");
    town.double.offer(SHOP, run, &[(button, button)]).expect("offered");
    town.double.press(SHOP, run, button, login).expect("pressed");
    town.settle();
    town.jobs.started().len() - before
}

#[test]
fn a_button_is_a_comment_of_whoever_presses_it() {
    two_stacks(|town| {
        let number = planned(town);
        for (check, jobs) in [("buildit/plan", 2), ("plan: network", 1)] {
            assert_eq!(pressed(town, number, check, "replan", "eve"), 0, "{check}: a reader may not");
            assert_eq!(pressed(town, number, check, "replan", "buildit[bot]"), 0, "{check}: a program may not");
            assert_eq!(pressed(town, number, check, "replan", "ben"), jobs, "{check}: a writer may");
        }
        // The right is asked for when the button is pressed, and not remembered.
        town.double.set_permission(SHOP, "ben", fake_github::Role::Read).expect("a role");
        assert_eq!(pressed(town, number, "buildit/plan", "replan", "ben"), 0);
        let before = town.jobs.started().len();
        town.double.rerun_check(SHOP, number, "ben", "buildit/plan").expect("pressed");
        town.double.rerun_all_checks(SHOP, number, "eve").expect("pressed");
        town.settle();
        assert_eq!(town.jobs.started().len(), before, "\"Re-run\" is a button as well");
        town.double.rerun_check(SHOP, number, "ana", "buildit/plan").expect("pressed");
        town.settle();
        assert_eq!(town.jobs.started().len(), before + 2);
    });
}

#[test]
fn buttons_of_an_old_head_do_nothing() {
    two_stacks(|town| {
        let number = planned(town);
        let old = town.double.check_run(SHOP, number, "plan: network").expect("a check");
        town.commit("topic", "More", &[("network/main.tf", &main_tf(&[("vpc", "b")], ""))]);
        town.settle();
        let before = town.jobs.started().len();
        town.double.offer(SHOP, old, &[("replan", "Re-plan")]).expect("said");
        town.double.press(SHOP, old, "replan", "ben").expect("pressed");
        town.settle();
        assert_eq!(town.jobs.started().len(), before);
        assert_eq!(pressed(town, number, "plan: network", "replan", "ben"), {
            let run = town.double.check_run(SHOP, number, "plan: network").expect("a check");
            assert_ne!(run, old);
            1
        });
    });
}

#[test]
fn apply_is_pressed_by_who_may() {
    let stacks = "discover\ndefaults {\n  apply on=comment\n  require { approvals 0 }\n}\n";
    let empty = "terraform {\n  backend \"local\" {}\n}\n";
    let files = [(".buildit/stacks.kdl", stacks), ("network/main.tf", empty), ("cache/main.tf", empty)];
    story(&Plan { files: &files, slots: 4 }, |town| {
        let number = planned(town);
        assert_eq!(pressed(town, number, "plan: network", "apply", "eve"), 0, "a reader may not");
        assert_eq!(pressed(town, number, "plan: network", "apply", "ben"), 1, "of this stack alone");
        let shown = town.double.transcript();
        assert!(shown.contains("- network: [applied") && shown.contains("- cache: `buildit apply`"), "{shown}");
    });
}
