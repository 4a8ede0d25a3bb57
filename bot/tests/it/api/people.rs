//! What people do over the API, on every database, and what the audit log says of it.

use reconciler::audit::Audit;

use super::*;
use crate::town::machine::databases;

async fn audited(scene: &Scene) -> Vec<String> {
    let seal = Seal::new(Arc::new(FileKeys::open(&scene.dir.path().join("keys")).expect("the keys")));
    let mut all = Vec::new();
    let log = Audit::new(scene.store.clone(), seal);
    log.read(|it| all.push(format!("{} {} {}: {}", it.actor, it.action, it.place, it.detail))).await.expect("whole");
    all
}

#[tokio::test]
async fn versions_are_listed_read_and_brought_back() {
    for database in databases() {
        let scene = known(&database).await;
        let me = token(&scene, &[Scope::StateWrite], Bound::Repository(REPO)).await;
        let me = Some(me.as_str());
        let none = api(&scene, "GET", "/state/versions/infra/net", me, "").await;
        assert_eq!((none.status, none.what()), (404, "no state of infra/net is kept here"));
        assert_eq!(api(&scene, "GET", "/state", me, "").await.body["stacks"], serde_json::json!([]));
        three(&scene).await;

        let listed = api(&scene, "GET", "/state", me, "").await;
        let stack = &listed.body["stacks"][0];
        assert_eq!((&stack["stack"], &stack["head"]["serial"]), (&"infra/net".into(), &2.into()), "{}", listed.text);
        assert!(stack["lock"].is_null() && stack["frozen"].is_null(), "{}", listed.text);
        let versions = api(&scene, "GET", "/state/versions/infra%2Fnet", me, "").await;
        let rows: Vec<(i64, &str)> = versions.body["versions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| (it["version"].as_i64().expect("a number"), it["standing"].as_str().expect("a word")))
            .collect();
        assert_eq!(rows, [(3, "orphan"), (2, "head"), (1, "earlier")], "{}", versions.text);
        assert_eq!(api(&scene, "GET", "/state/download/infra/net", me, "").await.text, state(2, "second"));
        assert_eq!(api(&scene, "GET", "/state/download/infra/net?version=3", me, "").await.text, state(2, "refused"));

        let back = api(&scene, "POST", "/state/rollback/infra/net", me, r#"{"version":1}"#).await;
        assert_eq!(
            (back.status, &back.body["serial"], &back.body["from"]),
            (200, &3.into(), &1.into()),
            "{}",
            back.text
        );
        assert_eq!(back.body["by"], "ana (token laptop)");
        let promoted = api(&scene, "POST", "/state/promote/infra/net", me, r#"{"version":3}"#).await;
        assert_eq!((promoted.status, &promoted.body["serial"]), (200, &4.into()), "{}", promoted.text);
        assert_eq!(api(&scene, "GET", "/state/download/infra/net", me, "").await.text, state(4, "refused"));
        for (path, body) in
            [("rollback", r#"{"version":"1"}"#), ("rollback", "{}"), ("promote", r#"{"version":1,"x":2}"#)]
        {
            let wrong = api(&scene, "POST", &format!("/state/{path}/infra/net"), me, body).await;
            assert_eq!(wrong.status, 400, "{}", wrong.text);
        }
        let said = audited(&scene).await;
        assert_eq!(
            said[1..],
            [
                "ana state.rollback repo:5/infra/net: version 4, serial 3, from version 1",
                "ana state.promote repo:5/infra/net: version 5, serial 4, from version 3",
            ]
        );
        scene.end().await;
    }
}

#[tokio::test]
async fn a_state_is_brought_in_and_does_not_overwrite_by_itself() {
    let scene = known(&Database::Sqlite).await;
    let me = token(&scene, &[Scope::StateWrite], Bound::Repository(REPO)).await;
    let me = Some(me.as_str());
    let first = api(&scene, "POST", "/state/import/infra/net", me, state(7, "mine")).await;
    assert_eq!((first.status, &first.body["origin"]), (200, &"import".into()), "{}", first.text);
    let same = api(&scene, "POST", "/state/import/infra/net", me, state(7, "other")).await;
    assert!(same.status == 409 && same.what().contains("serial 7 is not above 7"), "{}", same.text);
    let replaced = api(&scene, "POST", "/state/import/infra/net?replace=true", me, state(7, "other")).await;
    assert_eq!((replaced.status, &replaced.body["serial"]), (200, &8.into()), "{}", replaced.text);
    // Not while somebody works.
    let apply = scene.apply(1).await;
    scene.ask("LOCK", Some(&apply), "", info("A", "ci@host")).await;
    let held = api(&scene, "GET", "/state/lock/infra/net", me, "").await;
    assert_eq!(
        (&held.body["lock"]["id"], &held.body["lock"]["who"]),
        (&"A".into(), &"ci@host".into()),
        "{}",
        held.text
    );
    let locked = api(&scene, "POST", "/state/import/infra/net", me, state(9, "now")).await;
    assert!(locked.status == 423 && locked.what().contains("lock A"), "{}", locked.text);
    let unlocked = api(&scene, "POST", "/state/unlock/infra/net", me, r#"{"id":"A"}"#).await;
    assert_eq!((unlocked.status, &unlocked.body["unlocked"]["id"]), (200, &"A".into()), "{}", unlocked.text);
    assert_eq!(api(&scene, "POST", "/state/import/infra/net", me, state(9, "now")).await.status, 200);
    scene.end().await;
}

#[tokio::test]
async fn secrets_go_in_and_never_out() {
    for database in databases() {
        let scene = known(&database).await;
        let me = token(&scene, &[Scope::Secrets], Bound::Owner("acme".to_owned())).await;
        let me = Some(me.as_str());
        let set = api(&scene, "PUT", "/secrets/DB_PASSWORD", me, r#"{"value":"correct-horse"}"#).await;
        assert_eq!((set.status, &set.body["version"]), (200, &1.into()), "{}", set.text);
        call(&scene, "PUT", "/api/v1/orgs/acme/secrets/SHARED", me, r#"{"value":"battery-staple"}"#).await;
        let own = api(&scene, "GET", "/secrets", me, "").await;
        let shared = call(&scene, "GET", "/api/v1/orgs/acme/secrets", me, "").await;
        assert_eq!(own.body["secrets"][0]["name"], "DB_PASSWORD");
        assert_eq!(shared.body["secrets"][0]["name"], "SHARED");
        assert_eq!(api(&scene, "GET", "/secrets/DB_PASSWORD", me, "").await.status, 405, "no route gives one");
        for (body, status) in [
            (r#"{"value":"x"}"#, 422),
            (r#"{"value":7}"#, 400),
            (r#"{"values":"correct-horse"}"#, 400),
            ("hunter2-hunter2", 400),
        ] {
            let wrong = api(&scene, "PUT", "/secrets/A", me, body).await;
            assert_eq!(wrong.status, status, "{}", wrong.text);
            assert!(!wrong.text.contains("hunter2") && !wrong.text.contains("correct"), "{}", wrong.text);
        }
        assert_eq!(api(&scene, "PUT", "/secrets/a%20b", me, r#"{"value":"correct-horse"}"#).await.status, 400);
        assert_eq!(api(&scene, "DELETE", "/secrets/DB_PASSWORD", me, "").await.status, 204);
        assert_eq!(api(&scene, "DELETE", "/secrets/DB_PASSWORD", me, "").await.status, 404);
        assert_eq!(call(&scene, "DELETE", "/api/v1/orgs/acme/secrets/SHARED", me, "").await.status, 204);
        let said = audited(&scene).await;
        assert_eq!(
            said[1..],
            [
                "ana secret.set repo:5/DB_PASSWORD: version 1",
                "ana secret.set org:acme/SHARED: version 1",
                "ana secret.remove repo:5/DB_PASSWORD: version 2",
                "ana secret.remove org:acme/SHARED: version 2",
            ]
        );
        let seen =
            [&own.text, &shared.text].iter().any(|text| text.contains("correct-horse") || text.contains("staple"));
        assert!(!seen && !said.join("").contains("correct-horse"));
        scene.end().await;
    }
}

#[tokio::test]
async fn a_token_says_what_it_is_good_for() {
    let scene = known(&Database::Sqlite).await;
    let me = token(&scene, &[Scope::StateRead, Scope::Plan], Bound::Repository(REPO)).await;
    let told = call(&scene, "GET", "/api/v1/me", Some(&me), "").await;
    assert_eq!((told.status, &told.body["owner"], &told.body["token"]), (200, &"ana".into(), &"laptop".into()));
    assert_eq!(told.body["scopes"], serde_json::json!(["plan", "state:read"]));
    assert_eq!(told.body["bound"], serde_json::json!({ "repository": 5 }));
    let missing = call(&scene, "GET", "/api/v1/nothing", Some(&me), "").await;
    assert_eq!((missing.status, missing.what()), (404, "there is no such route"));
    scene.end().await;
}
