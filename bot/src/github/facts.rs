//! Facts for gates, all of one head.
//!
//! Invariant: what cannot be read says so and is never taken for "no". Must never judge: `reconciler::gate` does.

use model::id::PullNumber;
use model::ports::{ForgeError, ForgeRead as _};
use model::pull::{GateFacts, GateWants, RepoSnapshot};

use super::client::GitHub;

/// Reads what is wanted between two readings of the head.
pub(super) async fn gather(
    github: &GitHub,
    repo: &RepoSnapshot,
    number: PullNumber,
    wants: &GateWants,
) -> Result<GateFacts, ForgeError> {
    let pull = github.pull(repo, number).await?;
    Ok(GateFacts::of(&pull, wants))
}
