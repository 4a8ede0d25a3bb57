//! What people do with versions: read one, bring one back, bring one in.
//!
//! Invariant: nothing is rewritten. Each of these stores a new version, whose serial is above every serial that was
//! ever seen of its lineage (tried: other content at the same serial lets an old plan apply).

use std::collections::BTreeMap;

use bytes::Bytes;
use model::id::{RepoId, StackName};

use super::document::{self, Document, DocumentError, StateOutput};
use super::judge::Verdict;
use super::lock::must_be_free;
use super::write::Draft;
use super::{REMOVAL, StateError, States, Version, head_row, version};
use crate::audit::Actor;
use crate::store::states;
use crate::store::states::{StackRow, VersionRow};

/// How a state is brought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Import {
    /// Only as the first state, or as the next of the same lineage.
    Follow,
    /// In place of whatever is there; with a new serial where its own is taken.
    Replace,
}

impl States {
    /// All kept versions of a stack, newest first.
    pub async fn versions(&self, repo: RepoId, stack: &StackName) -> Result<Vec<Version>, StateError> {
        let mut tx = self.store.snapshot().await?;
        let Some(row) = states::find(&mut tx, repo, stack).await? else {
            return Err(StateError::NoState { stack: stack.clone() });
        };
        head_row(&mut tx, &row).await?;
        let rows = states::versions(&mut tx, repo, stack).await?;
        Ok(rows.into_iter().map(|it| version(it, row.head.as_deref())).collect())
    }

    /// A version and its bytes.
    pub async fn read_version(
        &self,
        repo: RepoId,
        stack: &StackName,
        number: i64,
    ) -> Result<(Version, Bytes), StateError> {
        let (row, head) = self.find_version(repo, stack, number).await?;
        let bytes = self.content(repo, stack, &row).await?;
        Ok((version(row, head.as_deref()), bytes))
    }

    /// The outputs of a version.
    pub async fn outputs_of(
        &self,
        repo: RepoId,
        stack: &StackName,
        number: i64,
    ) -> Result<BTreeMap<String, StateOutput>, StateError> {
        let (_, bytes) = self.read_version(repo, stack, number).await?;
        Ok(document::outputs(&bytes)?)
    }

    /// Makes the content of an earlier head the state again.
    pub async fn rollback(
        &self,
        repo: RepoId,
        stack: &StackName,
        number: i64,
        by: &Actor,
    ) -> Result<Version, StateError> {
        let (row, head) = self.find_version(repo, stack, number).await?;
        let unfit = |why| StateError::Unfit { stack: stack.clone(), number, why };
        if row.kind == "orphan" {
            return Err(unfit("never was the state; promote it instead"));
        }
        if row.origin == REMOVAL {
            return Err(unfit("says that there is no state; there is nothing to bring back"));
        }
        if head.as_deref() == Some(row.id.as_str()) {
            return Err(unfit("is the state already"));
        }
        self.again(repo, stack, &row, ("rollback", "state.rollback"), by).await
    }

    /// Makes a refused version the state.
    pub async fn promote(
        &self,
        repo: RepoId,
        stack: &StackName,
        number: i64,
        by: &Actor,
    ) -> Result<Version, StateError> {
        let (row, _) = self.find_version(repo, stack, number).await?;
        if row.kind != "orphan" {
            let why = "was the state once; roll back to it instead";
            return Err(StateError::Unfit { stack: stack.clone(), number, why });
        }
        self.again(repo, stack, &row, ("promote", "state.promote"), by).await
    }

    /// Brings a state in from elsewhere.
    pub async fn import(
        &self,
        repo: RepoId,
        stack: &StackName,
        body: Bytes,
        how: Import,
        by: &Actor,
    ) -> Result<Version, StateError> {
        let mut document = Document::read(&body)?;
        let mut draft = Draft::by(document.clone(), body.clone(), "import", by, "state.import");
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, repo, stack).await?;
        must_be_free(&mut tx, &row).await?;
        let head = head_row(&mut tx, &row).await?;
        let highest = states::highest_serial(&mut tx, repo, stack, &document.lineage, "").await?;
        // The row of a stack that has nothing yet stays.
        tx.commit().await.map_err(crate::store::StoreError::from)?;
        if let Some(head) = head.as_ref().filter(|head| head.digest == draft.digest) {
            return Ok(version(head.clone(), row.head.as_deref()));
        }
        if let (Some(head), Import::Follow) = (&head, how) {
            follows(stack, head, &document)?;
        }
        if let Some(highest) = highest.filter(|highest| document.serial <= *highest) {
            if how == Import::Follow {
                let why = format!("its serial {} is not above {highest}, which was seen already", document.serial);
                return Err(conflict(stack, &why));
            }
            document.serial = highest.checked_add(1).ok_or(DocumentError::Serial)?;
            let body = Bytes::from(document::with_serial(&body, document.serial)?);
            draft = Draft::by(document, body, "import", by, "state.import");
        }
        self.replace(repo, stack, row.head, draft).await
    }

    async fn find_version(
        &self,
        repo: RepoId,
        stack: &StackName,
        number: i64,
    ) -> Result<(VersionRow, Option<String>), StateError> {
        let mut tx = self.store.snapshot().await?;
        let Some(row) = states::find(&mut tx, repo, stack).await? else {
            return Err(StateError::NoState { stack: stack.clone() });
        };
        head_row(&mut tx, &row).await?;
        let found = states::version(&mut tx, repo, stack, number).await?;
        let found = found.ok_or_else(|| StateError::NoVersion { stack: stack.clone(), number })?;
        Ok((found, row.head))
    }

    /// Stores the content of a version as the newest.
    async fn again(
        &self,
        repo: RepoId,
        stack: &StackName,
        old: &VersionRow,
        (origin, deed): (&'static str, &'static str),
        by: &Actor,
    ) -> Result<Version, StateError> {
        let bytes = self.content(repo, stack, old).await?;
        let mut conn = self.store.read().await?;
        let row = states::find(&mut conn, repo, stack).await?.ok_or(crate::store::StoreError::NoRow)?;
        let mut document = Document::read(&bytes)?;
        // Nobody can renumber an encrypted state; its own serial does when no other content ever had it.
        let except = if old.encrypted { old.digest.as_str() } else { "" };
        let highest = states::highest_serial(&mut conn, repo, stack, &old.lineage, except).await?;
        drop(conn);
        let highest = highest.unwrap_or(old.serial.saturating_sub(1));
        let mut body = bytes;
        if !old.encrypted || highest >= old.serial {
            document.serial = highest.checked_add(1).ok_or(DocumentError::Serial)?;
            body = Bytes::from(document::with_serial(&body, document.serial)?);
        }
        let draft = Draft { source: Some(old.number), ..Draft::by(document, body, origin, by, deed) };
        self.replace(repo, stack, row.head, draft).await
    }

    /// Stores a draft in place of exactly this head, which nobody may hold the lock of.
    async fn replace(
        &self,
        repo: RepoId,
        stack: &StackName,
        head: Option<String>,
        draft: Draft,
    ) -> Result<Version, StateError> {
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, repo, stack).await?;
        must_be_free(&mut tx, &row).await?;
        drop(tx);
        // An apply that takes the lock while the bytes are stored wins.
        let unmoved = |row: &StackRow, _: Option<&VersionRow>| {
            if row.head == head && row.lock.is_none() { Verdict::Accept } else { Verdict::Moved }
        };
        let (row, _) = self.keep(repo, stack, &draft, &unmoved).await?;
        let id = row.id.clone();
        Ok(version(row, Some(&id)))
    }
}

/// Only the next state of the same lineage follows by itself.
fn follows(stack: &StackName, head: &VersionRow, document: &Document) -> Result<(), StateError> {
    if head.lineage != document.lineage && head.origin != REMOVAL {
        let why = format!("its lineage is {}, and the stack's is {}", document.lineage, head.lineage);
        return Err(conflict(stack, &why));
    }
    Ok(())
}

fn conflict(stack: &StackName, why: &str) -> StateError {
    StateError::Conflict { stack: stack.clone(), why: why.to_owned() }
}
