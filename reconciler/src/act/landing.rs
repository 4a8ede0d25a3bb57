//! What lands on trusted branches: the walk from the newest commit that is noted to the tip, and what each commit does.
//!
//! Invariant: the walk moves on in the transaction that notes what it passed, so that a commit is served once and none
//! is left out. A deleted or rewritten branch serves nothing.

use model::id::{CommitSha, PullNumber, RepoId};
use model::ports::{FetchError, SurveyRequest};
use model::pull::{PullState, RepoSnapshot};

use super::{Pass, Trouble};
use crate::decide::landing::served;
use crate::store::{landings, pulls};
use crate::world::{BranchRow, Key, LandingRow, NewLanding};

/// More commits at once are a branch that was rewritten, or history that nobody could review.
const LONGEST: usize = 300;

/// Walks from what is noted to the tip.
pub(crate) async fn walk(pass: &Pass<'_>, id: RepoId, row: &BranchRow) -> Result<(), Trouble> {
    let repo = pass.repository(id).await?;
    let tip = pass.parts.forge.branch(&repo, &row.name).await?.map(|branch| branch.tip);
    let landed = match &tip {
        Some(tip) if *tip != row.walked => chain(pass, &repo, row, tip).await?,
        _ => Vec::new(),
    };
    let mut noted: Vec<NewLanding> = Vec::new();
    for (before, commit) in landed {
        let pull = pull_of(pass, &repo, &row.name, &commit).await?;
        match noted.last_mut().filter(|last| pull.is_some() && last.pull == pull) {
            // A rebase brings several commits of one pull request.
            Some(last) => last.commit = commit,
            None => noted.push(NewLanding { before, commit, pull }),
        }
    }
    let moved = tip.as_ref().is_some_and(|tip| *tip != row.walked);
    let mut tx = pass.serial().await?;
    landings::walked(&mut tx, id, row, tip.as_ref().unwrap_or(&row.walked), &noted, pass.now()).await?;
    if moved {
        let default = repo.default_branch == row.name;
        for number in pulls::open(&mut tx, id, (!default).then_some(row.name.as_str())).await? {
            pass.ask(&mut tx, id, number).await?;
        }
    }
    for pull in noted.iter().filter_map(|it| it.pull) {
        pass.ask(&mut tx, id, pull).await?;
        pass.mark(&mut tx, id, &Key::Publish(id, pull)).await?;
    }
    Ok(pass.commit(tx).await?)
}

/// The pull request that brought the commit to this branch. One that was merged elsewhere was reviewed for elsewhere:
/// here its commits are pushed.
async fn pull_of(
    pass: &Pass<'_>,
    repo: &RepoSnapshot,
    branch: &str,
    commit: &CommitSha,
) -> Result<Option<PullNumber>, Trouble> {
    let forge = &pass.parts.forge;
    for number in forge.pulls_of(repo, commit).await? {
        let pull = forge.pull(repo, number).await?;
        if pull.base_branch == branch && pull.state == PullState::Merged {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// The commits behind `walked` up to the tip with the one before each, oldest first; none when `walked` is not behind
/// the tip any more.
async fn chain(
    pass: &Pass<'_>,
    repo: &RepoSnapshot,
    row: &BranchRow,
    tip: &CommitSha,
) -> Result<Vec<(CommitSha, CommitSha)>, Trouble> {
    let source = &pass.parts.source;
    let mut chain = Vec::new();
    let mut at = tip.clone();
    while at != row.walked {
        bring(pass, repo, &[at.clone()]).await?;
        let Some(before) = source.parents(repo.id, &at).await?.into_iter().next() else { return Ok(Vec::new()) };
        if chain.len() == LONGEST {
            tracing::warn!(repo = %repo.name, branch = row.name, "was rewritten, or grew by too much: nothing of it is served");
            return Ok(Vec::new());
        }
        chain.push((before.clone(), at));
        at = before;
    }
    chain.reverse();
    Ok(chain)
}

pub(super) async fn bring(pass: &Pass<'_>, repo: &RepoSnapshot, commits: &[CommitSha]) -> Result<(), Trouble> {
    let source = &pass.parts.source;
    let missing = source.missing(repo.id, commits).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let credential = pass.parts.forge.credential(repo).await?;
    Ok(source.fetch(repo.id, &credential, &missing).await?)
}

/// Reads what a landing does to which stack. What is trusted is read at the commit before it.
pub(crate) async fn survey(pass: &Pass<'_>, id: RepoId, landing: &LandingRow) -> Result<(), Trouble> {
    let repo = pass.repository(id).await?;
    match bring(pass, &repo, &[landing.before.clone(), landing.commit.clone()]).await {
        // Gone with a rewritten branch: there is nothing to serve.
        Err(Trouble::Fetch(FetchError::NoCommit { .. })) => {
            let mut tx = pass.write().await?;
            landings::close(&mut tx, id, landing.id).await?;
            return Ok(pass.commit(tx).await?);
        }
        brought => brought?,
    }
    let request = SurveyRequest {
        repo: id,
        name: repo.name.clone(),
        base: landing.before.clone(),
        base_branch: landing.branch.clone(),
        default_tip: default_tip(pass, &repo, landing).await?,
        default_branch: repo.default_branch.clone(),
        head: landing.commit.clone(),
        test_merge: None,
    };
    let survey = pass.parts.source.survey(request).await?;
    let mut tx = pass.write().await?;
    landings::set_survey(&mut tx, id, landing.id, &survey, &served(&survey)).await?;
    if let Some(pull) = landing.pull {
        pass.mark(&mut tx, id, &Key::Pull(id, pull)).await?;
        pass.mark(&mut tx, id, &Key::Publish(id, pull)).await?;
    }
    Ok(pass.commit(tx).await?)
}

/// Which branches are trusted is read on the default branch: before the landing when it is that branch itself.
async fn default_tip(pass: &Pass<'_>, repo: &RepoSnapshot, landing: &LandingRow) -> Result<CommitSha, Trouble> {
    if repo.default_branch == landing.branch {
        return Ok(landing.before.clone());
    }
    let branch = pass.parts.forge.branch(repo, &repo.default_branch).await?;
    let tip = branch.map_or_else(|| landing.before.clone(), |branch| branch.tip);
    bring(pass, repo, std::slice::from_ref(&tip)).await?;
    Ok(tip)
}
