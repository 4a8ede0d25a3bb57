//! What is known of things that were written to GitHub, by target, and the two notes around every writing.
//!
//! Invariant: `intend` before the effect, `written` after it; a restart finds either.

use model::id::{CommitSha, PullNumber, RepoId};
use ring::digest;
use serde::Serialize;

use super::super::Pass;
use crate::store::publications::{self, Published};
use crate::store::{StoreError, db};
use crate::world::PublicationRow;

/// The rows of a pull request, or of nobody's.
pub(super) struct Ledger<'a> {
    pub(super) pass: &'a Pass<'a>,
    pub(super) place: (RepoId, PullNumber),
    pub(super) rows: &'a [PublicationRow],
}

impl Ledger<'_> {
    pub(super) fn row(&self, target: &str) -> Option<&PublicationRow> {
        self.rows.iter().find(|row| row.target == target)
    }

    /// The digest of a content as this version writes it, and the content as text.
    pub(super) fn digest(&self, content: &impl Serialize) -> Result<(String, String), StoreError> {
        let content = db::to_json(content)?;
        let version = self.pass.parts.publisher.render_version();
        let hash = digest::digest(&digest::SHA256, format!("{version} {content}").as_bytes());
        Ok((hex::encode(hash), content))
    }

    /// Is this what stands there? The content's digest, when it is not.
    pub(super) fn fresh(&self, target: &str, content: &impl Serialize) -> Result<Option<String>, StoreError> {
        let (digest, _) = self.digest(content)?;
        let same = self.row(target).is_some_and(|row| row.published.as_ref() == Some(&digest));
        Ok((!same).then_some(digest))
    }

    pub(super) async fn intend(
        &self,
        target: &str,
        commit: Option<&CommitSha>,
        digest: &str,
    ) -> Result<(), StoreError> {
        let mut tx = self.pass.write().await?;
        publications::attempt(&mut tx, self.place, target, commit.map(CommitSha::as_str), digest).await?;
        self.pass.commit(tx).await
    }

    pub(super) async fn written(&self, target: &str, it: Published<'_>) -> Result<(), StoreError> {
        let mut tx = self.pass.write().await?;
        publications::published(&mut tx, target, &it).await?;
        self.pass.commit(tx).await
    }
}
