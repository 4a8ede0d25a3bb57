//! What goes wrong between a tool and the server: lost replies, a store that fails, a tool that is killed, an apply
//! that is overtaken.

use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use reconciler::states::Standing;

use super::*;

const BOUND: Duration = Duration::from_secs(60);
/// Made when a file is there, and says that it begins.
const GATED: &str = r#"
resource "terraform_data" "quick" {
  input = "one"
}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.quick]
  provisioner "local-exec" {
    command = "touch begun; while [ ! -e gate ]; do sleep 0.05; done"
  }
}
"#;
const MAIN: &str = "resource \"terraform_data\" \"a\" {\n  input = \"one\"\n}\n";

/// What a proxy does to a request of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server hears it, and its reply is lost.
    Lost,
    /// The server never hears it.
    Failed,
}

/// Of which method, what, and how often.
pub(super) type Played = (&'static str, Fault, usize);

/// A proxy before the server that plays faults, each as often as it says.
#[derive(Clone)]
pub(super) struct Proxy {
    upstream: String,
    faults: Arc<Mutex<Vec<Played>>>,
}

impl Proxy {
    pub(super) fn new(faults: &[Played]) -> Self {
        Self { upstream: String::new(), faults: Arc::new(Mutex::new(faults.to_vec())) }
    }

    /// Stands before a server; gives its own address.
    pub(super) async fn before(self, upstream: &str) -> String {
        let proxy = Self { upstream: upstream.to_owned(), ..self };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(pass).with_state(proxy);
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn fault(&self, method: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().expect("no panic");
        let found = faults.iter_mut().find(|(name, _, left)| *name == method && *left > 0)?;
        found.2 -= 1;
        Some(found.1)
    }
}

async fn pass(State(proxy): State<Proxy>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let fault = proxy.fault(head.method.as_str());
    if fault == Some(Fault::Failed) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let url = format!("{}{}", proxy.upstream, head.uri.path_and_query().expect("a path"));
    let kept: Vec<(String, String)> = ["authorization", "content-md5"]
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), head.headers.get(*name)?.to_str().ok()?.to_owned())))
        .collect();
    let kept: Vec<(&str, &str)> = kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = ask(head.method.as_str(), &url, None, &kept, body).await;
    match fault {
        Some(_) => StatusCode::BAD_GATEWAY.into_response(),
        None => (StatusCode::from_u16(answer.status).expect("a status"), answer.body).into_response(),
    }
}

async fn lost_replies_are_asked_again(program: &Path) {
    let scene = Scene::start(&Database::Sqlite).await;
    let lost = [("LOCK", Fault::Lost, 1), ("POST", Fault::Lost, 1), ("UNLOCK", Fault::Lost, 1)];
    let proxy = Proxy::new(&lost).before(&scene.url).await;
    let address = format!("{proxy}{}", path(REPO, &net()));
    let desk = Desk::new(program, &address, &scene.apply(1).await, MAIN);
    desk.run(&["init"]).ok();
    desk.run(&["apply", "-auto-approve"]).ok();
    let versions = scene.states.versions(REPO, &net()).await.expect("read");
    assert_eq!(versions.len(), 1, "one write, however often it was sent: {versions:?}");
    assert_eq!(scene.states.stack(REPO, &net()).await.expect("read").expect("known").lock, None);
    scene.end().await;
}

async fn a_store_that_fails_leaves_the_state_with_the_tool(program: &Path) {
    let scene = Scene::start(&Database::Sqlite).await;
    let proxy = Proxy::new(&[("POST", Fault::Failed, usize::MAX)]).before(&scene.url).await;
    let address = format!("{proxy}{}", path(REPO, &net()));
    let mut desk = Desk::new(program, &address, &scene.apply(1).await, MAIN);
    desk.run(&["init"]).ok();
    desk.run(&["apply", "-auto-approve"]).fails();
    let errored = std::fs::read_to_string(desk.dir.path().join("errored.tfstate")).expect("it is kept");
    assert!(errored.contains("terraform_data"), "{errored}");
    let stack = scene.states.stack(REPO, &net()).await.expect("read").expect("known");
    assert_eq!((stack.head, stack.lock), (None, None), "nothing was stored, and the tool let go");
    // The way back: what could not be stored is pushed by a later apply.
    desk.set("TF_HTTP_PASSWORD", &scene.apply(2).await);
    for name in ["TF_HTTP_ADDRESS", "TF_HTTP_LOCK_ADDRESS", "TF_HTTP_UNLOCK_ADDRESS"] {
        desk.set(name, &scene.address());
    }
    desk.run(&["init", "-reconfigure"]).ok();
    desk.run(&["state", "push", "errored.tfstate"]).ok();
    assert_eq!(desk.run(&["plan", "-detailed-exitcode"]).code, Some(0));
    scene.end().await;
}

/// Until a file is there.
async fn until(path: &Path) {
    let found = async {
        while !path.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, found).await.expect("it comes in time");
}

fn begin_apply(desk: &Desk) -> std::process::Child {
    use std::process::Stdio;
    let mut command = desk.command(&["apply", "-auto-approve"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

async fn a_killed_apply_keeps_its_lock_until_it_is_forced(program: &Path) {
    let scene = Scene::start(&Database::Sqlite).await;
    let token = scene.apply(1).await;
    let mut desk = Desk::new(program, &scene.address(), &token, GATED);
    desk.run(&["init"]).ok();
    let mut child = begin_apply(&desk);
    until(&desk.dir.path().join("begun")).await;
    child.kill().expect("killed");
    child.wait().expect("ended");
    desk.write("gate", "");
    let stack = scene.states.stack(REPO, &net()).await.expect("read").expect("known");
    let held = stack.lock.expect("its lock outlives it");
    assert_eq!((held.run, stack.head), (Some(run(1)), None), "what was made is known to nobody");
    // Nobody gets past it by asking.
    desk.set("TF_HTTP_PASSWORD", &scene.apply(2).await);
    desk.run(&["apply", "-auto-approve"]).fails();
    let holder = scene.states.force_unlock(REPO, &net(), &held.id, &ana()).await.expect("its run is no more");
    assert_eq!(holder.run, Some(run(1)));
    desk.run(&["apply", "-auto-approve"]).fails();
    desk.set("TF_HTTP_PASSWORD", &scene.apply(3).await);
    desk.run(&["apply", "-auto-approve"]).ok();
    scene.end().await;
}

async fn what_an_overtaken_apply_writes_is_kept_and_can_be_promoted(program: &Path) {
    let scene = Scene::start(&Database::Sqlite).await;
    let token = scene.apply(1).await;
    let mut desk = Desk::new(program, &scene.address(), &token, GATED);
    desk.run(&["init"]).ok();
    let mut child = begin_apply(&desk);
    until(&desk.dir.path().join("begun")).await;
    // Somebody takes it for dead.
    let held = scene.states.stack(REPO, &net()).await.expect("read").expect("known").lock.expect("locked");
    scene.states.force_unlock(REPO, &net(), &held.id, &ana()).await.expect("forced");
    let newer = scene.apply(2).await;
    assert_eq!(scene.ask("LOCK", Some(&newer), "", info("NEW", "ci")).await.status, 200);
    desk.write("gate", "");
    assert_eq!(child.wait().expect("ended").code(), Some(1), "it is told that its state was not taken");
    assert!(desk.dir.path().join("errored.tfstate").exists());
    assert!(scene.states.head(REPO, &net()).await.expect("read").is_none(), "the newer apply's state is untouched");
    let versions = scene.states.versions(REPO, &net()).await.expect("read");
    let orphan = versions.first().expect("it is kept");
    assert!(
        matches!(&orphan.standing, Standing::Orphan { refused } if refused.contains("a newer apply")),
        "{orphan:?}"
    );
    // Not while somebody works; then it is the state, and the tool finds all that was made.
    assert!(scene.states.promote(REPO, &net(), orphan.number, &ana()).await.is_err());
    assert_eq!(scene.ask("UNLOCK", Some(&newer), "", info("NEW", "")).await.status, 200);
    let head = scene.states.promote(REPO, &net(), orphan.number, &ana()).await.expect("promoted");
    assert!(head.serial > orphan.serial, "{head:?}");
    desk.set("TF_HTTP_PASSWORD", &newer);
    assert_eq!(desk.run(&["plan", "-detailed-exitcode"]).code, Some(0));
    scene.end().await;
}

with_both!(
    lost_replies_are_asked_again,
    a_store_that_fails_leaves_the_state_with_the_tool,
    a_killed_apply_keeps_its_lock_until_it_is_forced,
    what_an_overtaken_apply_writes_is_kept_and_can_be_promoted,
);
