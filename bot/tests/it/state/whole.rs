//! The whole way: a pull request of a stack without a backend, its plan, its apply, and the state that is kept.

use bot::app::onlooker::{Onlooker, Seen};
use fake_github::{Change, FakeGitHub, NewPull, Role, Verdict};
use model::id::SecretName;
use model::plan::{StateSeen, StateStamp};
use model::ports::Clock as _;
use reconciler::secrets::{SecretScope, Secrets};
use reconciler::states::Standing;
use sqlx::Row as _;

use super::faults::{Fault, Proxy};
use super::*;
use crate::serving::{BOUND, SHOP, get, parts, people, work};

const CONFIG: &str = "stack network {\n  path network\n  apply on=comment\n  require { undiverged }\n}\n";
/// What a job's log shows of the token is a mask.
const ONE: &str = r#"
resource "terraform_data" "one" {
  provisioner "local-exec" {
    command = "echo the token is $TF_HTTP_PASSWORD"
  }
}
"#;
const TWO: &str = "resource \"terraform_data\" \"two\" {}\n";

struct Whole {
    double: FakeGitHub,
    server: Server,
    eyes: Onlooker,
    dir: tempfile::TempDir,
}

impl Whole {
    /// Jobs find the server through this proxy.
    async fn start(program: &Path, proxy: Option<Proxy>) -> Self {
        Self::of(program, proxy, CONFIG).await
    }

    /// With this configuration.
    async fn of(program: &Path, proxy: Option<Proxy>, config: &str) -> Self {
        let (double, app) = people(&["ana", "ben"], &["ana"]);
        let files = [(".buildit/stacks.kdl", config), ("network/main.tf", "")];
        double.create_repository("acme", "shop", &files).expect("a repository");
        double.set_permission(SHOP, "ben", Role::Write).expect("a role");
        double.install_app(app.app_id, SHOP).expect("installed");
        let dir = tempfile::tempdir().expect("a directory");
        let work = work(dir.path(), &double, &app, program);
        let mut parts = parts(dir.path(), Some(work)).await;
        if let Some(proxy) = proxy {
            let address = parts.http.as_ref().expect("pages").listener.local_addr().expect("bound");
            parts.internal_url = Some(proxy.before(&format!("http://{address}")).await);
        }
        let server = Server::start(parts).await.expect("it starts");
        double.set_webhook_url(app.app_id, &format!("{}/webhook", server.public_url)).expect("hooked");
        let eyes = Onlooker::new(double.api_url(), "ana-token".to_owned().into());
        Self { double, server, eyes, dir }
    }

    fn open(&self, branch: &str, main: &str) -> u64 {
        let change = [Change::write("network/main.tf", main)];
        self.double.commit_files(SHOP, branch, "ana", branch, &change).expect("a commit");
        let (title, head, base) = (branch.to_owned(), branch.to_owned(), "main".to_owned());
        self.double.open_pull(SHOP, "ana", &NewPull { title, head, base, ..NewPull::default() }).expect("opened")
    }

    async fn until(&self, number: u64, what: &str, holds: impl Fn(&Seen) -> bool) -> Seen {
        let seen = self.eyes.until(SHOP, number, BOUND, holds).await.expect("GitHub answers");
        seen.unwrap_or_else(|last| panic!("{what} did not come: {last:#?}"))
    }

    /// Until the newest comment of the bot has these words.
    async fn until_said(&self, number: u64, words: &str) -> Seen {
        self.until(number, words, |seen| seen.comments.iter().any(|it| it.body.contains(words))).await
    }

    /// Comments when what there is to read is older: GitHub tells seconds.
    async fn say(&self, number: u64, body: &str) {
        let clock = SystemClock::new();
        let now = clock.now();
        let later = |_: &Seen| clock.now().since(now) > std::time::Duration::from_secs(1);
        self.until(number, "the next second", later).await;
        self.double.comment(SHOP, number, "ana", body).expect("a comment");
    }

    async fn until_applied(&self, number: u64) {
        let applied = |seen: &Seen| {
            let check = seen.check("buildit/apply");
            check.is_some_and(|it| it.conclusion.as_deref() == Some("success") && it.title.contains("Applied"))
        };
        self.until(number, "the apply", applied).await;
    }

    fn database(&self) -> String {
        format!("sqlite:{}", self.dir.path().join("buildit.db").display())
    }

    /// Why a run ended, once it has.
    async fn until_ended(&self, number: i64) -> String {
        let database = self.database();
        let ended = async {
            let mut conn = connect(&database).await;
            loop {
                let query = sqlx::query("select failure from runs where number=$1 and ended_at is not null");
                let rows = query.bind(number).fetch_all(&mut conn).await.expect("rows");
                if let Some(row) = rows.first() {
                    return row.get::<Option<String>, _>("failure").unwrap_or_default();
                }
            }
        };
        tokio::time::timeout(BOUND, ended).await.expect("it ends in time")
    }

    /// The newest run of a kind of a pull request, once there is one.
    async fn newest(&self, pull: u64, kind: &str) -> i64 {
        let database = self.database();
        let found = async {
            let mut conn = connect(&database).await;
            loop {
                let query = sqlx::query("select number from runs where pull=$1 and kind=$2 order by number desc");
                let query = query.bind(i64::try_from(pull).expect("small")).bind(kind.to_owned());
                if let Some(row) = query.fetch_all(&mut conn).await.expect("rows").first() {
                    return row.get::<i64, _>("number");
                }
            }
        };
        tokio::time::timeout(BOUND, found).await.expect("it comes in time")
    }

    /// What a run saw, by its number.
    async fn seen(&self, number: i64) -> Option<StateSeen> {
        let mut conn = connect(&self.database()).await;
        let row = sqlx::query("select state_seen from runs where number=$1").bind(number).fetch_all(&mut conn).await;
        let seen: Option<String> = row.expect("a row").first().expect("the run").get("state_seen");
        seen.map(|text| serde_json::from_str(&text).expect("JSON"))
    }
}

async fn what_is_applied_is_the_state_of_the_next_plan(program: &Path) {
    let whole = Whole::start(program, None).await;
    let (states, store) = inside(&whole.database(), whole.dir.path()).await;
    let first = whole.open("one", ONE);
    let seen = whole.until_said(first, "1 to add").await;
    assert!(!seen.comments.iter().any(|it| it.body.contains("empty state")), "{seen:?}");
    assert_eq!(whole.seen(1).await, Some(StateSeen::None));
    whole.double.review(SHOP, first, "ben", Verdict::Approve, "").expect("a review");
    whole.until(first, "that it is ready", ready).await;
    whole.say(first, "buildit apply -p network").await;
    whole.until_applied(first).await;

    let network = StackName::parse("network").expect("a name");
    let stacks = states.stacks().await.expect("read");
    let [Ok(stack)] = stacks.as_slice() else { panic!("{stacks:?}") };
    assert_eq!((&stack.stack, &stack.lock, stack.epoch), (&network, &None, 1));
    let head = stack.head.clone().expect("a state");
    assert_eq!((head.serial, head.actor.as_str()), (1, "run 2"));
    let (_, log) = get(&format!("{}/r/2/log", whole.server.public_url)).await;
    assert!(log.contains("the token is ***") && !log.contains("bst_"), "{log}");

    // The next pull request is planned on that state, and says on which.
    whole.double.merge(SHOP, first, "ana").expect("merged");
    let second = whole.open("two", &format!("{ONE}{TWO}"));
    let seen = whole.until_said(second, "1 to add").await;
    assert!(!seen.comments.iter().any(|it| it.body.contains("2 to add")), "{seen:?}");
    let stamp = StateStamp { lineage: head.lineage.clone(), serial: 1, digest: Some(head.digest.clone()) };
    assert_eq!(whole.seen(whole.newest(second, "plan").await).await, Some(StateSeen::State(stamp)));

    // A laptop holds the lock: told, not waited for. Then it goes on.
    let scene_token = token(&whole.database(), &states, stack.repo, &network).await;
    let url = format!("{}{}", whole.server.public_url, path(stack.repo, &network));
    let locked = ask("LOCK", &url, Some(&scene_token), &[], info("L", "ben@laptop").into()).await;
    assert_eq!(locked.status, 200);
    whole.double.review(SHOP, second, "ben", Verdict::Approve, "").expect("a review");
    whole.until(second, "that it is ready", ready).await;
    whole.say(second, "buildit apply -p network").await;
    let held = whole.until_ended(whole.newest(second, "apply").await).await;
    assert!(held.contains("not started: the state is locked by") && held.contains("ben@laptop"), "{held}");
    let let_go = ask("UNLOCK", &url, Some(&scene_token), &[], info("L", "").into()).await;
    assert_eq!(let_go.status, 200);
    whole.say(second, "buildit apply -p network").await;
    whole.until_applied(second).await;
    let head = states.head(stack.repo, &network).await.expect("read").expect("a state");
    assert_eq!(head.serial, 2);
    assert_eq!(whole.double.violations(), Vec::<String>::new());
    store.close().await;
    assert!(whole.server.stop().await, "it ends in time");
}

fn ready(seen: &Seen) -> bool {
    seen.check("buildit/apply").is_some_and(|check| check.title.starts_with("Ready"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_stored_is_kept_and_promoted() {
    let Some(program) = crate::town::real::program(model::stack::Tool::Terraform) else { return };
    let whole = Whole::start(&program, Some(Proxy::new(&[("POST", Fault::Failed, usize::MAX)]))).await;
    let (states, store) = inside(&whole.database(), whole.dir.path()).await;
    let number = whole.open("one", ONE);
    whole.until_said(number, "1 to add").await;
    whole.double.review(SHOP, number, "ben", Verdict::Approve, "").expect("a review");
    whole.until(number, "that it is ready", ready).await;
    whole.say(number, "buildit apply -p network").await;
    let failure = whole.until_ended(2).await;
    assert!(failure.contains("Failed to"), "{failure}");
    let stacks = states.stacks().await.expect("read");
    let [Ok(stack)] = stacks.as_slice() else { panic!("{stacks:?}") };
    assert_eq!((&stack.head, &stack.lock), (&None, &None));
    let versions = states.versions(stack.repo, &stack.stack).await.expect("read");
    let [orphan] = versions.as_slice() else { panic!("{versions:?}") };
    assert_eq!(orphan.standing, Standing::Orphan { refused: "the tool could not store it".to_owned() });
    states.promote(stack.repo, &stack.stack, orphan.number, &ana()).await.expect("promoted");
    let head = states.head(stack.repo, &stack.stack).await.expect("read").expect("the state");
    let (_, bytes) = states.read_version(stack.repo, &stack.stack, head.number).await.expect("read");
    assert!(String::from_utf8_lossy(&bytes).contains("terraform_data"));
    store.close().await;
    assert!(whole.server.stop().await, "it ends in time");
}

/// A token that may lock now.
async fn token(database: &str, states: &States, repo: RepoId, stack: &StackName) -> String {
    let mut tx = begin(database).await;
    let token = states.token(&mut tx, run(99), repo, stack, Access::Write { epoch: 1 }).await.expect("a token");
    end(tx).await;
    token.expose_secret().to_owned()
}

const SECRET_CONFIG: &str = "stack network {\n  path network\n  apply on=comment\n  require { undiverged }\n  var { token secret=API_TOKEN }\n  env { DEPLOY_KEY secret=API_TOKEN }\n}\n";
/// A value of a variable that nothing marks as sensitive, wherever one can stand, at the plan and at the apply.
const LEAKY: &str = r#"
variable "token" {}
resource "terraform_data" "one" {
  for_each = toset([var.token])
  input    = { header = "Bearer ${var.token}", encoded = base64encode(var.token) }
  provisioner "local-exec" {
    command = "echo var ${var.token}; echo env $DEPLOY_KEY; printenv DEPLOY_KEY | base64"
  }
}
output "token" { value = "x-${var.token}" }
check "c" {
  assert {
    condition     = var.token == "another"
    error_message = "not with ${var.token}"
  }
}
"#;

/// A secret of its own kind, and it as base64.
const CANARY: &str = "canary-Zq8w-2vKx-Lm4t";

fn assert_silent(what: &str, bytes: &[u8]) {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(CANARY);
    for needle in [CANARY, encoded.trim_end_matches('=')] {
        let found = bytes.windows(needle.len()).any(|part| part == needle.as_bytes());
        assert!(!found, "{needle} stands in {what}");
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

async fn a_secret_reaches_its_job_and_nothing_else(program: &Path) {
    let whole = Whole::of(program, None, SECRET_CONFIG).await;
    let (_, store) = inside(&whole.database(), whole.dir.path()).await;
    let seal = Seal::new(Arc::new(FileKeys::open(&whole.dir.path().join("keys")).expect("the keys")));
    let secrets = Secrets::new(store.clone(), seal, Arc::new(SystemClock::new()));
    let name = SecretName::parse("API_TOKEN").expect("a name");
    let scope = SecretScope::Owner("acme".to_owned());
    secrets.set(&scope, &name, &CANARY.to_owned().into(), &ana()).await.expect("set");
    let number = whole.open("one", LEAKY);
    whole.until_said(number, "1 to add").await;
    whole.double.review(SHOP, number, "ben", Verdict::Approve, "").expect("a review");
    whole.until(number, "that it is ready", ready).await;
    whole.say(number, "buildit apply -p network").await;
    whole.until_applied(number).await;

    let url = &whole.server.public_url;
    let (_, log) = get(&format!("{url}/r/2/log")).await;
    assert!(log.contains("var ***") && log.contains("env ***"), "{log}");
    for page in ["/r/1", "/r/1/log", "/r/2", "/r/2/log", "/acme/shop/pull/1", "/"] {
        assert_silent(page, get(&format!("{url}{page}")).await.1.as_bytes());
    }
    let seen = whole.eyes.look(SHOP, number).await.expect("GitHub answers");
    assert_silent("GitHub", format!("{seen:?}").as_bytes());
    assert_silent("what GitHub was sent", whole.double.transcript().as_bytes());
    store.close().await;
    let Whole { server, dir, .. } = whole;
    assert!(server.stop().await, "it ends in time");
    for file in files(dir.path()) {
        assert_silent(&file.display().to_string(), &std::fs::read(&file).expect("read"));
    }
}

with_both!(what_is_applied_is_the_state_of_the_next_plan, a_secret_reaches_its_job_and_nothing_else);
