//! Runs the double alone: `cargo run -p fake-github -- --listen 127.0.0.1:8081`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use fake_github::{AppSpec, DeliveryMode, FakeGitHub, Options};
use std::io::Write as _;

/// A GitHub for tests and demos, on this machine only.
#[derive(Debug, Parser)]
#[command(name = "fake-github")]
struct Arguments {
    /// The loopback address to listen on.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Where repositories are kept; a temporary directory without it.
    #[arg(long)]
    data: Option<PathBuf>,
    /// A person as LOGIN:TOKEN; may be given more than once.
    #[arg(long = "user", value_name = "LOGIN:TOKEN", default_values = ["ana:ana-token", "ben:ben-token"])]
    users: Vec<String>,
    /// Also registers the app `buildit` (id 1) with webhooks to this address.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Leaves out the checks against GitHub's description.
    #[arg(long)]
    lenient: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let github = FakeGitHub::start(Options {
        listen: arguments.listen,
        data_dir: arguments.data,
        delivery: DeliveryMode::Immediate,
        validate: !arguments.lenient,
        act_as_anyone: true,
        ..Options::default()
    })?;
    let mut logins = Vec::new();
    for user in &arguments.users {
        let (login, token) = user.split_once(':').with_context(|| format!("--user {user}: write LOGIN:TOKEN"))?;
        github.add_user(login, token)?;
        logins.push(login);
    }
    github.add_organization("acme", &logins)?;
    if let Some(url) = arguments.webhook {
        let permissions = [("checks", "write"), ("contents", "write"), ("pull_requests", "write"), ("issues", "write")];
        let events = ["pull_request", "issue_comment", "pull_request_review", "check_run", "check_suite", "push"];
        let spec = AppSpec { webhook_url: Some(url), ..AppSpec::new(1, "buildit", "secret", &permissions, &events) };
        github.create_app(spec)?;
    }
    let mut out = std::io::stdout();
    writeln!(out, "pages and git  {}", github.url())?;
    writeln!(out, "REST           {}", github.api_url())?;
    writeln!(out, "people         {}", arguments.users.join("  "))?;
    tokio::signal::ctrl_c().await?;
    for violation in github.violations() {
        writeln!(out, "violation: {violation}")?;
    }
    Ok(())
}
