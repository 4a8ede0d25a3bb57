//! The API by token: who may do what where, what is answered, and the command line over it.

mod command_line;
mod laptop;
mod matrix;
mod people;

use std::sync::Arc;
use std::time::Duration;

use bot::clock::{SystemClock, UuidIds};
use bot::keys::FileKeys;
use bytes::Bytes;
use model::id::{InstallationId, RepoId, RepoName};
use reconciler::audit::Actor;
use reconciler::inbox::{Delivery, Hint};
use reconciler::seal::Seal;
use reconciler::tokens::{Bound, NewToken, Scope, Tokens};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::state::{REPO, Scene, ask, info, state};
use crate::town::machine::Database;

const OTHER: RepoId = RepoId::new(6);

fn name(text: &str) -> RepoName {
    RepoName::parse(text).expect("a name")
}

/// A server that knows acme/infra and other/infra.
async fn known(database: &Database) -> Scene {
    let scene = Scene::start(database).await;
    let hint = |repo, text| Hint::Repository { installation: InstallationId::new(7), repo, name: name(text) };
    let hints = vec![hint(REPO, "acme/infra"), hint(OTHER, "other/infra")];
    let delivery = Delivery { id: "one".to_owned(), event: "installation".to_owned(), action: None, hints };
    scene.server.inbox.note(delivery).await.expect("noted");
    scene
}

fn tokens(scene: &Scene) -> Tokens {
    let seal = Seal::new(Arc::new(FileKeys::open(&scene.dir.path().join("keys")).expect("the keys")));
    Tokens::new(scene.store.clone(), seal, Arc::new(SystemClock::new()), Arc::new(UuidIds::new()))
}

/// A new token of ana.
async fn token(scene: &Scene, scopes: &[Scope], bound: Bound) -> String {
    let (name, owner) = ("laptop".to_owned(), "ana".to_owned());
    let lasts = Some(Duration::from_secs(3600));
    let new = NewToken { name, owner, scopes: scopes.iter().copied().collect(), bound, lasts };
    let (_, text) = tokens(scene).create(new, &Actor::command_line()).await.expect("made");
    text.expose_secret().to_owned()
}

struct Told {
    status: u16,
    body: Value,
    text: String,
}

impl Told {
    /// What is wrong.
    fn what(&self) -> &str {
        assert!(self.body["error"]["do"].as_str().is_some_and(|help| !help.is_empty()), "{}", self.text);
        self.body["error"]["what"].as_str().unwrap_or_default()
    }
}

/// A request to the API of acme/infra; `path` is what comes behind that.
async fn api(scene: &Scene, method: &str, path: &str, token: Option<&str>, body: impl Into<Bytes>) -> Told {
    call(scene, method, &format!("/api/v1/repos/acme/infra{path}"), token, body).await
}

async fn call(scene: &Scene, method: &str, path: &str, token: Option<&str>, body: impl Into<Bytes>) -> Told {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
    let answer = ask(method, &format!("{}{path}", scene.url), None, &headers, body.into()).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    let body = serde_json::from_str(&answer.body).unwrap_or_default();
    Told { status: answer.status, body, text: answer.body }
}

/// Two versions of infra/net, and one that was refused.
async fn three(scene: &Scene) {
    let token = scene.apply(1).await;
    scene.ask("LOCK", Some(&token), "", info("A", "")).await;
    for (serial, what) in [(1, "first"), (2, "second"), (2, "refused")] {
        scene.ask("POST", Some(&token), "?ID=A", state(serial, what)).await;
    }
    scene.ask("UNLOCK", Some(&token), "", info("A", "")).await;
}
