//! BuildIt as `demo` runs it: the server itself on loopback, a temporary directory, and plain processes.
//!
//! Owns the parts that only a demo has, and the end of it. Invariant: after `end` no job of it runs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use model::mask::Masker;
use runner::exec::Process;
use runner::iac::Iac;
use runner::source::{GitSettings, GitSource, Limits};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;

use super::leftovers::remove_jobs;
use super::server::{Http, Server, ServerParts, Work};
use crate::clock::{SystemClock, UuidIds};
use crate::github::{AppKey, GitHub, GitHubOptions};

/// Everything open is looked at again so often.
const RESYNC: Duration = Duration::from_secs(300);

/// What the demo's server works with.
#[derive(Debug)]
pub struct DemoParts {
    /// Where it listens.
    pub listener: TcpListener,
    /// GitHub's REST API.
    pub api_url: String,
    /// The App's id.
    pub app_id: u64,
    /// The App's key, in PEM.
    pub key: SecretString,
    /// The secret of the webhook's signatures.
    pub webhook_secret: SecretString,
    /// Where all of it is kept.
    pub dir: PathBuf,
    /// The tools.
    pub iac: Iac,
    /// Plans at the same time.
    pub slots: u32,
}

/// The running server.
#[derive(Debug)]
pub struct DemoServer {
    server: Server,
    executor: Process,
    jobs: PathBuf,
}

impl DemoServer {
    /// Wires it and begins to serve.
    ///
    /// # Errors
    /// The directory, the database or the App's key cannot be used.
    pub async fn start(parts: DemoParts) -> anyhow::Result<Self> {
        let jobs = parts.dir.join("jobs");
        let program = std::env::current_exe().context("this program does not know where it is")?;
        let executor = Process::new(&jobs, vec![program.into_os_string(), OsString::from("job")]);
        let clock = Arc::new(SystemClock::new());
        let key = AppKey::from_pem(parts.app_id, parts.key.expose_secret().as_bytes())?;
        let options = GitHubOptions { api_url: parts.api_url, key };
        let github_url = Some(options.web());
        let github = Arc::new(GitHub::new(options, clock.clone())?);
        let mirrors = parts.dir.join("mirrors");
        let work = Work {
            forge: github.clone(),
            publisher: github,
            source: Arc::new(GitSource::new(GitSettings { mirrors, limits: Limits::default() })),
            executor: Arc::new(executor.clone()),
            iac: Arc::new(parts.iac),
            slots: parts.slots,
            resync: RESYNC,
            masks: Masker::new([parts.webhook_secret.expose_secret()]),
        };
        let http = Http {
            listener: parts.listener,
            public_read: false,
            banner: Some("A demo: plans run as plain processes of this machine.".to_owned()),
            github_url,
            webhook_secret: Some(parts.webhook_secret),
        };
        let server = Server::start(ServerParts {
            database: SecretString::from(format!("sqlite:{}", parts.dir.join("buildit.db").display())),
            data_dir: parts.dir,
            http: Some(http),
            public_url: None,
            internal_url: None,
            work: Some(work),
            clock,
            ids: Arc::new(UuidIds::new()),
        })
        .await?;
        Ok(Self { server, executor, jobs })
    }

    /// The first trouble that ended one of its parts; waits as long as all is well.
    pub async fn trouble(&mut self) -> anyhow::Error {
        match self.server.failed().await {
            Err(error) => error.context("BuildIt stopped"),
            Ok(()) => anyhow::anyhow!("BuildIt stopped"),
        }
    }

    /// Answers what began, kills its jobs and lets go of the database.
    ///
    /// # Errors
    /// A job's process does not end.
    pub async fn end(self) -> anyhow::Result<()> {
        self.server.stop().await;
        remove_jobs(&self.executor, &self.jobs).await
    }
}
