//! Kills of the server under load (R1): pushes and comments go on, webhooks come in all the time, some twice, late or
//! not at all, and the server is killed again and again. In the end nothing that it accepted is lost, and nothing is
//! done twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bot::app::onlooker::Seen;
use fake_github::{DeliveryRecord, Mishap, signature};
use sqlx::Row as _;

use super::life::pause;
use super::scene::{Scene, Serve};
use crate::serving::{SECRET, SHOP};
use crate::state::{Dice, try_ask};

/// Kills of one round, which has a scene of its own.
const KILLS: usize = 50;
/// Pull requests, each with a stack of its own.
const PULLS: usize = 4;
/// All is as it should be within this after the last start.
const SETTLED: Duration = Duration::from_secs(60);
/// Looks at most until a kill, should the server have nothing to do.
const LOOKS: usize = 80;

/// A program that plans as terraform does, quickly, and notes what it planned.
fn tool(dir: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let (program, journal) = (dir.join("terraform"), dir.join("planned"));
    let show = r#"{"format_version":"1.2","terraform_version":"1.11.4","resource_changes":[]}"#;
    let text = format!(
        "#!/bin/sh\ncase $1 in\nversion) echo 'Terraform v1.11.4' ;;\nplan) cat main.tf >> {}\nfor it in \"$@\"; do \
         case $it in -out=*) echo plan > \"${{it#-out=}}\" ;; esac; done ;;\nshow) echo '{show}' ;;\nesac\n",
        journal.display()
    );
    std::fs::write(&program, text).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a program");
    program
}

/// What people did so far.
#[derive(Default)]
struct Town {
    /// What each pull request's stack says now.
    texts: BTreeMap<u64, String>,
    /// Comments that ask for an answer, with their pull request.
    asked: Vec<(u64, u64)>,
    pushes: usize,
}

impl Town {
    fn open(&mut self, scene: &Scene) {
        for at in 0..PULLS {
            let text = format!("# stack s{at}, push 0\n");
            let number = scene.open(&format!("b{at}"), &[(format!("s{at}/main.tf"), text.clone())]);
            self.texts.insert(number, text);
        }
    }

    /// Somebody pushes or comments; what GitHub tells of it may come twice, late or never.
    fn go_on(&mut self, scene: &Scene, dice: &mut Dice) {
        match dice.below(8) {
            0 => scene.double.disturb_next("*", 1, Mishap::Twice),
            1 => scene.double.disturb_next("*", 1, Mishap::Late(2)),
            2 => scene.double.disturb_next("*", 1, Mishap::Lost),
            _ => {}
        }
        let at = dice.below(PULLS);
        let number = *self.texts.keys().nth(at).expect("a pull request");
        if dice.below(2) == 0 {
            self.pushes += 1;
            let text = format!("# stack s{at}, push {}\n", self.pushes);
            let change = fake_github::Change::write(format!("s{at}/main.tf"), &text);
            scene.double.commit_files(SHOP, &format!("b{at}"), "ana", "more", &[change]).expect("a commit");
            self.texts.insert(number, text);
        } else {
            let comment = scene.double.comment(SHOP, number, "ana", "buildit status").expect("a comment");
            self.asked.push((number, comment));
        }
    }
}

/// Does it say something? What our own checks and comments cause is answered, and nothing is to be kept of it.
fn says(record: &DeliveryRecord) -> bool {
    record.event == "pull_request" || (record.event == "issue_comment" && record.payload.contains("buildit status"))
}

/// Webhooks that come all the time, in names of their own; gives those that were accepted.
async fn hints(url: String, records: Vec<DeliveryRecord>, (round, stop): (usize, Arc<AtomicBool>)) -> Vec<String> {
    let mut accepted = Vec::new();
    for (at, record) in records.iter().cycle().enumerate() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let guid = format!("hint-{round}-{at}");
        let signed = signature(SECRET, record.payload.as_bytes());
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", record.event.as_str()),
            ("x-github-delivery", guid.as_str()),
            ("x-hub-signature-256", signed.as_str()),
        ];
        let answer = try_ask("POST", &url, None, &headers, record.payload.clone().into()).await;
        if answer.is_ok_and(|answer| answer.status / 100 == 2) {
            accepted.push(guid);
        }
        // Else it is being killed. A pull request is looked at again for each, so that some time is left for the rest.
        pause().await;
    }
    accepted
}

/// One life of the server, from its start to its kill somewhere in its work.
async fn life(scene: &mut Scene, town: &mut Town, dice: &mut Dice, round: usize) -> Vec<String> {
    scene.start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let records: Vec<DeliveryRecord> = scene.double.deliveries().into_iter().filter(says).rev().take(20).collect();
    let hints = tokio::spawn(hints(format!("{}/webhook", scene.url), records, (round, Arc::clone(&stop))));
    for _ in 0..=dice.below(3) {
        town.go_on(scene, dice);
    }
    let goal = scene.double.requests() + u64::try_from(dice.below(200)).expect("small");
    for _ in 0..dice.below(LOOKS) {
        if scene.double.requests() >= goal {
            break;
        }
        pause().await;
    }
    scene.kill();
    stop.store(true, Ordering::SeqCst);
    if dice.below(3) == 0 {
        // While nobody hears it.
        town.go_on(scene, dice);
    }
    hints.await.expect("no panic")
}

fn replies(seen: &Seen, comment: u64) -> usize {
    let marker = format!("<!-- buildit:reply:{comment}:");
    seen.comments.iter().filter(|it| it.body.contains(&marker)).count()
}

async fn settled(scene: &Scene, town: &Town) {
    for number in town.texts.keys() {
        let done = |seen: &Seen| {
            let planned = seen.check("buildit/plan").is_some_and(|it| it.conclusion.as_deref() == Some("success"));
            planned && town.asked.iter().filter(|it| it.0 == *number).all(|it| replies(seen, it.1) > 0)
        };
        scene.sees(*number, SETTLED, "every head planned and every comment answered", done).await;
    }
    scene.rests().await;
}

/// What was accepted is known, and what was done was done once.
async fn check(scene: &Scene, town: &Town, mut accepted: Vec<String>, dir: &Path) {
    let of_github = scene.double.deliveries().into_iter().filter(|it| it.status.is_some_and(|it| it / 100 == 2));
    accepted.extend(of_github.filter(says).map(|it| it.guid));
    let rows = scene.rows("select id from deliveries").await;
    let known: std::collections::BTreeSet<String> = rows.iter().map(|row| row.get("id")).collect();
    for guid in &accepted {
        assert!(known.contains(guid), "{guid} was accepted and is lost");
    }
    for number in town.texts.keys() {
        let seen = scene.eyes.look(SHOP, *number).await.expect("GitHub answers");
        for (_, comment) in town.asked.iter().filter(|it| it.0 == *number) {
            assert_eq!(replies(&seen, *comment), 1, "answers to comment {comment} of #{number}");
        }
        let summaries = seen.comments.iter().filter(|it| it.body.contains("buildit:summary")).count();
        assert!(summaries <= 1, "#{number} has {summaries} summaries");
        let url =
            format!("{}/repos/{SHOP}/commits/{}/check-runs?filter=all&per_page=100", scene.double.api_url(), seen.head);
        let headers = [("authorization", "Bearer ana-token"), ("user-agent", "test")];
        let answer = try_ask("GET", &url, None, &headers, bytes::Bytes::new()).await.expect("an answer");
        let checks: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        let mut names: Vec<&str> =
            checks["check_runs"].as_array().expect("checks").iter().filter_map(|it| it["name"].as_str()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert!(all == names.len() && all > 0, "each check is there once: {names:?} of {all}");
    }
    let planned = std::fs::read_to_string(dir.join("planned")).expect("plans");
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    planned.lines().for_each(|line| *count.entry(line).or_default() += 1);
    assert!(count.values().all(|it| *it == 1), "planned twice: {count:?}");
    for text in town.texts.values() {
        assert!(count.contains_key(text.trim()), "{text:?} was never planned");
    }
    assert_eq!(scene.double.violations(), Vec::<String>::new());
    println!(
        "seen: {} webhooks accepted, {} comments answered, {} pushes, {} plans",
        accepted.len(),
        town.asked.len(),
        town.pushes,
        count.len()
    );
}

/// So many kills, from this seed.
async fn round(seed: u64, kills: usize) {
    let dir = tempfile::tempdir().expect("a directory");
    let program = tool(dir.path());
    let stacks: Vec<String> = (0..PULLS).map(|at| format!("s{at}")).collect();
    let stacks: Vec<&str> = stacks.iter().map(String::as_str).collect();
    let mut scene = Scene::new(&stacks, &Serve { tool: &program, slots: 4, more: "" }).await;
    let begun = super::life::now();
    let (mut town, mut dice, mut accepted) = (Town::default(), Dice::new(seed), Vec::new());
    town.open(&scene);
    for kill in 0..kills {
        accepted.extend(life(&mut scene, &mut town, &mut dice, kill).await);
    }
    scene.double.release_deliveries();
    scene.start().await;
    settled(&scene, &town).await;
    check(&scene, &town, accepted, dir.path()).await;
    println!("seed {seed}: {kills} kills, {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_done_twice_when_the_server_is_killed_again_and_again() {
    let rounds = if super::is_full() { 20 } else { 1 };
    for seed in 1..=rounds {
        round(seed, KILLS).await;
    }
}
