//! Checks, the summary comment, replies and reactions, brought to what `decide` says.
//!
//! Invariant: something is written only when its digest is not the one that stands there; the intent is a row before
//! the effect, and what stands on GitHub is found again by our own key when the row does not know it.

use model::id::{CheckRunId, CommentId, CommitSha, DeploymentId, IssueNumber};
use model::ports::ForgeError;
use model::publication::{Check, Notice, NoticeKind, Reaction, Reply, Summary};
use model::pull::RepoSnapshot;
use ring::digest;
use serde::Serialize;

use super::{Pass, Trouble};
use crate::decide::publish::{self, Shown};
use crate::decide::{self, gates};
use crate::store::publications::{self, Published};
use crate::store::{self, StoreError, db};
use crate::world::{CommandRow, GroupWorld, Key, NOBODY, PublicationRow, PullWorld};

/// At a push, the summary moves below so many newer comments.
const CROWD: usize = 20;

/// Writes what should stand on GitHub.
pub(crate) async fn publish(pass: &Pass<'_>, world: &PullWorld) -> Result<(), Trouble> {
    let shown = publish::decide(world);
    if shown == Shown::default() && world.publications.is_empty() && world.commands.is_empty() {
        return Ok(());
    }
    let repo = pass.repository(world.pull.repo).await?;
    if repo.archived {
        return Ok(());
    }
    let writer = Writer { pass, world, repo: &repo };
    if let Some(snapshot) = &world.pull.snapshot {
        for check in &shown.checks {
            writer.check(&snapshot.head, check, false).await?;
        }
        let current = shown.checks.iter().map(|check| check_target(world, &snapshot.head, check)).collect::<Vec<_>>();
        writer.close_others(&snapshot.head, &current).await?;
        writer.note_shown().await?;
    }
    if let Some(summary) = &shown.summary {
        writer.summary(summary).await?;
    }
    for row in world.commands.iter().filter(|row| row.done) {
        writer.answer(row).await?;
    }
    for notice in decide::notice::notices(world) {
        writer.notice(&notice).await?;
    }
    writer.issues().await?;
    writer.deployments().await
}

/// Writes the issues of what landed without a pull request.
pub(crate) async fn push(pass: &Pass<'_>, world: &PullWorld) -> Result<(), Trouble> {
    let repo = pass.repository(world.pull.repo).await?;
    if repo.archived {
        return Ok(());
    }
    let writer = Writer { pass, world, repo: &repo };
    writer.issues().await?;
    writer.deployments().await
}

/// Writes checks on the commit of a merge queue's group; a merge waits for them.
pub(crate) async fn group(pass: &Pass<'_>, world: &GroupWorld, checks: &[Check]) -> Result<(), Trouble> {
    let Some(installation) = checks.first().map(|_| world.repo.installation) else { return Ok(()) };
    let repo = match &world.repo.snapshot {
        Some(snapshot) => snapshot.clone(),
        None => pass.parts.forge.repository(installation, &world.repo.name).await?,
    };
    for check in checks {
        let target = format!("check:{}:group:{}:{}", repo.id, world.row.head, check.name);
        let content = db::to_json(check)?;
        let version = pass.parts.publisher.render_version();
        let digest = hex::encode(digest::digest(&digest::SHA256, format!("{version} {content}").as_bytes()));
        let row = world.publications.iter().find(|row| row.target == target);
        if row.is_some_and(|row| row.published.as_ref() == Some(&digest)) {
            continue;
        }
        let mut tx = pass.write().await?;
        publications::attempt(&mut tx, (repo.id, NOBODY), &target, Some(world.row.head.as_str()), &digest).await?;
        pass.commit(tx).await?;
        let known = row.and_then(|row| row.remote_id).map(CheckRunId::new);
        let id = pass.parts.publisher.put_check(&repo, &world.row.head, check, known).await?;
        let it = Published { digest: &digest, remote_id: id.get(), content: None, closed: true };
        let mut tx = pass.write().await?;
        publications::published(&mut tx, &target, &it).await?;
        pass.commit(tx).await?;
    }
    Ok(())
}

/// The key of a check's publication.
fn check_target(world: &PullWorld, commit: &CommitSha, check: &Check) -> String {
    format!("check:{}:{}:{commit}:{}", world.pull.repo, world.pull.number, check.name)
}

struct Writer<'a> {
    pass: &'a Pass<'a>,
    world: &'a PullWorld,
    repo: &'a RepoSnapshot,
}

impl Writer<'_> {
    fn row(&self, target: &str) -> Option<&PublicationRow> {
        self.world.publications.iter().find(|row| row.target == target)
    }

    /// The digest of a content as this version writes it.
    fn digest(&self, content: &impl Serialize) -> Result<(String, String), StoreError> {
        let content = db::to_json(content)?;
        let version = self.pass.parts.publisher.render_version();
        let hash = digest::digest(&digest::SHA256, format!("{version} {content}").as_bytes());
        Ok((hex::encode(hash), content))
    }

    async fn intend(&self, target: &str, commit: Option<&CommitSha>, digest: &str) -> Result<(), StoreError> {
        let place = (self.world.pull.repo, self.world.pull.number);
        let mut tx = self.pass.write().await?;
        publications::attempt(&mut tx, place, target, commit.map(CommitSha::as_str), digest).await?;
        self.pass.commit(tx).await
    }

    async fn written(&self, target: &str, it: Published<'_>) -> Result<(), StoreError> {
        let mut tx = self.pass.write().await?;
        publications::published(&mut tx, target, &it).await?;
        self.pass.commit(tx).await
    }

    async fn check(&self, commit: &CommitSha, check: &Check, closed: bool) -> Result<(), Trouble> {
        let target = check_target(self.world, commit, check);
        let (digest, content) = self.digest(check)?;
        let row = self.row(&target);
        if row.is_some_and(|row| row.published.as_ref() == Some(&digest) && row.closed == closed) {
            return Ok(());
        }
        self.intend(&target, Some(commit), &digest).await?;
        let known = row.and_then(|row| row.remote_id).map(CheckRunId::new);
        let id = self.pass.parts.publisher.put_check(self.repo, commit, check, known).await?;
        let before = row.and_then(|row| row.content.as_deref()).map(db::from_json::<Check>).transpose()?;
        let turned = before.and_then(|before| before.completed_at) != check.completed_at;
        let it = Published { digest: &digest, remote_id: id.get(), content: Some(content), closed };
        let mut tx = self.pass.write().await?;
        publications::published(&mut tx, &target, &it).await?;
        if turned && gates::asks_for(self.world, &check.name) {
            // The branch requires what we just wrote, and nobody tells us of our own checks.
            self.pass.ask(&mut tx, self.world.pull.repo, self.world.pull.number).await?;
        }
        Ok(self.pass.commit(tx).await?)
    }

    /// Checks of earlier heads, and of stacks that are not shown any more, are brought to an end.
    async fn close_others(&self, head: &CommitSha, current: &[String]) -> Result<(), Trouble> {
        for row in self.world.publications.iter().filter(|row| !row.closed && !current.contains(&row.target)) {
            let Some(commit) = row.commit.as_deref().and_then(|sha| CommitSha::parse(sha).ok()) else { continue };
            let content = row.content.as_deref().map(db::from_json::<Check>).transpose()?;
            let last = content.and_then(|check| publish::replaced(check, &commit == head));
            match last {
                Some(check) => self.check(&commit, &check, true).await?,
                None => {
                    let mut tx = self.pass.write().await?;
                    publications::close(&mut tx, &row.target).await?;
                    self.pass.commit(tx).await?;
                }
            }
        }
        Ok(())
    }

    /// Approvals are for what stood on the checks when they were given.
    async fn note_shown(&self) -> Result<(), StoreError> {
        // From when they can be read, not from when it was decided that they should.
        let fresh = publish::fingerprints(self.world, self.pass.now());
        if fresh.is_empty() {
            return Ok(());
        }
        let mut tx = self.pass.write().await?;
        for row in &fresh {
            store::gates::show(&mut tx, (self.world.pull.repo, self.world.pull.number), row).await?;
        }
        // What is judged by it may hold now.
        self.pass.mark(&mut tx, self.world.pull.repo, &Key::Pull(self.world.pull.repo, self.world.pull.number)).await?;
        self.pass.mark(&mut tx, self.world.pull.repo, &self.pass.claim.key).await?;
        self.pass.commit(tx).await
    }

    async fn summary(&self, summary: &Summary) -> Result<(), Trouble> {
        let target = publish::summary_target(self.world);
        let (digest, _) = self.digest(summary)?;
        let row = self.row(&target);
        if row.is_some_and(|row| row.published.as_ref() == Some(&digest)) {
            return Ok(());
        }
        self.intend(&target, None, &digest).await?;
        let known = row.and_then(|row| row.remote_id).map(CommentId::new);
        let publisher = &self.pass.parts.publisher;
        let number = self.world.pull.number;
        let head = summary.view.head.to_string();
        let pushed = row.and_then(|row| row.content.as_ref()).is_some_and(|last| *last != head);
        let written = match known {
            Some(old) if pushed => publisher.move_summary(self.repo, number, summary, old, CROWD).await,
            known => publisher.put_summary(self.repo, number, summary, known).await,
        };
        let id = match written {
            // Someone deleted our comment: it is looked for, then written anew.
            Err(ForgeError::Gone { .. }) if known.is_some() => {
                publisher.put_summary(self.repo, number, summary, None).await?
            }
            id => id?,
        };
        let it = Published { digest: &digest, remote_id: id.get(), content: Some(head), closed: false };
        Ok(self.written(&target, it).await?)
    }

    /// Is this what stands there? The row's digest, when it is not.
    fn fresh(&self, target: &str, content: &impl Serialize) -> Result<Option<String>, StoreError> {
        let (digest, _) = self.digest(content)?;
        let same = self.row(target).is_some_and(|row| row.published.as_ref() == Some(&digest));
        Ok((!same).then_some(digest))
    }

    /// A comment of its own; what is over is said only where something was said.
    async fn notice(&self, notice: &Notice) -> Result<(), Trouble> {
        let target = format!("notice:{}:{}:{}", self.world.pull.repo, self.world.pull.number, notice.key);
        let Some(digest) = self.fresh(&target, notice)? else { return Ok(()) };
        let known = self.row(&target).and_then(|row| row.remote_id).map(CommentId::new);
        if known.is_none() && matches!(notice.what, NoticeKind::Settled { .. }) {
            return Ok(());
        }
        self.intend(&target, None, &digest).await?;
        let publisher = &self.pass.parts.publisher;
        let id = match publisher.put_notice(self.repo, self.world.pull.number, notice, known).await {
            // Someone deleted it, and so has read it.
            Err(ForgeError::Gone { .. }) if known.is_some() => known.unwrap_or(CommentId::new(0)),
            id => id?,
        };
        Ok(self
            .written(&target, Published { digest: &digest, remote_id: id.get(), content: None, closed: true })
            .await?)
    }

    async fn issues(&self) -> Result<(), Trouble> {
        for issue in decide::notice::issues(self.world) {
            let target = format!("issue:{}:{}", self.world.pull.repo, issue.key);
            let Some(digest) = self.fresh(&target, &issue)? else { continue };
            let known = self.row(&target).and_then(|row| row.remote_id).map(IssueNumber::new);
            if known.is_none() && issue.closed {
                continue;
            }
            self.intend(&target, None, &digest).await?;
            let id = match self.pass.parts.publisher.put_issue(self.repo, &issue, known).await {
                // Issues are turned off, the App may not write them, or someone deleted this one: checks and comments
                // say it too.
                Err(ForgeError::Denied { .. } | ForgeError::Gone { .. }) => known.unwrap_or(IssueNumber::new(0)),
                id => id?,
            };
            let it = Published { digest: &digest, remote_id: id.get(), content: None, closed: true };
            self.written(&target, it).await?;
        }
        Ok(())
    }

    async fn deployments(&self) -> Result<(), Trouble> {
        for deployment in publish::deployments(self.world) {
            let target = format!("deployment:{}", deployment.key);
            let Some(digest) = self.fresh(&target, &deployment)? else { continue };
            let known = self.row(&target).and_then(|row| row.remote_id).filter(|id| *id > 0).map(DeploymentId::new);
            self.intend(&target, None, &digest).await?;
            let id = match self.pass.parts.publisher.put_deployment(self.repo, &deployment, known).await {
                // The App need not have this permission.
                Err(ForgeError::Denied { .. } | ForgeError::Gone { .. }) => known.unwrap_or(DeploymentId::new(0)),
                id => id?,
            };
            let it = Published { digest: &digest, remote_id: id.get(), content: None, closed: true };
            self.written(&target, it).await?;
        }
        Ok(())
    }

    /// The reaction to a command's comment, and the reply when there is something to say. Written once.
    async fn answer(&self, row: &CommandRow) -> Result<(), Trouble> {
        let (Some(comment), Some(outcome)) = (row.comment, &row.outcome) else { return Ok(()) };
        let reaction = if outcome.refused { Reaction::ThumbsDown } else { Reaction::Eyes };
        let target = format!("reaction:{}", row.id);
        if self.row(&target).is_none_or(|row| row.published.is_none()) {
            self.intend(&target, None, "").await?;
            match self.pass.parts.publisher.react(self.repo, comment, reaction).await {
                Ok(()) | Err(ForgeError::Gone { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            self.written(&target, Published { digest: "done", remote_id: 0, content: None, closed: true }).await?;
        }
        let target = format!("reply:{}", row.id);
        let told = !outcome.parts.is_empty();
        if told && self.row(&target).is_none_or(|row| row.published.is_none()) {
            self.intend(&target, None, "").await?;
            let reply = Reply { to: comment, parts: outcome.parts.clone() };
            let id = self.pass.parts.publisher.put_reply(self.repo, self.world.pull.number, &reply).await?;
            self.written(&target, Published { digest: "done", remote_id: id.get(), content: None, closed: true })
                .await?;
        }
        Ok(())
    }
}
