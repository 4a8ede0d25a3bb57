//! A scene to die in: the double with a repository of stacks, a server's settings and its lives, the gate, and what
//! a person sees.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bot::app::onlooker::{Onlooker, Seen};
use fake_github::{AppCredentials, Change, FakeGitHub, NewPull, Role, Verdict};
use model::id::{RepoId, StackName};
use reconciler::states::States;
use reconciler::store::Store;
use sqlx::Row as _;

use super::gate::Gate;
use super::life::{Life, pause, until};
use crate::serving::process::free_address;
use crate::serving::{SECRET, SHOP, people};
use crate::state::{connect, inside};

/// The truth is told within this after something died.
pub(super) const TRUTH: Duration = Duration::from_secs(30);

pub(super) struct Scene {
    pub(super) double: FakeGitHub,
    pub(super) gate: Gate,
    pub(super) dir: tempfile::TempDir,
    pub(super) eyes: Onlooker,
    pub(super) url: String,
    app: AppCredentials,
    life: Option<Life>,
    lives: usize,
}

/// The settings of its server.
pub(super) struct Serve<'a> {
    /// The one tool.
    pub(super) tool: &'a Path,
    /// Runs at the same time.
    pub(super) slots: u32,
    /// More lines.
    pub(super) more: &'a str,
}

/// A stack's text: `a`, then `b`, then `c`, each noted in a journal when it is made. `b` waits for a file.
pub(super) fn three(journal: &Path, waits: Option<&Path>) -> String {
    let wait = waits.map(|go| format!("; while [ ! -e {} ]; do sleep 0.05; done", go.display())).unwrap_or_default();
    let resource = |name: &str, after: &str, more: &str| {
        format!(
            "resource \"terraform_data\" \"{name}\" {{\n{after}  provisioner \"local-exec\" {{\n    \
             command = \"echo {name} >> {}{more}\"\n  }}\n}}\n",
            journal.display()
        )
    };
    let after = |name: &str| format!("  depends_on = [terraform_data.{name}]\n");
    [resource("a", "", ""), resource("b", &after("a"), &wait), resource("c", &after("b"), "")].concat()
}

impl Scene {
    /// A repository in which each of these stacks has a directory of its name with an empty file.
    pub(super) async fn new(stacks: &[&str], serve: &Serve<'_>) -> Self {
        let (double, app) = people(&["ana", "ben"], &["ana"]);
        let stack = |name: &&str| {
            format!("stack \"{name}\" {{\n  path \"{name}\"\n  apply on=comment\n  require {{ undiverged }}\n}}\n")
        };
        let config: String = stacks.iter().map(stack).collect();
        let mains: Vec<String> = stacks.iter().map(|name| format!("{name}/main.tf")).collect();
        let mut files = vec![(".buildit/stacks.kdl", config.as_str())];
        files.extend(mains.iter().map(|path| (path.as_str(), "")));
        double.create_repository("acme", "shop", &files).expect("a repository");
        double.set_permission(SHOP, "ben", Role::Write).expect("a role");
        double.install_app(app.app_id, SHOP).expect("installed");
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("http://{}", free_address());
        let gate = Gate::start(&url).await;
        let eyes = Onlooker::new(double.api_url(), "ana-token".to_owned().into());
        let scene = Self { double, gate, dir, eyes, url, app, life: None, lives: 0 };
        scene.write_settings(serve);
        scene
    }

    fn write_settings(&self, serve: &Serve<'_>) {
        let here = self.dir.path();
        std::fs::write(here.join("app.pem"), &self.app.private_key_pem).expect("written");
        let listen = self.url.trim_start_matches("http://");
        let (data, key, tool) = (here.join("data"), here.join("app.pem"), serve.tool);
        let text = format!(
            "listen = \"{listen}\"\ninternal_url = \"{}\"\ndata_dir = \"{}\"\nexecutor = \"process\"\n\
             allow_process_executor = true\nslots = {}\ntools = [\"{}\"]\n{}\n[github]\napp_id = 7\n\
             key_file = \"{}\"\nwebhook_secret = \"{SECRET}\"\napi_url = \"{}\"\n",
            self.gate.url,
            data.display(),
            serve.slots,
            tool.display(),
            serve.more,
            key.display(),
            self.double.api_url(),
        );
        std::fs::write(here.join("buildit.toml"), text).expect("written");
        self.double.set_webhook_url(self.app.app_id, &format!("{}/webhook", self.url)).expect("hooked");
    }

    /// Starts the server, the first time or anew.
    pub(super) async fn start(&mut self) {
        assert!(self.life.is_none(), "it runs");
        self.lives += 1;
        let log = self.dir.path().join(format!("server-{}.log", self.lives));
        self.life = Some(Life::start(&self.dir.path().join("buildit.toml"), &self.url, log).await);
    }

    pub(super) fn life(&mut self) -> &mut Life {
        self.life.as_mut().expect("it runs")
    }

    pub(super) fn kill(&mut self) {
        self.life.take().expect("it runs").kill();
    }

    /// Until the server has left by itself, in good order.
    pub(super) async fn left(&mut self) {
        let code = self.life().ended().await;
        let said = self.life.take().expect("it ran").said();
        assert_eq!(code, Some(0), "{said}");
    }

    /// Ana's pull request of these files.
    pub(super) fn open(&self, branch: &str, files: &[(String, String)]) -> u64 {
        let changes: Vec<Change> = files.iter().map(|(path, text)| Change::write(path, text)).collect();
        self.double.commit_files(SHOP, branch, "ana", branch, &changes).expect("a commit");
        let (title, head, base) = (branch.to_owned(), branch.to_owned(), "main".to_owned());
        self.double.open_pull(SHOP, "ana", &NewPull { title, head, base, ..NewPull::default() }).expect("opened")
    }

    /// Comments when what there is to read is older: GitHub tells seconds.
    pub(super) async fn say(&self, number: u64, body: &str) {
        next_second().await;
        self.double.comment(SHOP, number, "ana", body).expect("a comment");
    }

    /// Ben's word on what there is to read.
    pub(super) async fn approve(&self, number: u64) {
        next_second().await;
        self.double.review(SHOP, number, "ben", Verdict::Approve, "").expect("a review");
    }

    pub(super) async fn sees(&self, number: u64, bound: Duration, what: &str, holds: impl Fn(&Seen) -> bool) -> Seen {
        let seen = self.eyes.until(SHOP, number, bound, holds).await.expect("GitHub answers");
        seen.unwrap_or_else(|last| panic!("{what}: not within {bound:?}: {last:#?}"))
    }

    /// Until a person reads this of a stack: its row in the comment.
    pub(super) async fn reads(&self, number: u64, stack: &str, words: &str) -> String {
        let holds = |seen: &Seen| row(seen, stack).is_some_and(|row| row.contains(words));
        let seen = self.sees(number, TRUTH, &format!("{stack}: {words:?}"), holds).await;
        row(&seen, stack).expect("it was there")
    }

    /// Directories of jobs of a stack, plans or applies.
    pub(super) fn jobs(&self, stack: &str, kind: &str) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.dir.path().join("data/jobs")).into_iter().flatten().flatten();
        let is = |dir: &PathBuf| {
            let text = std::fs::read(dir.join("spec.json")).unwrap_or_default();
            let Ok(spec) = serde_json::from_slice::<serde_json::Value>(&text) else { return false };
            let steps = spec["steps"].as_array().cloned().unwrap_or_default();
            steps.iter().any(|step| step["dir"] == stack && step["name"] == kind)
        };
        all.map(|entry| entry.path()).filter(is).collect()
    }

    /// The one job of a stack that runs.
    pub(super) fn job(&self, stack: &str, kind: &str) -> PathBuf {
        let jobs: Vec<PathBuf> =
            self.jobs(stack, kind).into_iter().filter(|dir| !dir.join("end.json").exists()).collect();
        let [job] = jobs.as_slice() else { panic!("{stack}: not one {kind} runs: {jobs:?}") };
        job.clone()
    }

    /// What was made of a stack, in order.
    pub(super) fn made(&self, stack: &str) -> String {
        std::fs::read_to_string(self.journal(stack)).unwrap_or_default().replace('\n', "")
    }

    pub(super) fn journal(&self, stack: &str) -> PathBuf {
        self.dir.path().join(format!("{stack}.journal"))
    }

    /// The repository, once something ran.
    pub(super) async fn repo(&self) -> RepoId {
        RepoId::new(self.rows("select repo from runs limit 1").await[0].get("repo"))
    }

    fn database(&self) -> String {
        format!("sqlite:{}", self.dir.path().join("data/buildit.db").display())
    }

    /// The states of the server, opened beside it.
    pub(super) async fn states(&self) -> (States, Store) {
        inside(&self.database(), &self.dir.path().join("data")).await
    }

    /// Until nothing runs, and nothing is due.
    pub(super) async fn rests(&self) {
        let live =
            "select count(*) as n from runs where ended_at is null or (started_at is not null and job_removed=0)";
        let resting = async {
            while self.rows(live).await[0].get::<i64, _>("n") > 0 {
                pause().await;
            }
        };
        tokio::time::timeout(TRUTH, resting).await.expect("all runs end");
    }

    /// What its database says.
    pub(super) async fn rows(&self, query: &'static str) -> Vec<sqlx::any::AnyRow> {
        let mut conn = connect(&self.database()).await;
        sqlx::query(query).fetch_all(&mut conn).await.expect("rows")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.life.take());
        // No job outlives its test: entries obey this request.
        for entry in std::fs::read_dir(self.dir.path().join("data/jobs")).into_iter().flatten().flatten() {
            let _ = std::fs::write(entry.path().join("kill"), b"");
        }
    }
}

pub(super) async fn next_second() {
    let second = || std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let now = second();
    until("the next second", || second() > now).await;
}

/// A number that a job's entry noted.
pub(super) fn pid(job: &Path, file: &str) -> i32 {
    let text = std::fs::read(job.join(file)).expect("a process was noted");
    let noted: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    i32::try_from(noted["pid"].as_i64().expect("a number")).expect("a process number")
}

/// A stack's row of the table in the comment.
pub(super) fn row(seen: &Seen, stack: &str) -> Option<String> {
    let table = seen.comments.iter().find(|it| it.body.contains("<!-- buildit:summary"))?;
    let here = |line: &&str| {
        let name = line.split('|').nth(2).unwrap_or_default();
        name.split([' ', '[', ']', ',']).any(|word| word == stack)
    };
    table.body.lines().filter(|line| line.starts_with("| ")).find(here).map(str::to_owned)
}

/// Addresses that the state of a stack knows.
pub(super) async fn known(states: &States, repo: RepoId, stack: &StackName) -> BTreeSet<String> {
    let Some(head) = states.head(repo, stack).await.expect("read") else { return BTreeSet::new() };
    let (_, body) = states.read_version(repo, stack, head.number).await.expect("read");
    let state: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let all = state["resources"].as_array().cloned().unwrap_or_default();
    let address = |it: &serde_json::Value| {
        format!("{}.{}", it["type"].as_str().unwrap_or_default(), it["name"].as_str().unwrap_or_default())
    };
    all.iter().map(address).collect()
}
