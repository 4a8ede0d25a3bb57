//! What the person who runs the server is told: the log, the warnings at its start, the line above every page.

use std::net::SocketAddr;

use model::stack::ResolvedTool;
use tracing_subscriber::EnvFilter;

use crate::settings::{ExecutorChoice, LogFormat, Settings};

/// Begins the log on standard error.
///
/// # Errors
/// The filter is none.
pub(super) fn begin(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&settings.log).map_err(|error| {
        anyhow::anyhow!(
            "log (BUILDIT_LOG) is no filter\n  {:?}: {error}\n  do: write a level such as info, or targets such as bot=debug,info",
            settings.log
        )
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match settings.log_format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| anyhow::anyhow!("the log cannot be begun: {error}"))
}

/// The line above every page, while something is as nobody would want it for long.
pub(super) fn banner(settings: &Settings) -> Option<String> {
    let text = match (&settings.github, settings.executor) {
        (None, _) => "No GitHub App is configured: these pages show what was planned before, and nothing new comes.",
        (Some(_), ExecutorChoice::None) => {
            "No executor is set: every plan fails until whoever runs this server sets one."
        }
        (Some(_), ExecutorChoice::Process) => {
            "Plans run as plain processes of this server, without walls: only code that you trust may be planned."
        }
    };
    Some(text.to_owned())
}

/// What starts and yet may not be what was meant.
pub(super) fn warnings(settings: &Settings, address: SocketAddr) {
    match (&settings.github, settings.executor) {
        (None, _) => tracing::warn!(
            "no GitHub App is configured: this server shows its pages and does nothing else; docs/operations.md says how to make one"
        ),
        (Some(_), ExecutorChoice::None) => tracing::warn!(
            "no executor is set: plans fail; set executor = \"process\" and allow_process_executor = true if you trust all code"
        ),
        (Some(_), ExecutorChoice::Process) => {
            tracing::warn!(
                "plans run as plain processes of this user, without walls: all code that is planned must be trusted"
            );
        }
    }
    if settings.github.is_some() && settings.public_url.is_none() {
        tracing::warn!("public_url is not set: links in checks and comments lead to http://{address}");
    }
    if settings.public_read && !address.ip().is_loopback() {
        tracing::warn!("public_read is set: everybody who reaches {address} reads plans and logs");
    }
}

/// Which programs will plan.
pub(super) fn tools(found: &[ResolvedTool]) {
    for tool in found {
        tracing::info!(tool = tool.tool.name(), version = tool.version, path = %tool.path.display(), "found");
    }
    if found.is_empty() {
        tracing::warn!(
            "no terraform or tofu was found on PATH or in tools: plans fail until one is installed (https://opentofu.org/docs/intro/install)"
        );
    }
}
