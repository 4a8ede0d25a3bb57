//! What is a command, and what only looks like one.

use model::ports::Clock as _;

use super::{Case, ON_COMMENT, Scene, approve, play, say};
use crate::town::SHOP;

#[test]
fn what_is_a_command() {
    play(&[
        Case { number: 15, what: "an edited comment", config: ON_COMMENT, play: edited },
        Case {
            number: 16,
            what: "a writer edits an administrator's comment",
            config: ON_COMMENT,
            play: put_in_a_mouth,
        },
        Case { number: 17, what: "a quoted command", config: ON_COMMENT, play: quoted },
        Case { number: 18, what: "a command in code", config: ON_COMMENT, play: code },
        Case { number: 19, what: "a command in an HTML comment, a heading, a link", config: ON_COMMENT, play: hidden },
        Case { number: 20, what: "letters that look alike", config: ON_COMMENT, play: look_alike },
        Case { number: 21, what: "a command by a program", config: ON_COMMENT, play: program },
        Case { number: 22, what: "a command on a closed pull request", config: ON_COMMENT, play: closed },
        Case { number: 23, what: "arguments for the tool", config: ON_COMMENT, play: arguments },
        Case { number: 24, what: "flags that change what was planned", config: ON_COMMENT, play: flags },
        Case { number: 25, what: "a command from before the push", config: ON_COMMENT, play: before_the_push },
        Case { number: 26, what: "a command from before the plan", config: ON_COMMENT, play: before_the_plan },
        Case { number: 27, what: "our own words", config: ON_COMMENT, play: our_own },
    ]);
}

/// Ana's pull request that ben approved.
fn ready(scene: &mut Scene) -> u64 {
    let number = scene.change("topic", &[("vpc", "1")]);
    approve(&mut scene.town, number, "ben");
    number
}

fn edited(scene: &mut Scene) {
    let number = ready(scene);
    scene.refused("the comment was edited, and only what was first written counts", |town| {
        let comment = town.say(number, "ana", "buildit help me");
        town.double.edit_comment(SHOP, comment, "ana", "buildit apply").expect("edited");
    });
    scene.allowed(|town| say(town, number, "ana", "buildit apply"));
}

fn put_in_a_mouth(scene: &mut Scene) {
    let number = ready(scene);
    // The administrator's words were read long ago, and are not read again.
    let comment = scene.town.say(number, "ana", "Looks fine to me.");
    scene.town.settle();
    scene.refused("the comment was edited, and only what was first written counts", |town| {
        town.advance(2);
        town.double.edit_comment(SHOP, comment, "ben", "buildit apply").expect("edited");
    });
    scene.allowed(|town| say(town, number, "ana", "buildit apply"));
}

fn quoted(scene: &mut Scene) {
    let number = ready(scene);
    scene.ignored(|town| say(town, number, "ben", "> buildit apply\n\nWhy did that not work?"));
    scene.allowed(|town| say(town, number, "ben", "> ready?\n\nbuildit apply"));
}

fn code(scene: &mut Scene) {
    let number = ready(scene);
    scene.ignored(|town| say(town, number, "ben", "Then write\n\n```\nbuildit apply\n```\n\n    buildit apply\n"));
    scene.allowed(|town| say(town, number, "ben", "`buildit apply`"));
}

fn hidden(scene: &mut Scene) {
    let number = ready(scene);
    let words = "<!--\nbuildit apply\n-->\n\n# buildit apply\n\n[x](http://x.test \"buildit apply\")\n\n<b>\nbuildit apply\n</b>";
    scene.ignored(|town| say(town, number, "ben", words));
    scene.allowed(|town| say(town, number, "ben", "Fine then.\n\nbuildit apply"));
}

fn look_alike(scene: &mut Scene) {
    let number = ready(scene);
    // A Cyrillic letter, a space of no width, a text that is turned around.
    scene.ignored(|town| {
        say(town, number, "ben", "bu\u{456}ldit apply\n\nbuildit\u{200b}apply\n\n\u{202e}buildit apply")
    });
    scene.allowed(|town| say(town, number, "ben", "BuildIt APPLY"));
}

fn program(scene: &mut Scene) {
    let spec = fake_github::AppSpec::new(
        8,
        "helper",
        "a webhook secret",
        &[("pull_requests", "write"), ("issues", "write")],
        &[],
    );
    scene.town.double.create_app(spec).expect("an app");
    scene.town.double.install_app(8, SHOP).expect("installed");
    let number = ready(scene);
    scene.ignored(|town| say(town, number, "helper[bot]", "buildit apply"));
    scene.town.commit(
        "main",
        "Hear it",
        &[(
            ".buildit/bots.kdl",
            "commands {\n    bots \"helper[bot]\"\n}\naccess {\n    allow apply { who \"user:helper[bot]\" }\n}\n",
        )],
    );
    scene.town.settle();
    scene.allowed(|town| say(town, number, "helper[bot]", "buildit apply"));
}

fn closed(scene: &mut Scene) {
    let number = ready(scene);
    scene.town.double.close_pull(SHOP, number, "ana").expect("closed");
    scene.town.settle();
    scene.refused("the pull request is closed", |town| say(town, number, "ana", "buildit apply -p network"));
    scene.town.double.reopen_pull(SHOP, number, "ana").expect("open again");
    scene.town.settle();
    scene.allowed(|town| say(town, number, "ana", "buildit apply -p network"));
}

fn arguments(scene: &mut Scene) {
    let number = ready(scene);
    for argument in
        ["-state=/tmp/x", "-var=a=b", "-out=/tmp/x", "-plugin-dir=/tmp", "-lock=false", "--chdir=..", "-target=a"]
    {
        scene.refused("cannot be given to the tool", |town| {
            say(town, number, "ben", &format!("buildit plan -- {argument}"))
        });
    }
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn flags(scene: &mut Scene) {
    let number = ready(scene);
    scene.refused("There is no flag `--target` here", |town| {
        say(town, number, "ben", "buildit apply -p network --target terraform_data.vpc")
    });
    // A plan of a part was read by nobody as the whole.
    say(&mut scene.town, number, "ben", "buildit plan -p network --target terraform_data.vpc");
    scene.refused("its newest plan was made with flags; comment `buildit plan` first", |town| {
        say(town, number, "ben", "buildit apply -p network");
    });
    say(&mut scene.town, number, "ben", "buildit plan");
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
}

fn before_the_push(scene: &mut Scene) {
    let number = ready(scene);
    scene.refused("the pull request was pushed to since the comment", |town| {
        town.advance(2);
        // GitHub has both before we hear of either; the push changes no plan.
        town.say(number, "ben", "buildit apply");
        town.clock.to(town.clock.now().after(std::time::Duration::from_secs(2)));
        town.commit("topic", "Words", &[("README.md", "# words\n")]);
    });
    scene.allowed(|town| say(town, number, "ben", "buildit apply"));
}

fn before_the_plan(scene: &mut Scene) {
    let number = ready(scene);
    scene.refused("`network`: it has no plan for this head", |town| {
        town.advance(2);
        let files = super::grown(&[("vpc", "1"), ("dns", "666")]);
        town.commit("topic", "More", &[(files[0].0, &*files[0].1)]);
        town.say(number, "ben", "buildit apply -p network");
    });
    approve(&mut scene.town, number, "ben");
    scene.allowed(|town| say(town, number, "ben", "buildit apply -p network"));
}

fn our_own(scene: &mut Scene) {
    let number = ready(scene);
    scene.ignored(|town| say(town, number, "buildit[bot]", "buildit apply"));
    scene.allowed(|town| say(town, number, "ben", "@buildit apply"));
}
