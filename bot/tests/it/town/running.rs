//! Runs while they run: pushes, queues, failures, ends.

use super::opening::two_stacks;
use super::{Plan, SHOP, Town, main_tf, story};

const WAITS: &str = "# town: waits\n";

/// Lets the jobs that run now go on, oldest name first.
fn release(town: &mut Town) {
    for job in town.jobs.running() {
        town.jobs.release(&job);
    }
    town.settle();
}

/// As `two_stacks`, one run at a time.
fn one_slot(scenario: impl Fn(&mut Town)) -> String {
    let empty = main_tf(&[], "");
    let files = [(".buildit/stacks.kdl", "discover\n"), ("network/main.tf", &*empty), ("cache/main.tf", &*empty)];
    story(&Plan { files: &files, slots: 1 }, scenario)
}

#[test]
fn a_push_replaces_running_and_queued_plans() {
    let told = one_slot(|town| {
        let waiting = main_tf(&[("vpc", "a")], WAITS);
        town.open("topic", "Grow", &[("network/main.tf", &waiting), ("cache/main.tf", &waiting)]);
        town.settle();
        town.tell("one runs, one waits");
        let ready = main_tf(&[("vpc", "b")], "");
        town.commit("topic", "Better", &[("network/main.tf", &ready), ("cache/main.tf", &ready)]);
        town.settle();
        town.tell("pushed");
        assert_eq!(town.jobs.started().len(), 3, "the queued one was never started");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_push_that_changes_no_input_carries_the_plan() {
    let told = two_stacks(|town| {
        town.open("topic", "Grow", &[("network/main.tf", &main_tf(&[("vpc", "a")], ""))]);
        town.settle();
        town.commit("topic", "Words", &[("README.md", "# more words\n")]);
        town.settle();
        town.tell("pushed");
        assert_eq!(town.jobs.started().len(), 1);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn the_base_moves_and_only_what_it_touches_is_planned_again() {
    let told = two_stacks(|town| {
        let files =
            [("network/main.tf", &*main_tf(&[("vpc", "a")], "")), ("cache/main.tf", &*main_tf(&[("c", "a")], ""))];
        town.open("topic", "Grow", &files);
        town.settle();
        town.commit("main", "A variable", &[("network/variables.tf", "variable \"size\" {}\n")]);
        town.settle();
        town.tell("main moved");
        // The two, the one that the base touched, and the one of the commit on main itself.
        assert_eq!(town.jobs.started().len(), 4);
    });
    insta::assert_snapshot!(told);
}

#[test]
fn the_queue_shows_places_and_moves_on() {
    let told = one_slot(|town| {
        let waiting = main_tf(&[("vpc", "a")], WAITS);
        town.open("one", "One", &[("network/main.tf", &waiting), ("cache/main.tf", &waiting)]);
        town.settle();
        town.open("two", "Two", &[("network/main.tf", &waiting)]);
        town.settle();
        town.tell("three want one slot");
        assert_eq!(town.jobs.started().len(), 1);
        release(town);
        town.tell("the first ended");
        assert_eq!(town.jobs.started().len(), 2);
        release(town);
        release(town);
        town.tell("all ended");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn closing_cancels_and_reopening_plans() {
    let told = one_slot(|town| {
        let waiting = main_tf(&[("vpc", "a")], WAITS);
        let number = town.open("one", "One", &[("network/main.tf", &waiting), ("cache/main.tf", &waiting)]);
        town.settle();
        town.double.close_pull(SHOP, number, "ana").expect("closed");
        town.settle();
        town.tell("closed");
        assert_eq!((town.jobs.running().len(), town.jobs.started().len()), (0, 1));
        town.double.reopen_pull(SHOP, number, "ana").expect("open again");
        town.settle();
        town.tell("opened again");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn merging_ends_what_runs() {
    let told = two_stacks(|town| {
        let number = town.open("one", "One", &[("network/main.tf", &main_tf(&[("vpc", "a")], WAITS))]);
        town.settle();
        let plans = town.jobs.running();
        town.double.merge(SHOP, number, "ben").expect("merged");
        town.settle();
        town.tell("merged");
        // What was merged is planned anew, for nobody saw a plan of it.
        let now = town.jobs.running();
        assert!(now.len() == 1 && plans.iter().all(|plan| !now.contains(plan)), "{plans:?} {now:?}");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_failed_init_shows_terraforms_own_words() {
    let told = two_stacks(|town| {
        let broken = main_tf(&[("vpc", "a")], "# town: init fails\n");
        let fine = main_tf(&[("redis", "a")], "");
        town.open("one", "One", &[("network/main.tf", &broken), ("cache/main.tf", &fine)]);
        town.settle();
        town.tell("one of two failed");
        town.commit("one", "Mend", &[("network/main.tf", &main_tf(&[("vpc", "a")], ""))]);
        town.settle();
        town.tell("mended");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_plan_that_does_not_end_is_timed_out() {
    let told = two_stacks(|town| {
        town.open("one", "One", &[("network/main.tf", &main_tf(&[("vpc", "a")], WAITS))]);
        town.settle();
        for job in town.jobs.running() {
            town.jobs.time_out(&job);
        }
        town.settle();
        town.tell("timed out");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_job_that_vanishes_is_made_once_more_and_then_a_failure() {
    let told = two_stacks(|town| {
        town.open("one", "One", &[("network/main.tf", &main_tf(&[("vpc", "a")], WAITS))]);
        town.settle();
        for when in ["the machine lost it", "and again"] {
            for job in town.jobs.running() {
                town.jobs.vanish(&job);
            }
            town.settle();
            town.advance(60);
            town.tell(when);
        }
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_stubborn_plan_is_killed_after_its_grace() {
    let told = two_stacks(|town| {
        let number = town.open("one", "One", &[("network/main.tf", &main_tf(&[("vpc", "a")], "# town: stubborn\n"))]);
        town.settle();
        town.double.close_pull(SHOP, number, "ana").expect("closed");
        town.settle();
        let running = town.jobs.running();
        assert_eq!(running.iter().map(|job| town.jobs.interrupts(job)).collect::<Vec<_>>(), [1]);
        town.advance(90);
        assert_eq!(town.jobs.running(), []);
        town.tell("closed, and more than the grace passed");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn without_an_executor_people_read_why() {
    let told = two_stacks(|town| {
        town.jobs.set_unavailable(Some("no disk is left in /jobs; free some"));
        town.open("one", "One", &[("network/main.tf", &main_tf(&[("vpc", "a")], ""))]);
        town.settle();
        town.tell("unavailable");
        town.jobs.set_unavailable(None);
        for _ in 0..4 {
            town.advance(900);
        }
        town.tell("mended, an hour later");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn checks_can_be_asked_for_again() {
    let told = two_stacks(|town| {
        let broken = main_tf(&[("vpc", "a")], "# town: init fails\n");
        let fine = main_tf(&[("redis", "a")], "");
        let number = town.open("one", "One", &[("network/main.tf", &broken), ("cache/main.tf", &fine)]);
        town.settle();
        for name in ["plan: network", "buildit/plan"] {
            let before = town.jobs.started().len();
            town.double.rerun_check(SHOP, number, "ben", name).expect("pressed");
            town.settle();
            town.note(&format!("{name} again: {} more jobs", town.jobs.started().len() - before));
        }
        let before = town.jobs.started().len();
        town.double.rerun_all_checks(SHOP, number, "ben").expect("pressed");
        town.settle();
        town.note(&format!("all again: {} more jobs", town.jobs.started().len() - before));
        town.tell("after all of it");
    });
    insta::assert_snapshot!(told);
}
