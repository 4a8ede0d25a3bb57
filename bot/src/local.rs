//! The forge of `buildit preview`: one pull request made of two commits of a clone, publications kept in memory.
//!
//! Invariant: it writes nowhere but into itself; the command line shows what was kept.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use model::group::MergeGroup;
use model::id::{
    CheckRunId, CommentId, CommitSha, DeploymentId, InstallationId, IssueNumber, PullNumber, RepoId, RepoName,
};
use model::ports::{
    BranchSnapshot, CommentSnapshot, ForgeError, ForgeRead, ForgeWrite, GitCredential, Merged, PullListing,
};
use model::publication::{Check, CheckName, Deployment, Issue, Notice, PullView, Reaction, Reply, Summary, View};
use model::pull::{Fact, GateFacts, GateWants, PullSnapshot, PullState, RepoSnapshot, Role};
use model::stack::MergeMethod;
use model::time::Timestamp;

use crate::render;

/// The number of the only pull request.
pub const NUMBER: PullNumber = PullNumber::new(1);
const SUMMARY: CommentId = CommentId::new(1);

/// What is previewed.
#[derive(Debug, Clone)]
pub struct Preview {
    /// `local/FOLDER`.
    pub name: RepoName,
    /// Where the clone is; git reads it from there.
    pub path: String,
    /// The commit that plays the base branch's tip.
    pub base: CommitSha,
    /// How the person named it; it is the default branch too, so that it is trusted.
    pub base_branch: String,
    /// The commit that plays the head.
    pub head: CommitSha,
    /// How the person named it.
    pub head_branch: String,
    /// When the preview began.
    pub at: Timestamp,
}

/// What was published last.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Checks by name, in the order in which they came.
    pub checks: Vec<Check>,
    /// The comment.
    pub summary: Option<Summary>,
}

impl Published {
    /// Where the pull request stands, by its aggregate check.
    pub fn view(&self) -> Option<&PullView> {
        self.checks.iter().find_map(|check| match &check.view {
            View::Pull(view) => Some(&**view),
            View::Stack(_) | View::Config(_) | View::Group(_) => None,
        })
    }

    /// Has the aggregate check a conclusion?
    pub fn is_concluded(&self) -> bool {
        self.view().is_some_and(|view| render::pull_verdict(view).status.conclusion.is_some())
    }

    /// The title of the aggregate check.
    pub fn title(&self) -> Option<String> {
        self.view().map(|view| render::pull_verdict(view).title)
    }
}

/// The forge.
pub struct LocalForge {
    preview: Preview,
    published: Mutex<Published>,
}

impl fmt::Debug for LocalForge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalForge").field("preview", &self.preview).finish_non_exhaustive()
    }
}

impl LocalForge {
    /// A forge with this one pull request.
    pub fn new(preview: Preview) -> Self {
        Self { preview, published: Mutex::default() }
    }

    /// What was published so far.
    pub fn published(&self) -> Published {
        self.kept().clone()
    }

    /// The only repository.
    pub fn only_repository(&self) -> RepoSnapshot {
        RepoSnapshot {
            id: RepoId::new(1),
            installation: InstallationId::new(1),
            name: self.preview.name.clone(),
            default_branch: self.preview.base_branch.clone(),
            archived: false,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ForgeRead for LocalForge {
    async fn repositories(&self) -> Result<Vec<RepoSnapshot>, ForgeError> {
        Ok(vec![self.only_repository()])
    }

    async fn repository(&self, _: InstallationId, name: &RepoName) -> Result<RepoSnapshot, ForgeError> {
        if *name == self.preview.name {
            return Ok(self.only_repository());
        }
        Err(ForgeError::Gone { what: name.to_string() })
    }

    async fn pull(&self, _: &RepoSnapshot, number: PullNumber) -> Result<PullSnapshot, ForgeError> {
        if number != NUMBER {
            return Err(ForgeError::Gone { what: format!("pull request {number}") });
        }
        let it = &self.preview;
        Ok(PullSnapshot {
            number,
            title: format!("{} into {}", it.head_branch, it.base_branch),
            author: "you".to_owned(),
            author_is_bot: false,
            state: PullState::Open,
            draft: false,
            head: it.head.clone(),
            head_branch: it.head_branch.clone(),
            fork: false,
            base: it.base.clone(),
            base_branch: it.base_branch.clone(),
            merge_commit: None,
            mergeable: None,
            labels: Vec::new(),
            updated_at: it.at,
            merged_at: None,
        })
    }

    async fn open_pulls(&self, _: &RepoSnapshot) -> Result<Vec<PullListing>, ForgeError> {
        Ok(vec![PullListing { number: NUMBER, head: self.preview.head.clone(), updated_at: self.preview.at }])
    }

    async fn branch(&self, _: &RepoSnapshot, branch: &str) -> Result<Option<BranchSnapshot>, ForgeError> {
        let it = &self.preview;
        let tip = |tip: &CommitSha| Some(BranchSnapshot { tip: tip.clone(), protected: true });
        Ok(match branch {
            name if name == it.base_branch => tip(&it.base),
            name if name == it.head_branch => tip(&it.head),
            _ => None,
        })
    }

    async fn pulls_of(&self, _: &RepoSnapshot, _: &CommitSha) -> Result<Vec<PullNumber>, ForgeError> {
        Ok(Vec::new())
    }

    async fn merge_group(&self, _: &RepoSnapshot, _: &str, _: &CommitSha) -> Result<Option<MergeGroup>, ForgeError> {
        Ok(None)
    }

    async fn comments(
        &self,
        _: &RepoSnapshot,
        _: PullNumber,
        _: Option<Timestamp>,
    ) -> Result<Vec<CommentSnapshot>, ForgeError> {
        Ok(Vec::new())
    }

    async fn role(&self, _: &RepoSnapshot, _: &str) -> Result<Role, ForgeError> {
        Ok(Role::Admin)
    }

    async fn credential(&self, _: &RepoSnapshot) -> Result<GitCredential, ForgeError> {
        Ok(GitCredential { url: self.preview.path.clone(), authorization: None })
    }

    async fn slug(&self) -> Result<String, ForgeError> {
        Ok("buildit".to_owned())
    }

    async fn app_id(&self) -> Result<i64, ForgeError> {
        Ok(0)
    }

    async fn gate_facts(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        wants: &GateWants,
    ) -> Result<GateFacts, ForgeError> {
        let facts = GateFacts::of(&self.pull(repo, number).await?, wants);
        Ok(GateFacts {
            reviews: absent(wants.reviews),
            pushers: absent(wants.pusher),
            decision: absent(wants.codeowners),
            code_owner_rule: absent(wants.codeowners),
            required: absent(wants.checks),
            checks: absent(wants.checks),
            unresolved: absent(wants.threads),
            unsigned: absent(wants.signatures),
            ..facts
        })
    }
}

#[async_trait]
impl ForgeWrite for LocalForge {
    fn render_version(&self) -> u32 {
        render::VERSION
    }

    async fn put_check(
        &self,
        _: &RepoSnapshot,
        _: &CommitSha,
        check: &Check,
        _: Option<CheckRunId>,
    ) -> Result<CheckRunId, ForgeError> {
        let mut kept = self.kept();
        let place = match kept.checks.iter().position(|old| old.name == check.name) {
            Some(place) => {
                kept.checks[place] = check.clone();
                place
            }
            None => {
                kept.checks.push(check.clone());
                kept.checks.len() - 1
            }
        };
        Ok(run_id(place))
    }

    async fn put_summary(
        &self,
        _: &RepoSnapshot,
        _: PullNumber,
        summary: &Summary,
        _: Option<CommentId>,
    ) -> Result<CommentId, ForgeError> {
        self.kept().summary = Some(summary.clone());
        Ok(SUMMARY)
    }

    async fn move_summary(
        &self,
        repo: &RepoSnapshot,
        number: PullNumber,
        summary: &Summary,
        old: CommentId,
        _: usize,
    ) -> Result<CommentId, ForgeError> {
        self.put_summary(repo, number, summary, Some(old)).await
    }

    async fn put_notice(
        &self,
        _: &RepoSnapshot,
        _: PullNumber,
        _: &Notice,
        _: Option<CommentId>,
    ) -> Result<CommentId, ForgeError> {
        Err(refused("a comment"))
    }

    async fn put_issue(&self, _: &RepoSnapshot, _: &Issue, _: Option<IssueNumber>) -> Result<IssueNumber, ForgeError> {
        Err(refused("an issue"))
    }

    async fn put_deployment(
        &self,
        _: &RepoSnapshot,
        _: &Deployment,
        _: Option<DeploymentId>,
    ) -> Result<DeploymentId, ForgeError> {
        Err(refused("a deployment"))
    }

    async fn merge(
        &self,
        _: &RepoSnapshot,
        _: PullNumber,
        _: &CommitSha,
        _: Option<MergeMethod>,
    ) -> Result<Merged, ForgeError> {
        Ok(Merged::Not { why: "a preview merges nothing; open a pull request".to_owned() })
    }

    async fn put_reply(&self, _: &RepoSnapshot, _: PullNumber, reply: &Reply) -> Result<CommentId, ForgeError> {
        Ok(reply.to)
    }

    async fn react(&self, _: &RepoSnapshot, _: CommentId, _: Reaction) -> Result<(), ForgeError> {
        Ok(())
    }

    async fn minimize(&self, _: &RepoSnapshot, _: CommentId) -> Result<(), ForgeError> {
        Ok(())
    }

    async fn checks(&self, _: &RepoSnapshot, _: &CommitSha) -> Result<Vec<(CheckName, CheckRunId)>, ForgeError> {
        let kept = self.kept();
        Ok(kept.checks.iter().enumerate().map(|(place, check)| (check.name.clone(), run_id(place))).collect())
    }
}

/// A preview plans and asks nobody for anything.
fn refused(what: &str) -> ForgeError {
    ForgeError::Denied { message: format!("a preview writes {what} nowhere; open a pull request") }
}

/// Nobody reviews a preview.
fn absent<T>(wanted: bool) -> Fact<T> {
    match wanted {
        true => Fact::Unreadable("a preview has no pull request on GitHub; open one".to_owned()),
        false => Fact::NotAsked,
    }
}

fn run_id(place: usize) -> CheckRunId {
    CheckRunId::new(i64::try_from(place).unwrap_or(i64::MAX).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use model::publication::Standing;

    use super::*;
    use crate::render::sample;

    fn check(name: CheckName, standing: Standing) -> Check {
        Check {
            name,
            external_id: "x".to_owned(),
            details_url: String::new(),
            view: View::Pull(Box::new(sample::view(standing))),
            started_at: None,
            completed_at: None,
            actions: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_check_written_twice_is_kept_once_and_newest() {
        let preview = Preview {
            name: RepoName::parse("local/shop").expect("a name"),
            path: "/tmp/shop".to_owned(),
            base: sample::sha("1"),
            base_branch: "main".to_owned(),
            head: sample::sha("2"),
            head_branch: "HEAD".to_owned(),
            at: Timestamp::from_seconds(1),
        };
        let forge = LocalForge::new(preview);
        let repo = forge.only_repository();
        let head = forge.pull(&repo, NUMBER).await.expect("the pull request").head;
        let first =
            forge.put_check(&repo, &head, &check(CheckName::Plan, Standing::Reading), None).await.expect("kept");
        let again = check(CheckName::Plan, Standing::Draft);
        assert_eq!(forge.put_check(&repo, &head, &again, None).await.expect("kept"), first);
        assert_eq!(forge.published().checks, [again]);
        assert_eq!(forge.checks(&repo, &head).await.expect("checks"), [(CheckName::Plan, first)]);
        let base = forge.branch(&repo, &repo.default_branch).await.expect("an answer").expect("the default branch");
        assert_eq!(base.tip, sample::sha("1"));
        assert!(forge.pull(&repo, PullNumber::new(2)).await.is_err());
    }
}
