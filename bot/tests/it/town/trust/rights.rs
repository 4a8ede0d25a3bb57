//! Who may say what: per verb and per stack, by the rights that there are when it counts.

use fake_github::Role;

use super::{Case, ON_COMMENT, ON_MERGE, Scene, approve, merge, play, press, say};
use crate::town::SHOP;

const BY_BEN: &str = "discover\ndefaults {\n    apply on=comment\n}\naccess {\n    allow apply { who user:ben; on \"stack:network\" }\n    deny apply { who user:cat }\n}\n";
const BY_SRE: &str = "discover\ndefaults {\n    apply on=comment\n}\naccess {\n    allow apply { who team:sre }\n}\n";
const FORCED: &str = "discover\ndefaults {\n    apply on=comment\n}\nstack cache {\n    path cache\n    apply on=never\n}\naccess {\n    allow force-apply { who user:ben }\n}\n";
const UNLOCKS: &str = "discover\ndefaults {\n    apply on=comment\n}\naccess {\n    allow unlock { who user:ana }\n}\n";

#[test]
fn who_may_say_what() {
    play(&[
        Case { number: 30, what: "an apply by a reader", config: ON_COMMENT, play: reader },
        Case { number: 31, what: "an apply by someone else than the stack's", config: BY_BEN, play: per_stack },
        Case { number: 32, what: "an apply by whoever is denied it", config: BY_BEN, play: denied },
        Case { number: 33, what: "an apply by someone who left the team", config: BY_SRE, play: left_the_team },
        Case { number: 34, what: "an apply by someone who lost the right", config: ON_COMMENT, play: lost_the_right },
        Case {
            number: 35,
            what: "an apply whose asker lost the right in the line",
            config: ON_COMMENT,
            play: lost_in_line,
        },
        Case { number: 36, what: "a button by a reader", config: ON_COMMENT, play: button },
        Case { number: 37, what: "a button of an older head", config: ON_COMMENT, play: old_button },
        Case { number: 38, what: "force without the right", config: FORCED, play: force },
        Case { number: 39, what: "force where nothing is applied", config: FORCED, play: force_never },
        Case { number: 40, what: "force against another's lock", config: FORCED, play: force_lock },
        Case { number: 41, what: "unlocking what another pull request holds", config: UNLOCKS, play: unlock },
        Case { number: 42, what: "taking a lost apply for looked at", config: ON_COMMENT, play: lost },
        Case { number: 43, what: "a cancel by a reader", config: ON_COMMENT, play: cancel },
        Case { number: 44, what: "an outsider's comment", config: ON_COMMENT, play: outsider },
        Case { number: 45, what: "an apply after the merge by a reader", config: ON_MERGE, play: after_the_merge },
    ]);
}

fn reader(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1")]);
    approve(&mut scene.town, number, "ben");
    scene.refused("`apply` needs the right to write here; yours is read", |town| {
        say(town, number, "eve", "buildit apply")
    });
    scene.allowed(|town| say(town, number, "cat", "buildit apply"));
}

fn per_stack(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1"), ("redis", "1")]);
    approve(&mut scene.town, number, "ben");
    scene.refused("`network`: `apply` is for user:ben", |town| say(town, number, "ana", "buildit apply -p network"));
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
    scene.allowed(|town| say(town, number, "ana", "buildit apply -p cache"));
}

fn denied(scene: &mut Scene) {
    let number = scene.change("topic", &[("redis", "1")]);
    approve(&mut scene.town, number, "ben");
    scene.refused("`apply` is denied to user:cat", |town| say(town, number, "cat", "buildit apply"));
    scene.allowed(|town| say(town, number, "ana", "buildit apply"));
}

fn left_the_team(scene: &mut Scene) {
    scene.town.double.add_team("acme", "sre", None, &["ben", "cat"]).expect("a team");
    let number = scene.change("topic", &[("vpc", "1")]);
    approve(&mut scene.town, number, "ben");
    scene.town.double.set_team_member("acme", "sre", "cat", false).expect("a member");
    scene.town.settle();
    scene.refused("`apply` is for team:sre", |town| say(town, number, "cat", "buildit apply"));
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn lost_the_right(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1")]);
    approve(&mut scene.town, number, "ben");
    scene.town.double.set_permission(SHOP, "cat", Role::Triage).expect("a role");
    scene.refused("yours is triage", |town| say(town, number, "cat", "buildit apply"));
    scene.town.double.set_permission(SHOP, "cat", Role::Write).expect("a role");
    scene.allowed(|town| say(town, number, "cat", "buildit apply"));
}

fn lost_in_line(scene: &mut Scene) {
    let first = scene.change("one", &[("vpc", "1")]);
    let second = scene.change("two", &[("vpc", "1"), ("dns", "2")]);
    approve(&mut scene.town, first, "ben");
    approve(&mut scene.town, second, "ben");
    say(&mut scene.town, first, "ana", "buildit apply");
    // The line is joined with a plan that is still right when it is its turn.
    approve(&mut scene.town, second, "ben");
    say(&mut scene.town, second, "cat", "buildit apply");
    scene.town.double.set_permission(SHOP, "cat", Role::Read).expect("a role");
    scene.refused("cat asked for it, and may not any more", |town| merge(town, first));
    scene.allowed(|town| {
        approve(town, second, "ben");
        say(town, second, "ana", "buildit apply");
    });
}

fn button(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1")]);
    approve(&mut scene.town, number, "ben");
    // A button has no comment that could be answered: the server's log tells.
    scene.ignored(|town| press(town, number, "plan: network", "apply", "eve"));
    scene.allowed(|town| press(town, number, "plan: network", "apply", "ben"));
}

fn old_button(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1")]);
    approve(&mut scene.town, number, "ben");
    let old = scene.town.double.check_run(SHOP, number, "plan: network").expect("a check");
    scene.push("topic", &[("vpc", "1"), ("dns", "666")]);
    approve(&mut scene.town, number, "ben");
    scene.ignored(|town| {
        town.double.offer(SHOP, old, &[("apply", "Apply")]).expect("offered");
        town.double.press(SHOP, old, "apply", "ben").expect("pressed");
    });
    scene.allowed(|town| press(town, number, "plan: network", "apply", "ben"));
}

const FIRE: &str = "buildit force-apply -p network --reason \"it burns\"";

fn force(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1")]);
    scene.refused("`force-apply` is for user:ben", |town| say(town, number, "ana", FIRE));
    scene.refused("--reason", |town| say(town, number, "ben", "buildit force-apply -p network"));
    scene.allowed(|town| say(town, number, "ben", FIRE));
}

fn force_never(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1"), ("redis", "1")]);
    scene.refused("`cache`: it is never applied (`apply on=never`)", |town| {
        say(town, number, "ben", "buildit force-apply -p cache --reason \"it burns\"");
    });
    scene.allowed(|town| say(town, number, "ben", FIRE));
}

fn force_lock(scene: &mut Scene) {
    let first = scene.change("one", &[("vpc", "1")]);
    approve(&mut scene.town, first, "ben");
    say(&mut scene.town, first, "ana", "buildit apply");
    let second = scene.change("two", &[("vpc", "1"), ("dns", "2")]);
    scene.refused("`network`: it is locked: pull request 1 has the lock", |town| say(town, second, "ben", FIRE));
    merge(&mut scene.town, first);
    scene.allowed(|town| say(town, second, "ben", FIRE));
}

fn unlock(scene: &mut Scene) {
    let first = scene.change("one", &[("vpc", "1")]);
    approve(&mut scene.town, first, "ben");
    say(&mut scene.town, first, "ana", "buildit apply");
    let second = scene.change("two", &[("vpc", "1"), ("dns", "2")]);
    approve(&mut scene.town, second, "ben");
    scene.refused("`unlock` is for user:ana", |town| {
        say(town, second, "ben", &format!("buildit unlock {first} --accept-ahead"));
    });
    scene.refused("which is not merged: other plans would undo that", |town| {
        say(town, second, "ana", &format!("buildit unlock {first}"));
    });
    scene.allowed(|town| {
        say(town, second, "ana", &format!("buildit unlock {first} --accept-ahead"));
        say(town, second, "ben", "buildit apply");
    });
}

fn lost(scene: &mut Scene) {
    let text = format!("{}# town: apply waits\n", super::grown(&[("vpc", "1")])[0].1);
    let number = scene.town.open("topic", "topic", &[("network/main.tf", &text)]);
    approve(&mut scene.town, number, "ben");
    say(&mut scene.town, number, "ana", "buildit apply");
    for job in scene.town.jobs.running() {
        scene.town.jobs.vanish(&job);
    }
    scene.town.settle();
    scene.refused("`approve lost` needs the right to maintain here; yours is write", |town| {
        say(town, number, "ben", "buildit approve lost -p network");
    });
    scene.refused("someone must look first", |town| say(town, number, "ana", "buildit unlock"));
    say(&mut scene.town, number, "ana", "buildit approve lost -p network");
    let text = super::grown(&[("vpc", "1"), ("dns", "1")])[0].1.clone();
    scene.town.commit("topic", "More", &[("network/main.tf", &text)]);
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ana", "buildit apply"));
}

fn cancel(scene: &mut Scene) {
    let text = format!("{}# town: apply waits\n", super::grown(&[("vpc", "1")])[0].1);
    let number = scene.town.open("topic", "topic", &[("network/main.tf", &text)]);
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ana", "buildit apply"));
    scene.refused("`cancel` needs the right to write here; yours is read", |town| {
        say(town, number, "eve", "buildit cancel");
    });
    assert_eq!(scene.town.jobs.running().len(), 1, "it goes on");
    say(&mut scene.town, number, "ben", "buildit cancel");
    assert!(scene.town.jobs.running().is_empty(), "it was interrupted");
}

fn outsider(scene: &mut Scene) {
    scene.town.double.add_user("mallory", "mallory-token").expect("a user");
    scene.town.double.set_private(SHOP, false).expect("public");
    let number = scene.change("topic", &[("vpc", "1")]);
    approve(&mut scene.town, number, "ben");
    scene.refused("yours is read", |town| say(town, number, "mallory", "buildit apply"));
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn after_the_merge(scene: &mut Scene) {
    // Nobody has read its plan before the merge, so that somebody must ask.
    let files = super::grown(&[("vpc", "1")]);
    let second = scene.town.open("topic", "topic", &[(files[0].0, &*files[0].1)]);
    merge(&mut scene.town, second);
    scene.refused("`network`: `apply` needs the right to write here; yours is read", |town| {
        say(town, second, "eve", "buildit apply -p network");
    });
    scene.allowed(|town| say(town, second, "ben", "buildit apply -p network"));
}
