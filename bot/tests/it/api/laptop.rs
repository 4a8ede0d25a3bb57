//! terraform and OpenTofu on a laptop, by an API token.

use std::path::Path;

use super::*;
use crate::state::{Desk, begin, end, net, with_both};

const MAIN: &str = "resource \"terraform_data\" \"a\" {\n  input = \"one\"\n}\n";

fn backend(scene: &Scene) -> String {
    format!("{}/api/v1/repos/acme/infra/state/backend/infra/net", scene.url)
}

async fn a_laptop_works_under_the_lock_and_its_own_name(program: &Path) {
    let scene = known(&Database::Sqlite).await;
    let me = token(&scene, &[Scope::StateWrite], Bound::Repository(REPO)).await;
    let mut desk = Desk::new(program, &backend(&scene), &me, MAIN);
    desk.run(&["init"]).ok();
    desk.run(&["apply", "-auto-approve"]).ok();
    desk.run(&["state", "mv", "terraform_data.a", "terraform_data.b"]).ok();
    let head = scene.states.head(REPO, &net()).await.expect("read").expect("a state");
    assert_eq!((head.actor.as_str(), head.run), ("ana (token laptop)", None));

    // Who may only read plans, and changes nothing.
    desk.set("TF_HTTP_PASSWORD", &token(&scene, &[Scope::StateRead], Bound::Everywhere).await);
    desk.run(&["plan", "-lock=false"]).ok();
    desk.run(&["apply", "-auto-approve"]).fails();
    // Elsewhere, or for something else, a token is none.
    for other in [
        token(&scene, &[Scope::Secrets], Bound::Everywhere).await,
        token(&scene, &[Scope::Admin], Bound::Repository(OTHER)).await,
        "bit_x".to_owned(),
    ] {
        desk.set("TF_HTTP_PASSWORD", &other);
        desk.run(&["plan", "-lock=false"]).fails();
    }
    let same = scene.states.head(REPO, &net()).await.expect("read").expect("a state");
    assert_eq!(same, head);
    scene.end().await;
}

async fn a_freeze_and_an_apply_keep_laptops_out(program: &Path) {
    let scene = known(&Database::Sqlite).await;
    let me = token(&scene, &[Scope::StateWrite], Bound::Repository(REPO)).await;
    let desk = Desk::new(program, &backend(&scene), &me, MAIN);
    desk.run(&["init"]).ok();
    let mut tx = begin(&scene.database).await;
    let freeze = "insert into freezes (scope, why, actor, at) values ('server', 'we move', 'eve', 0)";
    sqlx::query(freeze).execute(&mut tx).await.expect("frozen");
    end(tx).await;
    let text = desk.run(&["apply", "-auto-approve"]).fails();
    if program.ends_with("tofu") {
        // terraform shows no more of it than that it is locked.
        assert!(text.contains("the state is frozen: eve froze applies: we move"), "{text}");
    }
    let mut tx = begin(&scene.database).await;
    sqlx::query("delete from freezes").execute(&mut tx).await.expect("thawed");
    end(tx).await;
    // An apply has the lock.
    let apply = scene.apply(1).await;
    assert_eq!(scene.ask("LOCK", Some(&apply), "", info("A", "ci@host")).await.status, 200);
    let text = desk.run(&["apply", "-auto-approve"]).fails();
    assert!(text.contains("Error acquiring the state lock"), "{text}");
    scene.ask("UNLOCK", Some(&apply), "", info("A", "")).await;
    desk.run(&["apply", "-auto-approve"]).ok();
    scene.end().await;
}

async fn force_unlock_ends_a_dead_lock(program: &Path) {
    let scene = known(&Database::Sqlite).await;
    let me = token(&scene, &[Scope::StateWrite], Bound::Repository(REPO)).await;
    let desk = Desk::new(program, &backend(&scene), &me, MAIN);
    desk.run(&["init"]).ok();
    // Of a run that is no more.
    let apply = scene.apply(1).await;
    assert_eq!(scene.ask("LOCK", Some(&apply), "", info("dead", "ci@host")).await.status, 200);
    desk.run(&["apply", "-auto-approve"]).fails();
    desk.run(&["force-unlock", "-force", "dead"]).ok();
    desk.run(&["apply", "-auto-approve"]).ok();
    let late = scene.ask("POST", Some(&apply), "?ID=dead", state(9, "late")).await;
    assert_eq!(late.status, 409, "what of it is still alive changes nothing");
    scene.end().await;
}

with_both!(
    a_laptop_works_under_the_lock_and_its_own_name,
    a_freeze_and_an_apply_keep_laptops_out,
    force_unlock_ends_a_dead_lock,
);
