//! terraform and OpenTofu on a state that is kept here.

use reconciler::states::Standing;

use super::*;

const MAIN: &str =
    "resource \"terraform_data\" \"a\" {\n  input = \"one\"\n}\noutput \"id\" {\n  value = terraform_data.a.id\n}\n";

async fn the_whole_life_of_a_stack(program: &Path) {
    let scene = Scene::start(&Database::Sqlite).await;
    let mut desk = Desk::new(program, &scene.address(), &scene.apply(1).await, MAIN);
    desk.run(&["init"]).ok();
    // A plan neither locks nor writes, and needs no more than to read.
    desk.set("TF_HTTP_PASSWORD", &scene.reader(2).await);
    assert_eq!(desk.run(&["plan", "-lock=false", "-detailed-exitcode", "-out=plan.bin"]).code, Some(2));
    assert!(scene.states.head(REPO, &net()).await.expect("read").is_none());
    desk.set("TF_HTTP_PASSWORD", &scene.apply(3).await);
    desk.run(&["apply", "plan.bin"]).ok();
    let first = scene.states.head(REPO, &net()).await.expect("read").expect("a state");
    assert_eq!((first.serial, first.run), (1, Some(run(3))));
    assert!(desk.run(&["output", "-raw", "id"]).ok().len() >= 36);

    desk.run(&["state", "mv", "terraform_data.a", "terraform_data.b"]).ok();
    desk.write("main.tf", "resource \"terraform_data\" \"b\" {\n  input = \"one\"\n}\n");
    assert_eq!(desk.run(&["plan", "-detailed-exitcode"]).code, Some(2), "the output goes");
    let pulled = desk.run(&["state", "pull"]).ok();
    let mut pulled: serde_json::Value = serde_json::from_str(&pulled).expect("a state");
    assert_eq!(pulled["resources"][0]["name"], "b", "{pulled}");
    pulled["serial"] = 7.into();
    desk.write("pulled.json", &pulled.to_string());
    desk.run(&["state", "push", "pulled.json"]).ok();
    desk.run(&["destroy", "-auto-approve"]).ok();

    let versions = scene.states.versions(REPO, &net()).await.expect("read");
    let serials: Vec<i64> = versions.iter().rev().map(|it| it.serial).collect();
    assert_eq!(serials.len(), 4, "{versions:?}");
    assert!(serials.windows(2).all(|pair| pair[0] < pair[1]) && serials[2] >= 7, "{serials:?}");
    assert!(versions.iter().all(|it| !matches!(it.standing, Standing::Orphan { .. })), "{versions:?}");
    let stack = scene.states.stack(REPO, &net()).await.expect("read").expect("known");
    assert_eq!((stack.lock, stack.frozen), (None, None));
    assert_eq!(stack.head.expect("an empty state").serial, *serials.last().expect("four"));
    scene.end().await;
}

async fn a_conflict_shows_the_holder(program: &Path) {
    let scene = Scene::start(&Database::Sqlite).await;
    let token = scene.apply(1).await;
    let mut desk = Desk::new(program, &scene.address(), &token, MAIN);
    desk.run(&["init"]).ok();
    let id = "0f1a-holder";
    assert_eq!(scene.ask("LOCK", Some(&token), "", info(id, "ben@laptop")).await.status, 200);
    desk.set("TF_HTTP_PASSWORD", &scene.apply(2).await);
    let text = desk.run(&["apply", "-auto-approve", "-lock-timeout=0s"]).fails();
    assert!(text.contains("Error acquiring the state lock") && text.contains(id), "{text}");
    if program.ends_with("tofu") {
        // terraform prints the asker in its place.
        assert!(text.contains("ben@laptop") && text.contains(&format!("run {}", run(1))), "{text}");
    }
    // A plan without a lock goes on beside it.
    desk.run(&["plan", "-lock=false"]).ok();
    scene.end().await;
}

async fn force_unlock_is_for_the_holder(program: &Path) {
    let scene = Scene::start(&Database::Sqlite).await;
    let token = scene.apply(1).await;
    let mut desk = Desk::new(program, &scene.address(), &token, MAIN);
    desk.run(&["init"]).ok();
    assert_eq!(scene.ask("LOCK", Some(&token), "", info("dead", "ci@host")).await.status, 200);
    desk.set("TF_HTTP_PASSWORD", &scene.apply(2).await);
    desk.run(&["force-unlock", "-force", "dead"]).fails();
    assert!(scene.states.stack(REPO, &net()).await.expect("read").expect("known").lock.is_some());
    desk.set("TF_HTTP_PASSWORD", &token);
    desk.run(&["force-unlock", "-force", "dead"]).ok();
    assert_eq!(scene.states.stack(REPO, &net()).await.expect("read").expect("known").lock, None);
    scene.end().await;
}

async fn a_workspace_is_refused_with_the_reason(program: &Path) {
    let scene = Scene::start(&Database::Sqlite).await;
    let mut desk = Desk::new(program, &scene.address(), &scene.apply(1).await, MAIN);
    desk.run(&["init"]).ok();
    let text = desk.run(&["workspace", "new", "blue"]).fails();
    assert!(text.contains("workspaces not supported"), "{text}");
    desk.set("TF_WORKSPACE", "blue");
    let text = desk.run(&["plan", "-lock=false"]).fails();
    assert!(text.contains("workspaces not supported"), "{text}");
    scene.end().await;
}

with_both!(
    the_whole_life_of_a_stack,
    a_conflict_shows_the_holder,
    force_unlock_is_for_the_holder,
    a_workspace_is_refused_with_the_reason,
);
