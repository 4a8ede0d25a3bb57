//! `buildit demo`: the whole way of a pull request on this machine, with a GitHub that stands in for the real one.
//!
//! Owns the arguments, the places that are free, the first and the last lines. What happens in between is the
//! story; everything of BuildIt in it is the server's own code, and the plans are real.

mod sample;
mod story;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use fake_github::{AppSpec, DeliveryMode, FakeGitHub, Options};
use model::stack::ResolvedTool;
use runner::iac::{Iac, IacSettings};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Exit, tools};
use crate::app::demo::{DemoParts, DemoServer};
use crate::app::onlooker::Onlooker;
use crate::clock::SystemClock;
use crate::github::manifest;
use sample::{MAIL_FILE, MAIN, REPOSITORY, SLIP};
use story::Story;

/// People of the demo, with their tokens.
const PEOPLE: [(&str, &str); 2] = [("ana", "demo"), ("ben", "demo-ben")];
/// Ports that are tried behind the wanted one.
const PORTS: u16 = 200;
/// Plans at the same time.
const SLOTS: u32 = 2;

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End after the story: 0 when all of it happened, 1 when something was missing
    #[arg(long)]
    pub once: bool,
    /// Keep the directory with database, repositories and logs
    #[arg(long)]
    pub keep: bool,
    /// The terraform or tofu to plan with, and no other
    #[arg(long, value_name = "PATH")]
    pub tool: Option<PathBuf>,
    /// Where BuildIt listens, or the next free port
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub port: u16,
}

/// Runs the demo. An error is wrong use: exit code 2.
pub fn run(args: &DemoArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build()?;
    runtime.block_on(shown(args, out))
}

async fn shown(args: &DemoArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    // From here on Ctrl-C ends what was begun instead of the process.
    let stop = crate::app::stop_signal()?;
    let iac = tools::iac(args.tool.as_deref(), IacSettings::default()).await?;
    let tool = tools::default(&iac, args.tool.as_deref()).await?;
    let dir = tempfile::Builder::new().prefix("buildit-demo-").tempdir().context("no temporary directory")?;
    let listener = free_port(args.port).await?;
    let mut stage = Stage::set(dir.path(), listener, iac).await?;
    stage.introduce(&tool, out)?;
    let ended = tokio::select! {
        ended = stage.play(args, out) => ended,
        () = stop => Ok(Exit::Clean),
    };
    writeln!(out)?;
    stage.server.end().await?;
    drop(stage.github);
    leave(dir, args.keep, out)?;
    ended
}

/// Everything that runs.
struct Stage {
    github: FakeGitHub,
    server: DemoServer,
    url: String,
}

impl Stage {
    async fn set(dir: &Path, listener: TcpListener, iac: Iac) -> anyhow::Result<Self> {
        let url = format!("http://{}", listener.local_addr()?);
        let github = double(dir, listener.local_addr()?)?;
        let app = populate(&github)?;
        let server = DemoServer::start(DemoParts {
            listener,
            api_url: github.api_url(),
            app_id: app.app_id,
            key: SecretString::from(app.private_key_pem),
            webhook_secret: SecretString::from(app.webhook_secret),
            dir: dir.to_owned(),
            iac,
            slots: SLOTS,
        })
        .await?;
        // Only now somebody listens.
        github.set_webhook_url(app.app_id, &format!("{url}/webhook"))?;
        Ok(Self { github, server, url })
    }

    fn introduce(&self, tool: &ResolvedTool, out: &mut dyn Write) -> anyhow::Result<()> {
        let (tool, path) = (format!("{} {}", tool.tool.name(), tool.version), tool.path.display());
        let double = format!("{}/{REPOSITORY}", self.github.url());
        writeln!(out, "BuildIt {} demo. Everything runs on this machine.\n", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "  tool        {tool:<18} {path}")?;
        writeln!(out, "  GitHub      {:<18} {double}", "a local double")?;
        writeln!(out, "  BuildIt     {:<18} {}", "SQLite, temporary", self.url)?;
        writeln!(out, "  runs        as plain processes: demo only, never do this with code you do not trust\n")?;
        Ok(())
    }

    /// The story, then whatever the person does until Ctrl-C.
    async fn play(&mut self, args: &DemoArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let eyes = Onlooker::new(self.github.api_url(), SecretString::from(PEOPLE[0].1));
        let mut story =
            Story { github: &self.github, eyes, clock: SystemClock::new(), out, applied: false, missing: Vec::new() };
        tokio::select! {
            told = story.tell() => told?,
            error = self.server.trouble() => return Err(error),
        }
        let missing = std::mem::take(&mut story.missing);
        for one in &missing {
            writeln!(out, "missing: {one}")?;
        }
        if args.once {
            return Ok(if missing.is_empty() { Exit::Clean } else { Exit::Findings });
        }
        self.invite(out)?;
        Err(self.server.trouble().await)
    }

    fn invite(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let (line, wrong, right) = SLIP;
        let (ben, token) = PEOPLE[1];
        let at = self.github.url().trim_start_matches("http://");
        let program = std::env::current_exe()?;
        let double = format!("{}/{REPOSITORY}", self.github.url());
        writeln!(
            out,
            "
  Now you. Open   {double}/pull/2   (waits on purpose: comment \"buildit why\", approve it as ana)
           Open   {double}/pull/3   (fails on purpose: line {line} of {MAIL_FILE})
           Mend   git clone -b mail http://{ben}:{token}@{at}/{REPOSITORY} && cd shop
                  write {right} for {wrong} there, commit, push: the same comment is edited
           Yours  cd YOUR-REPO && {} preview
Ctrl-C ends and removes it all (--keep keeps it).",
            program.display()
        )?;
        Ok(out.flush()?)
    }
}

/// The wanted port of loopback, or the next free one.
async fn free_port(wanted: u16) -> anyhow::Result<TcpListener> {
    for port in wanted..=wanted.saturating_add(PORTS) {
        if let Ok(listener) = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await {
            return Ok(listener);
        }
    }
    anyhow::bail!("no port from {wanted} to {} is free\n  do: --port N", wanted.saturating_add(PORTS))
}

/// The double, on the next free port behind BuildIt's.
fn double(dir: &Path, buildit: SocketAddr) -> anyhow::Result<FakeGitHub> {
    let data = dir.join("github");
    std::fs::create_dir_all(&data)?;
    let first = buildit.port().saturating_add(1);
    for port in first..=first.saturating_add(PORTS) {
        let free = std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free {
            return Ok(FakeGitHub::start(Options {
                listen: SocketAddr::from(([127, 0, 0, 1], port)),
                data_dir: Some(data),
                delivery: DeliveryMode::Immediate,
                act_as_anyone: true,
                ..Options::default()
            })?);
        }
    }
    anyhow::bail!("no port behind {} is free\n  do: --port N", buildit.port())
}

/// People, the App, and the sample repository.
fn populate(github: &FakeGitHub) -> anyhow::Result<fake_github::AppCredentials> {
    for (login, token) in PEOPLE {
        github.add_user(login, token)?;
    }
    let (owner, name) = REPOSITORY.split_once('/').context("the sample's name has an owner")?;
    github.add_organization(owner, &["ana"])?;
    let secret = uuid::Uuid::from_bytes(random()?).to_string();
    let app = github.create_app(AppSpec::new(1, "buildit", &secret, &manifest::permissions(), &manifest::EVENTS))?;
    github.create_repository(owner, name, &MAIN)?;
    github.set_permission(REPOSITORY, "ben", fake_github::Role::Write)?;
    github.install_app(app.app_id, REPOSITORY)?;
    Ok(app)
}

fn random() -> anyhow::Result<[u8; 16]> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("this machine gives no random bytes"))?;
    Ok(bytes)
}

fn leave(dir: TempDir, keep: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    if keep {
        writeln!(out, "kept: {}", dir.keep().display())?;
        return Ok(());
    }
    let path = dir.path().display().to_string();
    dir.close().with_context(|| format!("{path} could not be removed"))
}
