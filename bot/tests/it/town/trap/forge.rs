//! The trap around GitHub.

use std::sync::Arc;

use async_trait::async_trait;
use model::group::MergeGroup;
use model::id::{CheckRunId, CommentId, CommitSha, DeploymentId, InstallationId, IssueNumber, PullNumber, RepoName};
use model::ports::{
    BranchSnapshot, CommentSnapshot, ForgeError, ForgeRead, ForgeWrite, GitCredential, Merged, PullListing,
};
use model::publication::{Check, CheckName, Deployment, Issue, Notice, Reaction, Reply, Summary};
use model::pull::{GateFacts, GateWants, PullSnapshot, RepoSnapshot, Role};
use model::stack::MergeMethod;
use model::time::Timestamp;

use super::{Around, Trap};

impl Trap {
    pub(crate) fn around_read(self: &Arc<Self>, port: Arc<dyn ForgeRead>) -> Arc<dyn ForgeRead> {
        Arc::new(Around { port, trap: self.clone() })
    }

    pub(crate) fn around_write(self: &Arc<Self>, port: Arc<dyn ForgeWrite>) -> Arc<dyn ForgeWrite> {
        Arc::new(Around { port, trap: self.clone() })
    }
}

#[async_trait]
impl ForgeRead for Around<dyn ForgeRead> {
    async fn repositories(&self) -> Result<Vec<RepoSnapshot>, ForgeError> {
        self.trap.call("repositories", self.port.repositories()).await
    }
    async fn repository(&self, installation: InstallationId, name: &RepoName) -> Result<RepoSnapshot, ForgeError> {
        self.trap.call("repository", self.port.repository(installation, name)).await
    }
    async fn pull(&self, repo: &RepoSnapshot, number: PullNumber) -> Result<PullSnapshot, ForgeError> {
        self.trap.call("pull", self.port.pull(repo, number)).await
    }
    async fn open_pulls(&self, repo: &RepoSnapshot) -> Result<Vec<PullListing>, ForgeError> {
        self.trap.call("open_pulls", self.port.open_pulls(repo)).await
    }
    async fn branch(&self, repo: &RepoSnapshot, branch: &str) -> Result<Option<BranchSnapshot>, ForgeError> {
        self.trap.call("branch", self.port.branch(repo, branch)).await
    }
    async fn pulls_of(&self, repo: &RepoSnapshot, commit: &CommitSha) -> Result<Vec<PullNumber>, ForgeError> {
        self.trap.call("pulls_of", self.port.pulls_of(repo, commit)).await
    }
    async fn merge_group(
        &self,
        repo: &RepoSnapshot,
        base_branch: &str,
        head: &CommitSha,
    ) -> Result<Option<MergeGroup>, ForgeError> {
        self.trap.call("merge_group", self.port.merge_group(repo, base_branch, head)).await
    }
    async fn comments(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        since: Option<Timestamp>,
    ) -> Result<Vec<CommentSnapshot>, ForgeError> {
        self.trap.call("comments", self.port.comments(repo, number, since)).await
    }
    async fn role(&self, repo: &RepoSnapshot, login: &str) -> Result<Role, ForgeError> {
        self.trap.call("role", self.port.role(repo, login)).await
    }
    async fn credential(&self, repo: &RepoSnapshot) -> Result<GitCredential, ForgeError> {
        self.trap.call("credential", self.port.credential(repo)).await
    }
    async fn slug(&self) -> Result<String, ForgeError> {
        self.trap.call("slug", self.port.slug()).await
    }
    async fn app_id(&self) -> Result<i64, ForgeError> {
        self.trap.call("app_id", self.port.app_id()).await
    }
    async fn gate_facts(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        wants: &GateWants,
    ) -> Result<GateFacts, ForgeError> {
        self.trap.call("gate_facts", self.port.gate_facts(repo, number, wants)).await
    }
}

#[async_trait]
impl ForgeWrite for Around<dyn ForgeWrite> {
    fn render_version(&self) -> u32 {
        self.port.render_version()
    }
    async fn put_check(
        &self,
        repo: &RepoSnapshot,
        commit: &CommitSha,
        check: &Check,
        known: Option<CheckRunId>,
    ) -> Result<CheckRunId, ForgeError> {
        self.trap.call("put_check", self.port.put_check(repo, commit, check, known)).await
    }
    async fn put_summary(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        summary: &Summary,
        known: Option<CommentId>,
    ) -> Result<CommentId, ForgeError> {
        self.trap.call("put_summary", self.port.put_summary(repo, number, summary, known)).await
    }
    async fn move_summary(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        summary: &Summary,
        old: CommentId,
        crowd: usize,
    ) -> Result<CommentId, ForgeError> {
        self.trap.call("move_summary", self.port.move_summary(repo, number, summary, old, crowd)).await
    }
    async fn put_notice(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        notice: &Notice,
        known: Option<CommentId>,
    ) -> Result<CommentId, ForgeError> {
        self.trap.call("put_notice", self.port.put_notice(repo, number, notice, known)).await
    }
    async fn put_issue(
        &self,
        repo: &RepoSnapshot,
        issue: &Issue,
        known: Option<IssueNumber>,
    ) -> Result<IssueNumber, ForgeError> {
        self.trap.call("put_issue", self.port.put_issue(repo, issue, known)).await
    }
    async fn put_deployment(
        &self,
        repo: &RepoSnapshot,
        deployment: &Deployment,
        known: Option<DeploymentId>,
    ) -> Result<DeploymentId, ForgeError> {
        self.trap.call("put_deployment", self.port.put_deployment(repo, deployment, known)).await
    }
    async fn merge(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        head: &CommitSha,
        method: Option<MergeMethod>,
    ) -> Result<Merged, ForgeError> {
        self.trap.call("merge", self.port.merge(repo, number, head, method)).await
    }
    async fn put_reply(&self, repo: &RepoSnapshot, number: PullNumber, reply: &Reply) -> Result<CommentId, ForgeError> {
        self.trap.call("put_reply", self.port.put_reply(repo, number, reply)).await
    }
    async fn react(&self, repo: &RepoSnapshot, comment: CommentId, reaction: Reaction) -> Result<(), ForgeError> {
        self.trap.call("react", self.port.react(repo, comment, reaction)).await
    }
    async fn minimize(&self, repo: &RepoSnapshot, comment: CommentId) -> Result<(), ForgeError> {
        self.trap.call("minimize", self.port.minimize(repo, comment)).await
    }
    async fn checks(
        &self,
        repo: &RepoSnapshot,
        commit: &CommitSha,
    ) -> Result<Vec<(CheckName, CheckRunId)>, ForgeError> {
        self.trap.call("checks", self.port.checks(repo, commit)).await
    }
}
