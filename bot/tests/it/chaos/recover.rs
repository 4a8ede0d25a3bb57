//! The ways back (R5): what a tool could not store is stored by one click, and what was made and nothing knows is
//! imported by one click, with real tools.

use std::collections::BTreeSet;

use model::id::StackName;
use model::stack::Tool;

use super::life::{Signal, send, until};
use super::scene::{Scene, Serve, TRUTH, known, pid, three};
use crate::serving::SHOP;

/// Of each kind one is mended by the button of its check, and one by a comment.
const KILLED: [&str; 2] = ["killed-a", "killed-b"];
const UNSTORED: [&str; 2] = ["unstored-a", "unstored-b"];

fn list(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|it| format!("terraform_data.{it}")).collect()
}

/// Four applies, two of which are killed half way, and two of which cannot store what they made.
async fn lost(scene: &mut Scene) -> u64 {
    scene.start().await;
    let go = scene.dir.path().join("go");
    let main = |name: &str, waits| (format!("{name}/main.tf"), three(&scene.journal(name), waits));
    let mut files: Vec<_> = KILLED.iter().map(|name| main(name, Some(&*go))).collect();
    files.extend(UNSTORED.iter().map(|name| main(name, None)));
    let pull = scene.open("one", &files);
    for name in KILLED.iter().chain(&UNSTORED) {
        scene.reads(pull, name, "+3").await;
    }
    scene.approve(pull).await;
    for name in KILLED.iter().chain(&UNSTORED) {
        scene.gate.set_full(name, UNSTORED.contains(name));
        scene.reads(pull, name, "`buildit apply`").await;
    }
    scene.say(pull, "buildit apply").await;
    for name in KILLED {
        until("the middle", || scene.made(name) == "ab").await;
        scene.reads(pull, name, "the apply: 1 of 3 changes").await;
        send(pid(&scene.job(name, "apply"), "step.json"), Signal::Kill);
    }
    std::fs::write(go, "").expect("written");
    for name in KILLED.iter().chain(&UNSTORED) {
        scene.reads(pull, name, "its worker was lost").await;
        scene.gate.set_full(name, false);
    }
    pull
}

/// Somebody is told what was made, and how to go on.
async fn is_told(scene: &Scene, pull: u64, stack: &str, words: &[&str]) {
    let told = |seen: &bot::app::onlooker::Seen| {
        let start = format!("### The apply of `{stack}` lost its worker");
        let notice = seen.comments.iter().find(|it| it.body.contains(&start) && !it.body.contains("buildit:summary"));
        notice.is_some_and(|it| words.iter().all(|words| it.body.contains(words)))
    };
    scene.sees(pull, TRUTH, &format!("{stack}: {words:?}"), told).await;
}

async fn ways_back(tool: Tool) {
    let Some(program) = crate::town::real::program(tool) else { return };
    let stacks = [KILLED, UNSTORED].concat();
    let mut scene = Scene::new(&stacks, &Serve { tool: &program, slots: 4, more: "" }).await;
    let pull = lost(&mut scene).await;
    let (states, store) = scene.states().await;
    let repo = scene.repo().await;
    let name = |stack: &str| StackName::parse(stack).expect("a name");
    for stack in KILLED {
        let command = format!("buildit recover -p {stack}");
        is_told(&scene, pull, stack, &["1 resource exists", "terraform_data.a", &command]).await;
        assert!(known(&states, repo, &name(stack)).await.is_empty());
    }
    for stack in UNSTORED {
        let command = format!("buildit approve state -p {stack}");
        is_told(&scene, pull, stack, &["could not store the state", &command]).await;
        assert!(known(&states, repo, &name(stack)).await.is_empty());
    }

    // Who may only write is refused, and nothing goes on.
    super::scene::next_second().await;
    let refused = format!("buildit recover -p {0}\nbuildit approve state -p {1}", KILLED[0], UNSTORED[0]);
    scene.double.comment(SHOP, pull, "ben", &refused).expect("a comment");
    let words = |seen: &bot::app::onlooker::Seen| {
        seen.comments.iter().any(|it| it.body.contains(KILLED[0]) && it.body.contains("maintain"))
    };
    scene.sees(pull, TRUTH, "the refusal", words).await;

    // One click each, or one line.
    scene.double.press_button(SHOP, pull, "ana", &format!("plan: {}", KILLED[0]), "recover").expect("pressed");
    scene.double.press_button(SHOP, pull, "ana", &format!("plan: {}", UNSTORED[0]), "push-state").expect("pressed");
    scene.say(pull, &format!("buildit recover -p {}\nbuildit approve state -p {}", KILLED[1], UNSTORED[1])).await;
    for stack in UNSTORED {
        scene.reads(pull, stack, "no changes").await;
        assert_eq!(known(&states, repo, &name(stack)).await, list(&["a", "b", "c"]), "{stack}");
        assert_eq!(scene.made(stack), "abc");
    }
    // Imports are shown, reviewed and applied as anything else.
    for stack in KILLED {
        scene.reads(pull, stack, "approvals 0 of 1").await;
        let imported = |seen: &bot::app::onlooker::Seen| {
            seen.check(&format!("plan: {stack}")).is_some_and(|check| check.summary.contains("1 to import"))
        };
        scene.sees(pull, TRUTH, "the import", imported).await;
    }
    scene.approve(pull).await;
    for stack in KILLED {
        scene.reads(pull, stack, "`buildit apply`").await;
    }
    scene.say(pull, "buildit apply").await;
    for stack in KILLED {
        scene.reads(pull, stack, "[applied, 3 of 3 changes]").await;
        assert_eq!(known(&states, repo, &name(stack)).await, list(&["a", "b", "c"]), "{stack}");
        let made = scene.made(stack);
        assert_eq!(made.matches('a').count(), 1, "{stack}: what was made is not made again: {made}");
    }
    assert_eq!(scene.double.violations(), Vec::<String>::new());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_terraform_lost_comes_back_by_one_click() {
    ways_back(Tool::Terraform).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tofu_lost_comes_back_by_one_click() {
    ways_back(Tool::OpenTofu).await;
}
