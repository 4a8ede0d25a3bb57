//! A stateful, strict GitHub over real HTTP on a loopback port, for tests, for `buildit demo`, and to run alone.
//!
//! One model behind REST (`/api/v3`, as an enterprise server has it), GraphQL (`/api/graphql`), git over smart
//! HTTP, signed webhooks and a plain HTML view. Everything that a correct client would not have sent is answered
//! as GitHub would **and** recorded in [`FakeGitHub::violations`]. Requests, answers and webhooks are checked
//! against GitHub's own description ([`description`]).
//!
//! It must never be reachable from another machine: whoever reaches it can be anybody on it.

mod clock;
pub mod description;
mod error;
mod evidence;
mod git;
mod git_diff;
mod git_http;
mod git_replay;
mod graphql;
mod limits;
mod mishap;
mod model;
mod outage;
mod people;
mod rest;
mod server;
mod shape;
mod slow;
mod surprise;
mod token;
mod transcript;
mod view;
mod webhook;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

pub use clock::{Clock, system_clock};
pub use error::{Error, FieldError};
pub use evidence::{DeliveryRecord, DeploymentRecord};
pub use git::{Change, GitError};
pub use limits::Limits;
pub use mishap::Mishap;
pub use model::account::Role;
pub use model::landing::Method;
pub use model::protection::Rules;
pub use model::pull::NewPull;
pub use model::queue::QueueRules;
pub use model::review::Verdict;
pub use outage::Fault;
pub use people::{AppCredentials, AppSpec};
pub use webhook::signature;

use model::Model;
use server::Shared;

/// Who sends webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryMode {
    /// A task sends each as soon as it is there, in order.
    Immediate,
    /// Nobody, until [`FakeGitHub::deliver_next`] or [`FakeGitHub::deliver_all`].
    Manual,
}

/// How to start the double.
#[derive(Clone)]
pub struct Options {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the bare repositories live; `None` takes a temporary directory that goes away with the double.
    pub data_dir: Option<PathBuf>,
    /// The time, so that tokens expire by a test's clock.
    pub clock: Clock,
    /// Who sends webhooks.
    pub delivery: DeliveryMode,
    /// `mergeable` is there at once; otherwise the first `GET` of a new head sees null.
    pub mergeable_at_once: bool,
    /// Check every request, answer and webhook against GitHub's description.
    pub validate: bool,
    /// How much a caller may ask, with GitHub's answers to who asks more; `None` counts nobody.
    pub limits: Option<Limits>,
    /// The HTML view lets its visitor act as any account without a password.
    pub act_as_anyone: bool,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("data_dir", &self.data_dir)
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    /// For tests: a free port, a temporary directory, the system's clock, webhooks by hand, everything checked.
    fn default() -> Options {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: None,
            clock: system_clock(),
            delivery: DeliveryMode::Manual,
            mergeable_at_once: true,
            validate: true,
            limits: None,
            act_as_anyone: false,
        }
    }
}

/// A running double. It has threads of its own, so its methods may be called from anywhere;
/// dropping it stops the server and removes its temporary directory.
pub struct FakeGitHub {
    pub(crate) shared: Arc<Shared>,
    url: String,
    runtime: tokio::runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _temporary: Option<tempfile::TempDir>,
}

impl fmt::Debug for FakeGitHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeGitHub").field("url", &self.url).finish_non_exhaustive()
    }
}

impl FakeGitHub {
    /// Binds the address and starts to serve.
    ///
    /// # Errors
    /// An address that is not loopback or is taken, a directory that cannot be made.
    pub fn start(options: Options) -> Result<FakeGitHub, Error> {
        if !options.listen.ip().is_loopback() {
            return Err(Error::Use(format!(
                "{} is not a loopback address; the double lets anybody in",
                options.listen
            )));
        }
        let temporary = match &options.data_dir {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(Error::io("a temporary directory cannot be made"))?),
        };
        let data = options
            .data_dir
            .clone()
            .or_else(|| temporary.as_ref().map(|dir| dir.path().to_owned()))
            .unwrap_or_default();
        let listener = TcpListener::bind(options.listen)
            .map_err(Error::io(format!("{} cannot be listened on", options.listen)))?;
        listener.set_nonblocking(true).map_err(Error::io("the listening socket"))?;
        let address = listener.local_addr().map_err(Error::io("the listening socket"))?;
        let url = format!("http://{address}");
        let model = Model::new(url.clone(), data, &options);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("fake-github")
            .enable_all()
            .build()
            .map_err(Error::io("the double's runtime cannot be started"))?;
        let shared = Arc::new(Shared::new(model, webhook::client()));
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("fake-github".into())
            .spawn(move || {
                runtime.block_on(serve(listener, serving, options.delivery, stopped));
                runtime.shutdown_background();
            })
            .map_err(Error::io("the double's thread cannot be started"))?;
        Ok(FakeGitHub { shared, url, runtime: handle, stop: Some(stop), thread: Some(thread), _temporary: temporary })
    }

    /// `http://127.0.0.1:PORT`: the pages, and git below it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The base of REST, as an enterprise server has it: `…/api/v3`.
    pub fn api_url(&self) -> String {
        format!("{}/api/v3", self.url)
    }

    /// The address of GraphQL: `…/api/graphql`.
    pub fn graphql_url(&self) -> String {
        format!("{}/api/graphql", self.url)
    }

    /// Where git clones a repository from; it holds no token.
    pub fn clone_url(&self, repository: &str) -> String {
        format!("{}/{repository}.git", self.url)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, delivery: DeliveryMode, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the double cannot serve");
            return;
        }
    };
    if delivery == DeliveryMode::Immediate {
        tokio::spawn(webhook::deliver_as_they_come(Arc::clone(&shared)));
    }
    let server = axum::serve(listener, server::router(shared)).into_future();
    tokio::select! {
        done = server => if let Err(error) = done { tracing::error!(%error, "the double stopped serving") },
        _ = stopped => {}
    }
}

impl Drop for FakeGitHub {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself; then nobody listens, and that is fine.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
