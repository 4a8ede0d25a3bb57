//! `buildit serve`: the server, from settings to the last answered request.
//!
//! Owns the arguments, the order of the start, the log, and the words for what cannot be started. Invariant: what
//! is wrong with the settings is told before anything is opened.

mod told;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use model::mask::Masker;
use model::ports::{Executor, ForgeError, ForgeRead as _};
use runner::exec::Process;
use runner::iac::{Iac, IacSettings};
use runner::source::{GitSettings, GitSource, Limits};
use secrecy::ExposeSecret as _;

use crate::app::executor::NoExecutor;
use crate::app::server::{Http, Server, ServerParts, Work};
use crate::app::{bind, data, stop_signal};
use crate::clock::{SystemClock, UuidIds};
use crate::github::{AppKey, GitHub, GitHubOptions};
use crate::settings::{ExecutorChoice, GitHubSettings, Settings, Sources};

/// Arguments of `serve`. Each is the setting of that name and wins over file and environment.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The settings file (docs/operations.md lists the settings)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address and port of HTTP, such as 127.0.0.1:8080
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where people and GitHub reach the server, such as `https://buildit.example`
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Where the database, keys, mirrors and jobs live
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Which log lines are written, such as info or buildit=debug
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

impl ServeArgs {
    fn flags(&self) -> BTreeMap<&'static str, String> {
        let all = [
            ("listen", &self.listen),
            ("public_url", &self.public_url),
            ("data_dir", &self.data_dir),
            ("log", &self.log),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

/// Serves until INT or TERM.
///
/// # Errors
/// It cannot be started; says what, where and what to do.
pub fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let settings = Settings::read(Sources::of_process(args.config.as_deref(), args.flags())?)?;
    told::begin(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let listener = bind(settings.listen).await?;
    let address = listener.local_addr()?;
    data::make(&settings.data_dir)?;
    let work = match &settings.github {
        Some(github) => Some(work(&settings, github).await?),
        None => None,
    };
    let http = Http {
        listener,
        public_read: settings.public_read,
        banner: told::banner(&settings),
        github_url: settings.github.as_ref().map(web),
        webhook_secret: settings.github.as_ref().map(|github| github.webhook_secret.clone()),
    };
    let parts = ServerParts {
        database: settings.database.clone(),
        data_dir: settings.data_dir.clone(),
        http: Some(http),
        public_url: settings.public_url.clone(),
        internal_url: settings.internal_url.clone(),
        work,
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(UuidIds::new()),
    };
    let mut server = Server::start(parts).await?;
    told::warnings(&settings, address);
    tracing::info!(%address, url = server.public_url, data = %settings.data_dir.display(), "listening");
    tokio::select! {
        ended = server.failed() => ended.context("HTTP failed")?,
        () = stop => {}
    }
    leave(server, settings.drain).await
}

/// Ends in good order; a second signal ends it at once.
async fn leave(server: Server, grace: Duration) -> anyhow::Result<()> {
    tracing::info!("stopping: no new run begins; plans go on and are found again. Once more to stop at once");
    let again = stop_signal()?;
    let stopped = async {
        server.drain(grace).await;
        server.stop().await
    };
    tokio::select! {
        in_time = stopped => {
            if in_time {
                tracing::info!("stopped");
            } else {
                tracing::warn!("stopped before all that had begun was done; the next start goes on with it");
            }
        }
        () = again => tracing::warn!("stopped at once; the next start goes on with what had begun"),
    }
    Ok(())
}

/// Where people find the GitHub of that API.
fn web(github: &GitHubSettings) -> String {
    crate::github::client::web(&github.api_url)
}

async fn work(settings: &Settings, github: &GitHubSettings) -> anyhow::Result<Work> {
    let clock = Arc::new(SystemClock::new());
    let pem = github.private_key.expose_secret();
    let key = AppKey::from_pem(github.app_id, pem.as_bytes()).map_err(|error| {
        anyhow::anyhow!(
            "github.key_file cannot be used\n  {}: {error}\n  do: name the .pem file that GitHub gave when the App's key was made",
            github.key_file.display()
        )
    })?;
    let fingerprint = key.fingerprint()?;
    let client = GitHub::new(GitHubOptions { api_url: github.api_url.clone(), key }, clock)?;
    introduce(&client, github, &fingerprint).await?;
    let client = Arc::new(client);
    let data = &settings.data_dir;
    let mirrors = data.join("mirrors");
    Ok(Work {
        forge: client.clone(),
        publisher: client,
        source: Arc::new(GitSource::new(GitSettings { mirrors, limits: Limits::default() })),
        executor: executor(settings)?,
        iac: Arc::new(iac(settings).await?),
        slots: settings.slots,
        resync: settings.resync,
        masks: Masker::new([pem, github.webhook_secret.expose_secret(), settings.database.expose_secret()]),
    })
}

/// Asks GitHub who the App is. A refused key ends the start; a GitHub that cannot be reached does not.
async fn introduce(client: &GitHub, github: &GitHubSettings, fingerprint: &str) -> anyhow::Result<()> {
    match client.slug().await {
        Ok(slug) => {
            tracing::info!(app = github.app_id, slug, fingerprint, api = github.api_url, "the App answers");
            Ok(())
        }
        Err(ForgeError::Denied { message } | ForgeError::Gone { what: message }) => Err(anyhow::anyhow!(
            "GitHub refused the App key\n  {message}\n  App {}, key file {} (fingerprint {fingerprint}), API {}\n  do: compare the App ID and the fingerprint with the App's settings page, or make a new key there",
            github.app_id,
            github.key_file.display(),
            github.api_url,
        )),
        Err(error) => {
            tracing::warn!(%error, api = github.api_url, "GitHub does not answer now; it is asked again with the first work");
            Ok(())
        }
    }
}

fn executor(settings: &Settings) -> anyhow::Result<Arc<dyn Executor>> {
    match settings.executor {
        ExecutorChoice::None => Ok(Arc::new(NoExecutor)),
        ExecutorChoice::Process => {
            let program = std::env::current_exe().context("this program does not know where it is")?;
            let entry = vec![program.into_os_string(), OsString::from("job")];
            Ok(Arc::new(Process::new(settings.data_dir.join("jobs"), entry)))
        }
    }
}

async fn iac(settings: &Settings) -> anyhow::Result<Iac> {
    let plugins = std::path::absolute(settings.data_dir.join("plugins"))?;
    data::make(&plugins)?;
    let known = IacSettings {
        tools: settings.tools.clone(),
        search_path: true,
        cli_config: settings.cli_config.clone(),
        plugin_cache: Some(plugins),
        ..IacSettings::default()
    };
    let found = Iac::new(known.clone()).tools().await;
    told::tools(&found);
    // Who names a program means it for every stack that asks for nothing else.
    let default = found.first().filter(|_| !known.tools.is_empty()).map(|first| first.tool);
    Ok(Iac::new(IacSettings { default, ..known }))
}
