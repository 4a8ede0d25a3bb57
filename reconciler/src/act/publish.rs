//! Checks, the summary comment, replies and reactions, brought to what `decide` says.
//!
//! Invariant: something is written only when its digest is not the one that stands there; the intent is a row before
//! the effect, and what stands on GitHub is found again by our own key when the row does not know it.

mod ledger;

use model::id::{CheckRunId, CommentId, CommitSha, DeploymentId, IssueNumber};
use model::ports::ForgeError;
use model::publication::{Check, Notice, NoticeKind, Reaction, Reply, Summary};
use model::pull::RepoSnapshot;

use self::ledger::Ledger;
use super::{Pass, Trouble};
use crate::decide::publish::{self, Shown};
use crate::decide::{self, gates};
use crate::store::publications::{self, Published};
use crate::store::{self, StoreError, db};
use crate::world::{CommandRow, GroupWorld, Key, NOBODY, PullWorld};

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
    let writer = Writer::new(pass, world, &repo);
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
    let writer = Writer::new(pass, world, &repo);
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
    let head = &world.row.head;
    let ledger = Ledger { pass, place: (repo.id, NOBODY), rows: &world.publications };
    for check in checks {
        let target = format!("check:{}:group:{head}:{}", repo.id, check.name);
        let Some(digest) = ledger.fresh(&target, check)? else { continue };
        ledger.intend(&target, Some(head), &digest).await?;
        let known = ledger.row(&target).and_then(|row| row.remote_id).map(CheckRunId::new);
        let id = pass.parts.publisher.put_check(&repo, head, check, known).await?;
        let it = Published { digest: &digest, remote_id: id.get(), content: None, closed: true };
        ledger.written(&target, it).await?;
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
    ledger: Ledger<'a>,
}

impl<'a> Writer<'a> {
    fn new(pass: &'a Pass<'a>, world: &'a PullWorld, repo: &'a RepoSnapshot) -> Self {
        let place = (world.pull.repo, world.pull.number);
        Self { pass, world, repo, ledger: Ledger { pass, place, rows: &world.publications } }
    }
}

impl Writer<'_> {
    async fn check(&self, commit: &CommitSha, check: &Check, closed: bool) -> Result<(), Trouble> {
        let target = check_target(self.world, commit, check);
        let (digest, content) = self.ledger.digest(check)?;
        let row = self.ledger.row(&target);
        if row.is_some_and(|row| row.published.as_ref() == Some(&digest) && row.closed == closed) {
            return Ok(());
        }
        self.ledger.intend(&target, Some(commit), &digest).await?;
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
        let (digest, _) = self.ledger.digest(summary)?;
        let row = self.ledger.row(&target);
        if row.is_some_and(|row| row.published.as_ref() == Some(&digest)) {
            return Ok(());
        }
        self.ledger.intend(&target, None, &digest).await?;
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
        Ok(self.ledger.written(&target, it).await?)
    }

    /// A comment of its own; what is over is said only where something was said.
    async fn notice(&self, notice: &Notice) -> Result<(), Trouble> {
        let target = format!("notice:{}:{}:{}", self.world.pull.repo, self.world.pull.number, notice.key);
        let Some(digest) = self.ledger.fresh(&target, notice)? else { return Ok(()) };
        let known = self.ledger.row(&target).and_then(|row| row.remote_id).map(CommentId::new);
        if known.is_none() && matches!(notice.what, NoticeKind::Settled { .. }) {
            return Ok(());
        }
        self.ledger.intend(&target, None, &digest).await?;
        let publisher = &self.pass.parts.publisher;
        let id = match publisher.put_notice(self.repo, self.world.pull.number, notice, known).await {
            // Someone deleted it, and so has read it.
            Err(ForgeError::Gone { .. }) if known.is_some() => known.unwrap_or(CommentId::new(0)),
            id => id?,
        };
        Ok(self
            .ledger
            .written(&target, Published { digest: &digest, remote_id: id.get(), content: None, closed: true })
            .await?)
    }

    async fn issues(&self) -> Result<(), Trouble> {
        for issue in decide::notice::issues(self.world) {
            let target = format!("issue:{}:{}", self.world.pull.repo, issue.key);
            let Some(digest) = self.ledger.fresh(&target, &issue)? else { continue };
            let known = self.ledger.row(&target).and_then(|row| row.remote_id).map(IssueNumber::new);
            if known.is_none() && issue.closed {
                continue;
            }
            self.ledger.intend(&target, None, &digest).await?;
            let id = match self.pass.parts.publisher.put_issue(self.repo, &issue, known).await {
                // Issues are turned off, the App may not write them, or someone deleted this one: checks and comments
                // say it too.
                Err(ForgeError::Denied { .. } | ForgeError::Gone { .. }) => known.unwrap_or(IssueNumber::new(0)),
                id => id?,
            };
            let it = Published { digest: &digest, remote_id: id.get(), content: None, closed: true };
            self.ledger.written(&target, it).await?;
        }
        Ok(())
    }

    async fn deployments(&self) -> Result<(), Trouble> {
        for deployment in publish::deployments(self.world) {
            let target = format!("deployment:{}", deployment.key);
            let Some(digest) = self.ledger.fresh(&target, &deployment)? else { continue };
            let known =
                self.ledger.row(&target).and_then(|row| row.remote_id).filter(|id| *id > 0).map(DeploymentId::new);
            self.ledger.intend(&target, None, &digest).await?;
            let id = match self.pass.parts.publisher.put_deployment(self.repo, &deployment, known).await {
                // The App need not have this permission.
                Err(ForgeError::Denied { .. } | ForgeError::Gone { .. }) => known.unwrap_or(DeploymentId::new(0)),
                id => id?,
            };
            let it = Published { digest: &digest, remote_id: id.get(), content: None, closed: true };
            self.ledger.written(&target, it).await?;
        }
        Ok(())
    }

    /// The reaction to a command's comment, and the reply when there is something to say. Written once.
    async fn answer(&self, row: &CommandRow) -> Result<(), Trouble> {
        let (Some(comment), Some(outcome)) = (row.comment, &row.outcome) else { return Ok(()) };
        let reaction = if outcome.refused { Reaction::ThumbsDown } else { Reaction::Eyes };
        let target = format!("reaction:{}", row.id);
        if self.ledger.row(&target).is_none_or(|row| row.published.is_none()) {
            self.ledger.intend(&target, None, "").await?;
            match self.pass.parts.publisher.react(self.repo, comment, reaction).await {
                Ok(()) | Err(ForgeError::Gone { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            self.ledger
                .written(&target, Published { digest: "done", remote_id: 0, content: None, closed: true })
                .await?;
        }
        let target = format!("reply:{}", row.id);
        let told = !outcome.parts.is_empty();
        if told && self.ledger.row(&target).is_none_or(|row| row.published.is_none()) {
            self.ledger.intend(&target, None, "").await?;
            let reply = Reply { to: comment, parts: outcome.parts.clone() };
            let id = self.pass.parts.publisher.put_reply(self.repo, self.world.pull.number, &reply).await?;
            self.ledger
                .written(&target, Published { digest: "done", remote_id: id.get(), content: None, closed: true })
                .await?;
        }
        Ok(())
    }
}
