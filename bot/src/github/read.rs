//! `ForgeRead` over the App's HTTP client.

use std::collections::BTreeSet;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::http::Method;
use model::group::MergeGroup;
use model::id::{CommentId, CommitSha, InstallationId, PullNumber, RepoId, RepoName};
use model::ports::{BranchSnapshot, CommentSnapshot, ForgeError, ForgeRead, GitCredential, PullListing};
use model::pull::{GateFacts, GateWants, PullSnapshot, RepoSnapshot, Role};
use model::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::auth::Scope;
use super::client::{GitHub, Reach, Who};
use super::shape::{self, commit, time};
use super::{facts, merge};

const EDITED: &str = "query($ids:[ID!]!){nodes(ids:$ids){__typename ... on IssueComment{id lastEditedAt}}}";

#[async_trait]
impl ForgeRead for GitHub {
    async fn repositories(&self) -> Result<Vec<RepoSnapshot>, ForgeError> {
        let installations: Vec<shape::Installation> =
            self.pages(|| Who::App, "/app/installations", |page| shape::read("installations", page)).await?;
        let mut all = Vec::new();
        for installation in installations.into_iter().filter(|it| it.suspended_at.is_none()) {
            let id = InstallationId::new(installation.id);
            let who = || Who::Installation(id, Reach::Everything, Scope::Metadata);
            let pick = |page| shape::read::<shape::Repositories>("repositories", page).map(|it| it.repositories);
            for repository in self.pages(who, "/installation/repositories", pick).await? {
                all.push(snapshot(id, repository)?);
            }
        }
        Ok(all)
    }

    async fn repository(&self, installation: InstallationId, name: &RepoName) -> Result<RepoSnapshot, ForgeError> {
        let who = Who::Installation(installation, Reach::Name(name), Scope::Metadata);
        let answer = self.call(who, Method::GET, &format!("/repos/{name}"), None).await?;
        snapshot(installation, shape::read("the repository", answer.body)?)
    }

    async fn pull(&self, repo: &RepoSnapshot, number: PullNumber) -> Result<PullSnapshot, ForgeError> {
        self.read_pull(repo, number).await.map(|read| read.snapshot)
    }

    async fn open_pulls(&self, repo: &RepoSnapshot) -> Result<Vec<PullListing>, ForgeError> {
        let path = format!("/repos/{}/pulls?state=open", repo.name);
        let pick = |page| shape::read::<Vec<shape::Pull>>("pull requests", page);
        let listed = self.repo_pages(repo, Scope::Read, &path, pick).await?;
        listed
            .into_iter()
            .map(|it| {
                Ok(PullListing {
                    number: PullNumber::new(it.number),
                    head: commit(&it.head.sha)?,
                    updated_at: time(&it.updated_at)?,
                })
            })
            .collect()
    }

    async fn branch(&self, repo: &RepoSnapshot, branch: &str) -> Result<Option<BranchSnapshot>, ForgeError> {
        let path = format!("/repos/{}/branches/{}", repo.name, escaped(branch));
        let answer = match self.call(Who::Repo(repo, Scope::Read), Method::GET, &path, None).await {
            Ok(answer) => answer,
            Err(ForgeError::Gone { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let it: shape::Branch = shape::read("the branch", answer.body)?;
        Ok(Some(BranchSnapshot { tip: commit(&it.commit.sha)?, protected: it.protected }))
    }

    async fn pulls_of(&self, repo: &RepoSnapshot, commit: &CommitSha) -> Result<Vec<PullNumber>, ForgeError> {
        let path = format!("/repos/{}/commits/{commit}/pulls", repo.name);
        let pick = |page| shape::read::<Vec<shape::Listed>>("pull requests of a commit", page);
        let listed = self.repo_pages(repo, Scope::Read, &path, pick).await?;
        let mut merged = Vec::new();
        for it in listed {
            if let Some(at) = it.merged_at.as_deref() {
                merged.push((time(at)?, PullNumber::new(it.number)));
            }
        }
        merged.sort_unstable();
        Ok(merged.into_iter().map(|(_, number)| number).collect())
    }

    async fn merge_group(
        &self,
        repo: &RepoSnapshot,
        base_branch: &str,
        head: &CommitSha,
    ) -> Result<Option<MergeGroup>, ForgeError> {
        merge::group(self, repo, base_branch, head).await
    }

    async fn comments(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        since: Option<Timestamp>,
    ) -> Result<Vec<CommentSnapshot>, ForgeError> {
        let comments = self.list_comments(repo, number, since).await?;
        let mut edited: BTreeSet<String> = BTreeSet::new();
        for batch in comments.chunks(100) {
            let ids: Vec<&str> = batch.iter().map(|it| it.node_id.as_str()).collect();
            let query = json!({"query": EDITED, "variables": {"ids": ids}});
            let data = self.query(repo, Scope::Read, query).await?;
            let nodes = data["nodes"].as_array().cloned().unwrap_or_default();
            // What GraphQL does not show counts as edited: never run what cannot be proved untouched.
            let untouched = |id: &str| nodes.iter().any(|it| it["id"] == id && it["lastEditedAt"].is_null());
            edited.extend(ids.iter().filter(|id| !untouched(id)).map(|id| (*id).to_owned()));
        }
        let mut all = Vec::new();
        for it in comments {
            let created_at = time(&it.created_at)?;
            if since.is_some_and(|since| created_at.seconds() < since.seconds()) {
                continue;
            }
            let (author, author_is_bot) = person(it.user);
            all.push(CommentSnapshot {
                id: CommentId::new(it.id),
                author,
                author_is_bot,
                body: it.body.unwrap_or_default(),
                created_at,
                edited: edited.contains(&it.node_id),
            });
        }
        all.sort_by_key(|it| (it.created_at, it.id));
        Ok(all)
    }

    async fn role(&self, repo: &RepoSnapshot, login: &str) -> Result<Role, ForgeError> {
        let path = format!("/repos/{}/collaborators/{}/permission", repo.name, escaped(login));
        match self.call(Who::Repo(repo, Scope::Metadata), Method::GET, &path, None).await {
            Ok(answer) => Ok(shape::read::<shape::Permission>("a permission", answer.body)?.role()),
            Err(ForgeError::Gone { .. }) => Ok(Role::None),
            Err(error) => Err(error),
        }
    }

    async fn credential(&self, repo: &RepoSnapshot) -> Result<GitCredential, ForgeError> {
        let token = self.token(repo.installation, Reach::Id(repo.id), Scope::Git).await?;
        let pair = STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
        Ok(GitCredential {
            url: format!("{}/{}.git", self.options.web(), repo.name),
            authorization: Some(SecretString::from(format!("Basic {pair}"))),
        })
    }

    async fn slug(&self) -> Result<String, ForgeError> {
        self.app_slug().await
    }

    async fn app_id(&self) -> Result<i64, ForgeError> {
        let id = self.options.key.app_id();
        i64::try_from(id).map_err(|_| ForgeError::Bug { message: format!("no App has the id {id}") })
    }

    async fn gate_facts(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        wants: &GateWants,
    ) -> Result<GateFacts, ForgeError> {
        facts::gather(self, repo, number, wants).await
    }
}

/// A pull request with what only its own page tells.
pub(super) struct ReadPull {
    pub(super) snapshot: PullSnapshot,
    /// "clean", "blocked", "behind", …
    pub(super) mergeable_state: String,
    /// How many commits it has.
    pub(super) commits: u64,
}

impl GitHub {
    /// A pull request now.
    pub(super) async fn read_pull(&self, repo: &RepoSnapshot, number: PullNumber) -> Result<ReadPull, ForgeError> {
        let path = format!("/repos/{}/pulls/{number}", repo.name);
        let answer = self.call(Who::Repo(repo, Scope::Read), Method::GET, &path, None).await?;
        let it: shape::Pull = shape::read("the pull request", answer.body)?;
        let (mergeable_state, commits) = (it.mergeable_state.clone(), it.commits);
        Ok(ReadPull { snapshot: pull(repo.id, it)?, mergeable_state, commits })
    }

    /// Comments of a pull request that changed since then, as REST lists them.
    pub(super) async fn list_comments(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        since: Option<Timestamp>,
    ) -> Result<Vec<shape::Comment>, ForgeError> {
        let since = since.map(|at| format!("?since={}", shape::written(at))).unwrap_or_default();
        let path = format!("/repos/{}/issues/{number}/comments{since}", repo.name);
        self.repo_pages(repo, Scope::Read, &path, |page| shape::read("comments", page)).await
    }
}

/// Escapes a text as one path segment; `/` stays, as GitHub's branch routes want it.
pub(super) fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

pub(super) fn person(user: Option<shape::User>) -> (String, bool) {
    // GitHub shows a deleted account as "ghost".
    user.map_or(("ghost".to_owned(), false), |user| {
        let bot = user.kind == "Bot";
        (user.login, bot)
    })
}

fn snapshot(installation: InstallationId, it: shape::Repository) -> Result<RepoSnapshot, ForgeError> {
    Ok(RepoSnapshot {
        id: RepoId::new(it.id),
        installation,
        name: RepoName::parse(&it.full_name).map_err(|error| ForgeError::Bug { message: error.to_string() })?,
        default_branch: it.default_branch.unwrap_or_else(|| "main".to_owned()),
        archived: it.archived || it.disabled,
    })
}

fn pull(repo: RepoId, it: shape::Pull) -> Result<PullSnapshot, ForgeError> {
    let state = it.state();
    let (author, author_is_bot) = person(it.user);
    let mut labels: Vec<String> = it.labels.into_iter().map(|label| label.name).collect();
    labels.sort();
    Ok(PullSnapshot {
        number: PullNumber::new(it.number),
        title: it.title,
        author,
        author_is_bot,
        state,
        draft: it.draft,
        head: commit(&it.head.sha)?,
        head_branch: it.head.branch,
        // A head whose repository was deleted is a fork's too.
        fork: it.head.repo.is_none_or(|head| head.id != repo.get()),
        base: commit(&it.base.sha)?,
        base_branch: it.base.branch,
        merge_commit: it.merge_commit_sha.as_deref().map(commit).transpose()?,
        mergeable: it.mergeable,
        labels,
        updated_at: time(&it.updated_at)?,
        merged_at: it.merged_at.as_deref().map(time).transpose()?,
    })
}
