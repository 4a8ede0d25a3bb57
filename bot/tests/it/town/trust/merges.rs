//! Merges, and pushes past them: what is applied is what was reviewed.

use fake_github::Change;

use super::{Case, ON_MERGE, Scene, approve, grown, merge, play, say};
use crate::town::SHOP;

#[test]
fn what_lands_is_what_was_reviewed() {
    play(&[
        Case { number: 91, what: "merged past the approvals", config: ON_MERGE, play: bypassed },
        Case { number: 92, what: "merged before its plan was shown", config: ON_MERGE, play: unread },
        Case { number: 93, what: "pushed without a pull request", config: ON_MERGE, play: pushed },
        Case { number: 94, what: "a merge made by hand that brings more", config: ON_MERGE, play: by_hand },
        Case { number: 95, what: "a revert of what was asked for", config: TWO, play: reverted },
        Case { number: 96, what: "merged into another branch first", config: ON_MERGE, play: elsewhere },
        Case { number: 97, what: "a discard by a reader", config: ON_MERGE, play: discarded },
    ]);
}

const TWO: &str = "discover\ndefaults {\n    require { approvals 2 }\n}\n";

fn bypassed(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1")]);
    scene.refused("approvals 0 of 1, then it is applied", |town| merge(town, number));
    scene.allowed(|town| {
        approve(town, number, "ben");
    });
}

fn unread(scene: &mut Scene) {
    let files = grown(&[("vpc", "1")]);
    let number = scene.town.open("topic", "topic", &[(files[0].0, &*files[0].1)]);
    approve_unsettled(scene, number);
    scene.refused("it was merged before it was planned", |town| merge(town, number));
    // Whoever asks has read it now.
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

/// GitHub has a review and a merge before we have heard of the pull request.
fn approve_unsettled(scene: &mut Scene, number: u64) {
    scene.town.double.review(SHOP, number, "cat", fake_github::Verdict::Approve, "Fine.").expect("a review");
}

fn pushed(scene: &mut Scene) {
    let number = scene.change("topic", &[("redis", "1")]);
    scene.refused("was pushed to main without a review", |town| {
        let files = grown(&[("vpc", "1")]);
        town.commit("main", "By hand", &[(files[0].0, &*files[0].1)]);
    });
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| merge(town, number));
}

fn by_hand(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1")]);
    approve(&mut scene.town, number, "ben");
    let other = scene.change("other", &[("redis", "1")]);
    approve(&mut scene.town, other, "ben");
    // GitHub shows the pull request as merged: its head is in the branch, and more.
    scene.refused("was pushed to main without a review", |town| {
        let head = town.double.branch(SHOP, "topic").expect("a branch");
        let files = grown(&[("vpc", "1"), ("dns", "666")]);
        let more = [Change::write(files[0].0, &files[0].1)];
        town.double.push_merge(SHOP, ("main", &head), "ana", &more).expect("pushed");
    });
    scene.allowed(|town| merge(town, other));
}

fn reverted(scene: &mut Scene) {
    let config = [(".buildit/stacks.kdl", "discover\ndefaults {\n    require { approvals 0 }\n}\n")];
    let files = grown(&[("vpc", "666")]);
    let number = scene.town.open("topic", "topic", &[config[0], (files[0].0, &*files[0].1)]);
    scene.town.settle();
    approve(&mut scene.town, number, "ben");
    scene.refused("approvals 1 of 2, then it is applied", |town| merge(town, number));
    scene.allowed(|town| {
        approve(town, number, "cat");
    });
}

fn elsewhere(scene: &mut Scene) {
    let other = scene.change("other", &[("redis", "1")]);
    approve(&mut scene.town, other, "ben");
    let main = scene.town.double.branch(SHOP, "main").expect("a branch");
    scene.town.double.push(SHOP, "next", &main, "ana").expect("a branch");
    let files = grown(&[("vpc", "666")]);
    scene.town.commit("topic", "topic", &[(files[0].0, &*files[0].1)]);
    let pull = fake_github::NewPull {
        title: "topic".into(),
        head: "topic".into(),
        base: "next".into(),
        ..fake_github::NewPull::default()
    };
    let number = scene.town.open_as("ana", &pull);
    scene.town.settle();
    approve(&mut scene.town, number, "ben");
    merge(&mut scene.town, number);
    scene.refused("was pushed to main without a review", |town| {
        let next = town.double.branch(SHOP, "next").expect("a branch");
        town.double.push(SHOP, "main", &next, "ana").expect("pushed");
    });
    scene.allowed(|town| merge(town, other));
}

fn discarded(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1")]);
    merge(&mut scene.town, number);
    scene.refused("`discard` needs the right to write here; yours is read", |town| {
        say(town, number, "eve", "buildit discard -p network \"not wanted\"");
    });
    scene.allowed(|town| {
        approve(town, number, "ben");
    });
    assert!(scene.town.shown().contains("applied"), "it was not discarded");
}
