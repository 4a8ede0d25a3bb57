//! Owns git over smart HTTP: who may read and push, and handing the bytes to the `git` program.
//! Never writes a repository itself; what a push moved goes to the model.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::git::{self, Git, ZERO};
use crate::model::Model;
use crate::model::account::{Caller, Role};
use crate::rest::Refusal;
use crate::server::Shared;

/// A request below `/{owner}/{repo}.git`.
#[derive(Debug)]
pub(crate) struct GitRequest {
    pub(crate) repository: String,
    /// `info/refs`, `git-upload-pack` or `git-receive-pack`.
    pub(crate) action: String,
    /// The `service` of `info/refs`.
    pub(crate) service: Option<String>,
    /// The header `Git-Protocol`.
    pub(crate) protocol: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) gzip: bool,
    pub(crate) body: Bytes,
}

/// What to answer.
#[derive(Debug)]
pub(crate) struct GitAnswer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

impl GitAnswer {
    fn text(status: u16, body: impl Into<String>) -> GitAnswer {
        GitAnswer { status, kind: "text/plain; charset=utf-8".into(), body: body.into().into_bytes() }
    }
}

/// Answers one request of a git client.
pub(crate) async fn answer(shared: &Arc<Shared>, request: GitRequest) -> GitAnswer {
    let service = match request.action.as_str() {
        "info/refs" => request.service.clone().unwrap_or_default(),
        other => other.to_owned(),
    };
    if service != "git-upload-pack" && service != "git-receive-pack" {
        return GitAnswer::text(403, "only smart HTTP is served here; use a git client of this decade");
    }
    let write = service == "git-receive-pack";
    let allowed = allow(&mut shared.model(), &request, write);
    let (repository, git, actor) = match allowed {
        Ok(allowed) => allowed,
        Err(refusal) => return GitAnswer::text(refusal.status, refusal.message),
    };
    let advertise = request.action == "info/refs";
    let done = if write && !advertise {
        push(shared, repository, &git, actor, &request).await
    } else {
        run(&git, &service, advertise, &request).await
    };
    match done {
        Ok(body) if advertise => {
            let head = format!("# service={service}\n");
            let mut framed = format!("{:04x}{head}0000", head.len() + 4).into_bytes();
            framed.extend(body);
            GitAnswer { status: 200, kind: format!("application/x-{service}-advertisement"), body: framed }
        }
        Ok(body) => GitAnswer { status: 200, kind: format!("application/x-{service}-result"), body },
        Err(why) => {
            shared.model().violation(format!("{}: {why}", request.action));
            GitAnswer::text(500, why)
        }
    }
}

/// The repository, its directory and who acts; or GitHub's refusal.
fn allow(model: &mut Model, request: &GitRequest, write: bool) -> Result<(u64, Git, u64), Refusal> {
    let name = format!("git {} {}", request.repository, request.action);
    let caller = crate::token::caller(model, request.authorization.as_deref()).inspect_err(|_| {
        model.violations.push(format!("{name}: bad credentials"));
    })?;
    let login = || Refusal::new(401, "Authentication required");
    let found = model.repository_id(&request.repository);
    let id = match (found, &caller) {
        (Ok(id), _) => id,
        (Err(_), Caller::Anonymous) => return Err(login()),
        (Err(_), _) => return Err(Refusal::new(404, "Repository not found.")),
    };
    let it = model.repository(id)?;
    let (git, public) = (it.git.clone(), !it.private);
    let actor = match &caller {
        Caller::Anonymous if write || !public => return Err(login()),
        Caller::Anonymous => 0,
        Caller::App(_) => return Err(login()),
        Caller::Person(person) => {
            let role = model.role(*person, it).ok_or_else(|| Refusal::new(404, "Repository not found."))?;
            if write && role < Role::Write {
                return Err(Refusal::new(
                    403,
                    format!("Permission to {} denied to {}.", request.repository, model.login(*person)),
                ));
            }
            *person
        }
        Caller::Installation { installation, permissions, .. } => {
            let level = permissions.get("contents").map(String::as_str);
            let enough = if write { level == Some("write") } else { level.is_some() };
            let reached = crate::token::reaches(model, &caller, id);
            if !(reached && enough || public && !write) {
                model.violation(format!("{name}: the token does not reach this repository or lacks contents"));
                let status = if reached { 403 } else { 404 };
                return Err(Refusal::new(status, "Write access to repository not granted."));
            }
            let app = model.installations.get(installation).map(|it| it.app);
            app.and_then(|app| model.apps.get(&app)).map_or(0, |app| app.bot)
        }
    };
    Ok((id, git, actor))
}

/// Runs the push and tells the model about every ref that it moved.
async fn push(
    shared: &Arc<Shared>,
    repository: u64,
    git: &Git,
    actor: u64,
    request: &GitRequest,
) -> Result<Vec<u8>, String> {
    let _one_at_a_time = shared.pushing.lock().await;
    let all = |git: &Git| git.refs("refs/").map_err(|error| error.to_string());
    let before = all(git)?;
    let body = run(git, "git-receive-pack", false, request).await?;
    let after = all(git)?;
    let value =
        |refs: &[(String, String)], name: &str| refs.iter().find(|(it, _)| it == name).map(|(_, sha)| sha.clone());
    let shared = Arc::clone(shared);
    let told = tokio::task::spawn_blocking(move || {
        let mut model = shared.model();
        for (name, sha) in &after {
            let old = value(&before, name).unwrap_or_else(|| ZERO.into());
            model.ref_changed(repository, name, &old, sha, actor)?;
        }
        for (name, old) in &before {
            if value(&after, name).is_none() {
                model.ref_changed(repository, name, old, ZERO, actor)?;
            }
        }
        Ok::<_, crate::error::Error>(())
    });
    told.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(body)
}

async fn run(git: &Git, service: &str, advertise: bool, request: &GitRequest) -> Result<Vec<u8>, String> {
    let input = if request.gzip { unzipped(&request.body)? } else { request.body.to_vec() };
    let mut command = Command::from(git::command());
    if service == "git-receive-pack" {
        // GitHub's own refs are not for pushing.
        for own in ["refs/pull", "refs/heads/gh-readonly-queue"] {
            command.args(["-c", &format!("receive.hideRefs={own}")]);
        }
    }
    command.arg(service.trim_start_matches("git-")).arg("--stateless-rpc");
    if advertise {
        command.arg("--advertise-refs");
    }
    command.arg(git.dir()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    if let Some(protocol) = &request.protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    let mut child = command.spawn().map_err(|error| git::GitError::Missing(error).to_string())?;
    let mut stdin = child.stdin.take().ok_or("git has no standard input")?;
    let writing = async move {
        // git may stop reading early; its answer says why.
        let _ = stdin.write_all(&input).await;
        drop(stdin);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), writing);
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() || !output.stdout.is_empty() {
        return Ok(output.stdout);
    }
    Err(format!("git {service} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn unzipped(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body)
        .read_to_end(&mut plain)
        .map_err(|error| format!("the request body is not gzip: {error}"))?;
    Ok(plain)
}
