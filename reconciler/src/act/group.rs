//! Groups of a merge queue: who is in it, what it does, and what is said on its commit.
//!
//! Invariant: what GitHub dissolved costs nothing more; nothing is decided here.

use model::group::MergeGroup;
use model::id::RepoId;
use model::ports::{ForgeError, SurveyRequest};
use model::pull::RepoSnapshot;

use super::{Pass, Trouble, landing, publish};
use crate::decide;
use crate::store::{Conn, StoreError, groups};
use crate::world::{GroupRow, GroupWorld, Key};

/// Reads who is in the group now, when that is not known; what GitHub dissolved is forgotten.
pub(crate) async fn read(pass: &Pass<'_>, id: RepoId, branch: &str, known: Option<&GroupRow>) -> Result<(), Trouble> {
    let repo = pass.repository(id).await?;
    let Some(base) = MergeGroup::base_branch(branch).map(str::to_owned) else { return Ok(()) };
    let Some(tip) = pass.parts.forge.branch(&repo, branch).await?.map(|branch| branch.tip) else {
        let mut tx = pass.write().await?;
        groups::remove(&mut tx, id, branch).await?;
        return Ok(pass.commit(tx).await?);
    };
    if known.is_some_and(|row| row.head == tip && row.survey.is_some()) {
        return Ok(());
    }
    // GitHub tells of a group a moment before its queue says who is in it.
    let group = pass.parts.forge.merge_group(&repo, &base, &tip).await?.ok_or_else(|| ForgeError::Passing {
        message: format!("the merge queue of {base} does not say yet who is in {branch}"),
    })?;
    let row = GroupRow { branch: branch.to_owned(), base_branch: base, head: tip, group, survey: None };
    let survey = pass.parts.source.survey(request(pass, &repo, &row).await?).await?;
    let mut tx = pass.write().await?;
    groups::put(&mut tx, id, &row).await?;
    groups::set_survey(&mut tx, id, branch, &survey).await?;
    for member in &row.group.members {
        pass.ask(&mut tx, id, member.number).await?;
    }
    pass.commit(tx).await?;
    Ok(())
}

async fn request(pass: &Pass<'_>, repo: &RepoSnapshot, row: &GroupRow) -> Result<SurveyRequest, Trouble> {
    let default = pass.parts.forge.branch(repo, &repo.default_branch).await?.map(|branch| branch.tip);
    let default = default.unwrap_or_else(|| row.group.base.clone());
    landing::bring(pass, repo, &[row.group.base.clone(), row.head.clone(), default.clone()]).await?;
    Ok(SurveyRequest {
        repo: repo.id,
        name: repo.name.clone(),
        base: row.group.base.clone(),
        base_branch: row.base_branch.clone(),
        default_tip: default,
        default_branch: repo.default_branch.clone(),
        head: row.head.clone(),
        test_merge: None,
    })
}

/// Groups are looked at again: what they are held against has changed.
pub(crate) async fn wake(pass: &Pass<'_>, conn: &mut Conn, repo: RepoId) -> Result<(), StoreError> {
    for branch in groups::branches(conn, repo).await? {
        pass.mark(conn, repo, &Key::Branch(repo, branch)).await?;
    }
    Ok(())
}

/// Writes what stands on the group's commit.
pub(crate) async fn publish(pass: &Pass<'_>, world: &GroupWorld) -> Result<(), Trouble> {
    let checks = decide::group::checks(world);
    publish::group(pass, world, &checks).await
}
