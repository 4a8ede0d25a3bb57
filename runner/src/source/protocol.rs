//! Git protocol v2 over HTTP: one POST for known commits.
//!
//! The credential is sent in the `Authorization` header only, redirects are not followed, and bytes and time
//! are bounded. Dropping the future stops the fetch and leaves the mirror as it was.

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use git2::{Oid, Repository};
use http_body_util::{BodyExt, Full};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use model::id::{CommitSha, RepoId};
use model::ports::{FetchError, GitCredential, Source, SourceError};
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use super::{GitSource, git, oid};

/// What one fetch may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one answer.
    pub bytes: u64,
    /// Time of one request, from its start to its last byte.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 2 << 30, time: Duration::from_secs(300) }
    }
}

/// Commits of history that are asked for when a merge base is needed.
const HISTORY: u32 = 20_000;
/// Newest known commits that are offered as `have`.
const HAVES: usize = 32;

/// Brings the commits with their trees and files, and, when two of them need our own merge, its base.
pub(super) async fn bring(
    source: &GitSource,
    repo: RepoId,
    from: &GitCredential,
    commits: &[CommitSha],
    limits: Limits,
) -> Result<(), FetchError> {
    let missing = source.missing(repo, commits).await?;
    if !missing.is_empty() {
        let known = source.blocking(repo, |git, _| known(git)).await?;
        let body = request(&missing, &known, Some(1), false);
        receive(source, repo, from, &missing, body, limits).await?;
        let kept = missing.clone();
        source.blocking(repo, move |git, _| remember(git, &kept)).await?;
    }
    let asked = commits.to_vec();
    let pairs = source.blocking(repo, move |git, _| without_base(git, &asked)).await?;
    if pairs.is_empty() {
        return Ok(());
    }
    receive(source, repo, from, &pairs, request(&pairs, &Known::default(), Some(HISTORY), true), limits).await?;
    let tips = pairs.clone();
    let bases = source.blocking(repo, move |git, _| bases(git, &tips)).await?;
    let missing = source.missing(repo, &bases).await?;
    if missing.is_empty() {
        return Ok(());
    }
    receive(source, repo, from, &missing, request(&missing, &Known::default(), Some(1), false), limits).await
}

/// What the mirror already has.
#[derive(Debug, Default)]
struct Known {
    haves: Vec<Oid>,
    shallow: Vec<Oid>,
}

const KEPT: &str = "refs/buildit/";

fn known(git_repo: &Repository) -> Result<Known, SourceError> {
    let mut found: Vec<(i64, Oid)> = Vec::new();
    for reference in git_repo.references_glob(&format!("{KEPT}*")).map_err(git)? {
        if let Some(commit) = reference.ok().and_then(|r| r.peel_to_commit().ok()) {
            found.push((commit.time().seconds(), commit.id()));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    found.truncate(HAVES);
    let haves: Vec<Oid> = found.into_iter().map(|(_, id)| id).collect();
    // Every commit came alone, so each is a boundary: the server must not think that we have its parents.
    Ok(Known { shallow: haves.clone(), haves })
}

fn remember(git_repo: &Repository, commits: &[CommitSha]) -> Result<(), SourceError> {
    for commit in commits {
        git_repo.reference(&format!("{KEPT}{commit}"), oid(commit.as_str())?, true, "fetched").map_err(git)?;
    }
    Ok(())
}

/// The two tips that need a merge base which is not here. Nothing when a test merge of the two is among them.
fn without_base(git_repo: &Repository, commits: &[CommitSha]) -> Result<Vec<CommitSha>, SourceError> {
    let ids: Vec<Oid> = commits.iter().map(|c| oid(c.as_str())).collect::<Result<_, _>>()?;
    let distinct: HashSet<Oid> = ids.iter().copied().collect();
    if distinct.len() < 2 {
        return Ok(Vec::new());
    }
    for id in &distinct {
        let parents: Vec<Oid> = git_repo.find_commit(*id).map_err(git)?.parent_ids().collect();
        if parents.len() == 2 && parents.iter().all(|parent| distinct.contains(parent)) {
            return Ok(Vec::new());
        }
    }
    let mut complete = true;
    for (index, one) in ids.iter().enumerate() {
        for two in ids.iter().skip(index + 1) {
            let base = super::merge::merge_base(git_repo, *one, *two)?;
            complete &= base.is_some_and(|id| git_repo.find_commit(id).and_then(|c| c.tree()).is_ok());
        }
    }
    Ok(if complete { Vec::new() } else { commits.to_vec() })
}

fn bases(git_repo: &Repository, tips: &[CommitSha]) -> Result<Vec<CommitSha>, SourceError> {
    let ids: Vec<Oid> = tips.iter().map(|c| oid(c.as_str())).collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for (index, one) in ids.iter().enumerate() {
        for two in ids.iter().skip(index + 1) {
            let base = super::merge::merge_base(git_repo, *one, *two)?;
            found.extend(base.and_then(|id| CommitSha::parse(&id.to_string()).ok()));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
}

fn request(wants: &[CommitSha], known: &Known, depth: Option<u32>, commits_only: bool) -> Vec<u8> {
    let mut out = Vec::new();
    line(&mut out, "command=fetch");
    line(&mut out, concat!("agent=buildit/", env!("CARGO_PKG_VERSION")));
    line(&mut out, "object-format=sha1");
    out.extend_from_slice(b"0001");
    line(&mut out, "ofs-delta");
    line(&mut out, "no-progress");
    if !known.haves.is_empty() {
        // Only for a thin pack does git leave out the trees of a `have` that is no parent behind the boundary.
        line(&mut out, "thin-pack");
    }
    for want in wants {
        line(&mut out, &format!("want {want}"));
    }
    for id in &known.shallow {
        line(&mut out, &format!("shallow {id}"));
    }
    if let Some(depth) = depth {
        line(&mut out, &format!("deepen {depth}"));
    }
    if commits_only {
        line(&mut out, "filter tree:0");
    }
    for id in &known.haves {
        line(&mut out, &format!("have {id}"));
    }
    line(&mut out, "done");
    out.extend_from_slice(b"0000");
    out
}

fn passing(message: impl Into<String>) -> FetchError {
    FetchError::Passing { message: message.into() }
}

async fn receive(
    source: &GitSource,
    repo: RepoId,
    from: &GitCredential,
    wants: &[CommitSha],
    body: Vec<u8>,
    limits: Limits,
) -> Result<(), FetchError> {
    let work = exchange(source, repo, from, wants, body, limits);
    tokio::time::timeout(limits.time, work).await.map_err(|_| FetchError::TooLarge {
        limit: format!("it took more than {} s; raise the fetch time limit", limits.time.as_secs()),
    })?
}

async fn exchange(
    source: &GitSource,
    repo: RepoId,
    from: &GitCredential,
    wants: &[CommitSha],
    body: Vec<u8>,
    limits: Limits,
) -> Result<(), FetchError> {
    let mut answer = post(from, wants, body).await?.into_body();
    let (chunks, writer) = mpsc::channel::<Option<Vec<u8>>>(16);
    let write = source.blocking(repo, move |git, _| write_pack(git, writer));
    let read = async move {
        let mut lines = Lines::default();
        let mut total = 0_u64;
        while let Some(frame) = answer.frame().await {
            let frame = frame.map_err(|error| passing(format!("the answer broke off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            total += data.len() as u64;
            if total > limits.bytes {
                return Err(FetchError::TooLarge {
                    limit: format!("more than {} bytes; raise the fetch byte limit", limits.bytes),
                });
            }
            lines.buffer.extend_from_slice(&data);
            for pack in lines.take(wants)? {
                chunks.send(Some(pack)).await.map_err(|_| passing("the pack could not be written"))?;
            }
        }
        if !lines.ended {
            return Err(passing("the answer ended early"));
        }
        // Only this makes the writer keep what it got.
        chunks.send(None).await.map_err(|_| passing("the pack could not be written"))
    };
    let (read, write) = futures_util::future::join(read, write).await;
    match (read, write) {
        (_, Err(mirror)) => Err(FetchError::Mirror(mirror)),
        (read, Ok(_)) => read,
    }
}

async fn post(
    from: &GitCredential,
    wants: &[CommitSha],
    body: Vec<u8>,
) -> Result<hyper::Response<hyper::body::Incoming>, FetchError> {
    let bug = |error: &dyn std::fmt::Display| passing(format!("the request could not be made: {error}"));
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| bug(&error))?
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/git-upload-pack", from.url.trim_end_matches('/')))
        .header(USER_AGENT, concat!("git/2.40 buildit/", env!("CARGO_PKG_VERSION")))
        .header("Git-Protocol", "version=2")
        .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
        .header(ACCEPT, "application/x-git-upload-pack-result")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| bug(&error))?;
    if let Some(secret) = &from.authorization {
        let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|error| bug(&error))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let answer = client.request(request).await.map_err(|error| passing(format!("no connection: {error}")))?;
    match answer.status() {
        StatusCode::OK => Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(FetchError::Denied),
        StatusCode::NOT_FOUND => match wants.first() {
            Some(commit) => Err(FetchError::NoCommit { commit: commit.clone() }),
            None => Err(passing("404")),
        },
        other => Err(passing(format!("HTTP {other}"))),
    }
}

/// Reads packet lines as they come.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    pack: bool,
    ended: bool,
}

impl Lines {
    /// Takes every whole packet; gives the pieces of the pack.
    fn take(&mut self, wants: &[CommitSha]) -> Result<Vec<Vec<u8>>, FetchError> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(head) = self.buffer.get(at..at + 4) {
            let length = std::str::from_utf8(head).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
            let length = length.ok_or_else(|| passing("no packet line"))?;
            if length < 4 {
                self.ended |= length == 0 && self.pack;
                at += 4;
                continue;
            }
            let Some(packet) = self.buffer.get(at + 4..at + length) else { break };
            at += length;
            if let Some(message) = packet.strip_prefix(b"ERR ") {
                return Err(refused(&String::from_utf8_lossy(message), wants));
            }
            match (self.pack, packet.split_first()) {
                (false, _) => self.pack = packet.starts_with(b"packfile"),
                (true, Some((1, data))) => pieces.push(data.to_vec()),
                (true, Some((3, message))) => return Err(refused(&String::from_utf8_lossy(message), wants)),
                (true, _) => {}
            }
        }
        self.buffer.drain(..at);
        Ok(pieces)
    }
}

/// git says "not our ref SHA" of commits that it does not have.
fn refused(message: &str, wants: &[CommitSha]) -> FetchError {
    let named = wants.iter().find(|want| message.contains(want.as_str()));
    match named {
        Some(commit) if message.contains("not our ref") => FetchError::NoCommit { commit: commit.clone() },
        _ => passing(message.trim().to_owned()),
    }
}

fn write_pack(git_repo: &Repository, mut pieces: mpsc::Receiver<Option<Vec<u8>>>) -> Result<(), SourceError> {
    let odb = git_repo.odb().map_err(git)?;
    let mut writer = odb.packwriter().map_err(git)?;
    while let Some(piece) = pieces.blocking_recv() {
        let Some(piece) = piece else {
            writer.commit().map_err(git)?;
            return Ok(());
        };
        writer.write_all(&piece).map_err(|error| SourceError::Git { message: format!("pack: {error}") })?;
    }
    Ok(())
}
