//! Every route against every scope and place: what a token is not good for is not done, and says what would be.

use super::*;

/// Method, path below `/api/v1`, body, what it needs, what is answered to who may.
type Route = (&'static str, &'static str, &'static str, Scope, u16);

/// A route without an entry here is not proved: see `every_route_is_in_the_matrix`.
const ROUTES: [Route; 13] = [
    ("GET", "/repos/acme/infra/state", "", Scope::StateRead, 200),
    ("GET", "/repos/acme/infra/state/versions/infra/net", "", Scope::StateRead, 200),
    ("GET", "/repos/acme/infra/state/download/infra/net", "", Scope::StateRead, 200),
    ("GET", "/repos/acme/infra/state/lock/infra/net", "", Scope::StateRead, 200),
    ("POST", "/repos/acme/infra/state/rollback/infra/net", r#"{"version":9}"#, Scope::StateWrite, 404),
    ("POST", "/repos/acme/infra/state/promote/infra/net", r#"{"version":1}"#, Scope::StateWrite, 409),
    ("POST", "/repos/acme/infra/state/unlock/infra/net", r#"{"id":"x"}"#, Scope::StateWrite, 409),
    ("POST", "/repos/acme/infra/state/import/infra/net", "{}", Scope::StateWrite, 422),
    ("GET", "/repos/acme/infra/secrets", "", Scope::Secrets, 200),
    ("PUT", "/repos/acme/infra/secrets/A", r#"{"value":"correct-horse"}"#, Scope::Secrets, 200),
    ("DELETE", "/repos/acme/infra/secrets/B", "", Scope::Secrets, 404),
    ("GET", "/orgs/acme/secrets", "", Scope::Secrets, 200),
    ("PUT", "/orgs/acme/secrets/A", r#"{"value":"correct-horse"}"#, Scope::Secrets, 200),
];

async fn try_route(scene: &Scene, route: &Route, token: Option<&str>) -> Told {
    call(scene, route.0, &format!("/api/v1{}", route.1), token, route.2).await
}

#[tokio::test]
async fn a_token_does_what_its_scope_says_and_nothing_else() {
    let scene = known(&Database::Sqlite).await;
    three(&scene).await;
    let admin = token(&scene, &[Scope::Admin], Bound::Everywhere).await;
    for route in &ROUTES {
        for scope in Scope::ALL {
            let token = token(&scene, &[scope], Bound::Everywhere).await;
            let told = try_route(&scene, route, Some(&token)).await;
            let gives =
                scope == route.3 || scope == Scope::Admin || (scope, route.3) == (Scope::StateWrite, Scope::StateRead);
            if gives {
                assert_eq!(told.status, route.4, "{route:?} with {scope:?}: {}", told.text);
            } else {
                assert_eq!(told.status, 403, "{route:?} with {scope:?}: {}", told.text);
                assert!(told.what().contains(route.3.name()), "{}", told.text);
            }
        }
        assert_eq!(try_route(&scene, route, Some(&admin)).await.status, route.4, "{route:?}");
    }
    scene.end().await;
}

#[tokio::test]
async fn without_a_good_token_nothing_is_answered() {
    let scene = known(&Database::Sqlite).await;
    three(&scene).await;
    let revoked = token(&scene, &[Scope::Admin], Bound::Everywhere).await;
    tokens(&scene).revoke("laptop", &Actor::command_line()).await.expect("revoked");
    let run = scene.apply(2).await;
    for route in &ROUTES {
        for token in [None, Some(""), Some("bit_AAAA"), Some(revoked.as_str()), Some(run.as_str())] {
            let told = try_route(&scene, route, token).await;
            assert_eq!(told.status, 401, "{route:?} with {token:?}: {}", told.text);
            assert!(!told.what().is_empty());
        }
        // Not by another header, nor as a query.
        let url = format!("{}/api/v1{}?access_token={revoked}", scene.url, route.1);
        assert_eq!(ask(route.0, &url, Some(&revoked), &[], Bytes::new()).await.status, 401, "{route:?}");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_token_is_good_in_its_place_only() {
    let scene = known(&Database::Sqlite).await;
    three(&scene).await;
    let of = async |bound| token(&scene, &[Scope::Admin], bound).await;
    let everywhere = of(Bound::Everywhere).await;
    let infra = of(Bound::Repository(REPO)).await;
    let other = of(Bound::Repository(OTHER)).await;
    let acme = of(Bound::Owner("Acme".to_owned())).await;
    let other_owner = of(Bound::Owner("other".to_owned())).await;
    for route in &ROUTES {
        for token in [&everywhere, &acme] {
            assert_eq!(try_route(&scene, route, Some(token)).await.status, route.4, "{route:?}");
        }
        let of_owner = route.1.starts_with("/orgs/");
        let told = try_route(&scene, route, Some(&infra)).await;
        assert_eq!(told.status, if of_owner { 403 } else { route.4 }, "{route:?}: {}", told.text);
        for token in [&other, &other_owner] {
            let told = try_route(&scene, route, Some(token)).await;
            assert_eq!(told.status, if of_owner { 403 } else { 404 }, "{route:?}: {}", told.text);
            // As if there were no such repository.
            let nowhere = call(&scene, "GET", "/api/v1/repos/acme/nowhere/state", Some(token), "").await;
            assert_eq!(nowhere.status, 404);
            if !of_owner {
                assert_eq!(told.what().replace("infra", "nowhere"), nowhere.what());
            }
        }
    }
    scene.end().await;
}

#[test]
fn every_route_is_in_the_matrix() {
    let source = include_str!("../../../src/web/api.rs");
    let written = source.matches("get(state::").count()
        + source.matches("post(state::").count()
        + source.matches("get(secrets::").count()
        + source.matches("put(secrets::").count()
        + source.matches(".delete(secrets::").count();
    // The removal of an owner's secret is the removal of a repository's.
    assert_eq!(written, ROUTES.len() + 1, "a new route needs an entry in ROUTES");
}
