//! What people write, and what is answered.

use fake_github::AppSpec;

use super::opening::two_stacks;
use super::{SHOP, Town, main_tf};

/// A pull request with both stacks planned.
fn planned(town: &mut Town) -> u64 {
    let files = [("network/main.tf", &*main_tf(&[("vpc", "a")], "")), ("cache/main.tf", &*main_tf(&[("c", "a")], ""))];
    let number = town.open("topic", "Grow", &files);
    town.settle();
    number
}

/// Says it, settles, and notes how many jobs it started.
fn said(town: &mut Town, number: u64, author: &str, body: &str) {
    let before = town.jobs.started().len();
    town.say(number, author, body);
    town.settle();
    let jobs = town.jobs.started().len() - before;
    town.note(&format!("{author}: {body:?}: {jobs} jobs"));
}

#[test]
fn plan_plans_again() {
    let told = two_stacks(|town| {
        let number = planned(town);
        for body in [
            "buildit plan",
            "buildit plan -p network",
            "/buildit PLAN -p 'net*'",
            "@buildit plan -d cache",
            "buildit plan -p unknown",
            "buildit plan -p network -d network",
            "buildit plan -p network --target terraform_data.vpc",
            "buildit plan -- -state=x",
            "Thanks!\n\nbuildit plan -p cache\nbuildit plan -p network",
        ] {
            said(town, number, "ben", body);
        }
        town.tell("after all of it");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn questions_are_answered() {
    let told = two_stacks(|town| {
        let number = planned(town);
        for body in [
            "buildit help",
            "buildit",
            "/buildit",
            "buildit version",
            "buildit status",
            "buildit why",
            "buildit why -p network",
            "buildit config -p network",
        ] {
            said(town, number, "eve", body);
        }
        town.tell("after all of it");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_not_understood_gets_the_nearest_match() {
    let told = two_stacks(|town| {
        let number = planned(town);
        for body in [
            "buildit plam",
            "/buildit frobnicate",
            "buildit frobnicate the cache",
            "buildit plan --tarket x",
            "/buildit plan -p 'network",
            "buildit apply",
            "buildit unlock",
        ] {
            said(town, number, "ben", body);
        }
        town.tell("after all of it");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn only_writers_commands_run() {
    let told = two_stacks(|town| {
        let number = planned(town);
        let other = AppSpec::new(8, "other", "a webhook secret", &[("issues", "write")], &[]);
        town.double.create_app(other).expect("an app");
        said(town, number, "eve", "buildit plan");
        said(town, number, "eve", "buildit cancel");
        said(town, number, "other[bot]", "buildit plan");
        let before = town.jobs.started().len();
        let comment = town.say(number, "ana", "hello");
        town.double.edit_comment(SHOP, comment, "ana", "buildit plan").expect("edited");
        town.settle();
        let quiet = town.say(number, "ana", "hello again");
        town.settle();
        town.double.edit_comment(SHOP, quiet, "ana", "buildit plan").expect("edited");
        town.settle();
        town.note(&format!("edited: {} jobs", town.jobs.started().len() - before));
        said(town, number, "ben", "> buildit plan\n\nNo.\n\n```\nbuildit plan\n```\n\n# buildit plan\n");
        said(town, number, "ben", "please buildit plan");
        town.tell("after all of it");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn cancel_stops_what_runs_and_what_waits() {
    let told = two_stacks(|town| {
        let waiting = main_tf(&[("vpc", "a")], "# town: waits\n");
        let number = town.open("topic", "Grow", &[("network/main.tf", &waiting), ("cache/main.tf", &waiting)]);
        town.settle();
        said(town, number, "ben", "buildit cancel -p cache");
        assert_eq!(town.jobs.running().len(), 1);
        said(town, number, "ben", "buildit cancel");
        assert_eq!(town.jobs.running(), []);
        said(town, number, "ben", "buildit cancel");
        town.tell("cancelled");
        said(town, number, "ben", "buildit plan -p cache");
        assert_eq!(town.jobs.running().len(), 1);
        town.tell("and asked for again");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_command_on_a_closed_pull_request_is_refused() {
    let told = two_stacks(|town| {
        let number = planned(town);
        town.double.close_pull(SHOP, number, "ana").expect("closed");
        town.settle();
        said(town, number, "ben", "buildit plan");
        said(town, number, "ben", "buildit why");
        town.tell("closed");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_plan_asked_for_just_before_a_push_is_of_the_newest_head() {
    let told = two_stacks(|town| {
        let number = planned(town);
        let before = town.jobs.started().len();
        // Both before the server looks again.
        town.say(number, "ben", "buildit plan -p network");
        town.commit("topic", "More", &[("README.md", "# more\n")]);
        town.settle();
        town.note(&format!("{} jobs", town.jobs.started().len() - before));
        town.tell("commanded, then pushed");
    });
    insta::assert_snapshot!(told);
}

#[test]
fn a_reply_follows_what_is_known_of_its_command() {
    let told = two_stacks(|town| {
        let number = planned(town);
        let comment = town.say(number, "ben", "buildit help");
        town.double.delete_comment(SHOP, comment, "ben").expect("deleted");
        town.settle();
        town.tell("deleted before it was read");
        // GitHub says no to the reaction of a comment that is gone; nothing may stall on it.
        said(town, number, "ben", "buildit version");
        town.tell("the next one is answered");
    });
    insta::assert_snapshot!(told);
}
