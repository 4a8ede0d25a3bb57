//! Whose approvals count, and for which plan.

use fake_github::{Role, Rules, Verdict};

use super::{Case, ON_COMMENT, Scene, approve, play, say};
use crate::town::{SHOP, Town};

const OF_SRE: &str = "discover\ndefaults {\n    apply on=comment\n    require { approvals 1 { any-of team:sre } }\n}\n";
const OF_DBA: &str = "discover\ndefaults {\n    apply on=comment\n    require { approvals 1 { any-of team:dba } }\n}\n";
const CODEOWNERS: &str = "discover\ndefaults {\n    apply on=comment\n    require { codeowners; approvals 0 }\n}\n";
const LATEST: &str = "discover\ndefaults {\n    apply on=comment\n    require { approvals 1 { on-latest-push } }\n}\n";
const TWO: &str = "discover\ndefaults {\n    apply on=comment\n    require { approvals 2 { all-of user:cat } }\n}\n";

const VPC: &[(&str, &str)] = &[("vpc", "1")];

fn apply(town: &mut Town, number: u64) {
    say(town, number, "ben", "buildit apply");
}

#[test]
fn whose_approvals_count() {
    play(&[
        Case { number: 1, what: "own approval", config: ON_COMMENT, play: own },
        Case { number: 2, what: "approval of who pushed", config: ON_COMMENT, play: pusher },
        Case { number: 3, what: "approval of an older plan", config: ON_COMMENT, play: older },
        Case {
            number: 4,
            what: "approval before a push that changes one of two plans",
            config: ON_COMMENT,
            play: half,
        },
        Case { number: 5, what: "a dismissed review", config: ON_COMMENT, play: dismissed },
        Case { number: 6, what: "a reviewer who lost the right to write", config: ON_COMMENT, play: lost_right },
        Case { number: 7, what: "a reviewer who is not in the team", config: OF_SRE, play: team },
        Case { number: 8, what: "a reviewer of the team above", config: OF_DBA, play: nested },
        Case { number: 9, what: "code owners without GitHub's rule", config: CODEOWNERS, play: codeowners },
        Case { number: 10, what: "changes are requested", config: ON_COMMENT, play: against },
        Case { number: 11, what: "approval by a program", config: ON_COMMENT, play: program },
        Case { number: 12, what: "approval for an earlier push where the latest counts", config: LATEST, play: latest },
        Case { number: 13, what: "two approvals without the one that must be there", config: TWO, play: all_of },
        Case { number: 14, what: "a reader's approval", config: ON_COMMENT, play: reader },
    ]);
}

fn own(scene: &mut Scene) {
    let number = scene.change("topic", VPC);
    scene.refused("waits for approvals 0 of 1: nobody approved", |town| {
        assert!(town.double.review(SHOP, number, "ana", Verdict::Approve, "Mine.").is_err(), "GitHub itself refuses");
        say(town, number, "ana", "buildit apply");
    });
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ana", "buildit apply"));
}

fn pusher(scene: &mut Scene) {
    let number = scene.change("topic", VPC);
    let files = super::grown(&[("vpc", "2")]);
    let change = [fake_github::Change::write(files[0].0, &files[0].1)];
    scene.town.double.commit_files(SHOP, "topic", "ben", "Mine too", &change).expect("a commit");
    scene.town.settle();
    approve(&mut scene.town, number, "ben");
    scene.refused("waits for approvals 0 of 1: not counted: ben (pushed the head)", |town| apply(town, number));
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| apply(town, number));
}

fn older(scene: &mut Scene) {
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "ben");
    scene.push("topic", &[("vpc", "666")]);
    scene.refused("not counted: ben (for another plan, at <head 1>)", |town| apply(town, number));
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| apply(town, number));
}

fn half(scene: &mut Scene) {
    let number = scene.change("topic", &[("vpc", "1"), ("redis", "1")]);
    approve(&mut scene.town, number, "ben");
    scene.push("topic", &[("vpc", "1"), ("redis", "666")]);
    scene.refused("`cache`: waits for approvals 0 of 1: not counted: ben (for another plan, at <head 1>)", |town| {
        say(town, number, "ben", "buildit apply -p cache");
    });
    // The network's plan is as it was approved.
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p cache"));
}

fn dismissed(scene: &mut Scene) {
    let number = scene.change("topic", VPC);
    let review = approve(&mut scene.town, number, "ben");
    scene.town.double.dismiss_review(SHOP, number, review, "ana").expect("dismissed");
    scene.refused("waits for approvals 0 of 1: nobody approved", |town| apply(town, number));
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| apply(town, number));
}

fn lost_right(scene: &mut Scene) {
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "cat");
    scene.town.double.set_permission(SHOP, "cat", Role::Read).expect("a role");
    scene.refused("waits for approvals 0 of 1: not counted: cat (not role:write)", |town| apply(town, number));
    scene.town.double.set_permission(SHOP, "cat", Role::Write).expect("a role");
    scene.allowed(|town| apply(town, number));
}

fn team(scene: &mut Scene) {
    scene.town.double.add_team("acme", "sre", None, &["ana"]).expect("a team");
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "ben");
    scene.refused("from team:sre; not counted: ben (not team:sre)", |town| apply(town, number));
    scene.town.double.set_team_member("acme", "sre", "ben", true).expect("a member");
    scene.allowed(|town| apply(town, number));
}

fn nested(scene: &mut Scene) {
    let double = &scene.town.double;
    double.add_team("acme", "sre", None, &["ben"]).expect("a team");
    double.add_team("acme", "dba", Some("sre"), &["ana"]).expect("a team");
    double.add_team("acme", "mysql", Some("dba"), &["cat"]).expect("a team");
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "ben");
    scene.refused("from team:dba; not counted: ben (not team:dba)", |town| apply(town, number));
    // Below the team is in the team.
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| apply(town, number));
}

fn codeowners(scene: &mut Scene) {
    scene.town.commit("main", "Owners", &[(".github/CODEOWNERS", "* @ben\n")]);
    scene.town.settle();
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "ben");
    let why = "no rule of `main` asks for it: turn on \"Require review from Code Owners\" for that branch";
    scene.refused(why, |town| apply(town, number));
    let rules = Rules { approvals: Some(1), code_owners: true, ..Rules::default() };
    scene.town.double.set_ruleset(SHOP, "owners", "~DEFAULT_BRANCH", rules).expect("a rule");
    scene.allowed(|town| apply(town, number));
}

fn against(scene: &mut Scene) {
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "ben");
    scene.town.advance(2);
    let no = scene.town.double.review(SHOP, number, "cat", Verdict::RequestChanges, "No.").expect("a review");
    scene.refused("approved by ben; cat asked for changes", |town| apply(town, number));
    scene.town.double.dismiss_review(SHOP, number, no, "cat").expect("taken back");
    scene.allowed(|town| apply(town, number));
}

fn program(scene: &mut Scene) {
    let other = fake_github::AppSpec::new(8, "reviewer", "a webhook secret", &[("pull_requests", "write")], &[]);
    scene.town.double.create_app(other).expect("an app");
    scene.town.double.install_app(8, SHOP).expect("installed");
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "reviewer[bot]");
    scene.refused("not counted: reviewer[bot] (a program)", |town| apply(town, number));
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| apply(town, number));
}

fn latest(scene: &mut Scene) {
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "ben");
    scene.town.commit("topic", "Words", &[("README.md", "# words\n")]);
    scene.town.settle();
    scene.refused("not counted: ben (for <head 1>, not for the newest push)", |town| apply(town, number));
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| apply(town, number));
}

fn all_of(scene: &mut Scene) {
    scene.town.double.add_user("dan", "dan-token").expect("a user");
    scene.town.double.set_permission(SHOP, "dan", Role::Write).expect("a role");
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "ben");
    approve(&mut scene.town, number, "dan");
    scene.refused("approved by ben, dan; nobody of user:cat approved", |town| apply(town, number));
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| apply(town, number));
}

fn reader(scene: &mut Scene) {
    let number = scene.change("topic", VPC);
    approve(&mut scene.town, number, "eve");
    scene.refused("waits for approvals 0 of 1: not counted: eve (not role:write)", |town| apply(town, number));
    approve(&mut scene.town, number, "cat");
    scene.allowed(|town| apply(town, number));
}
