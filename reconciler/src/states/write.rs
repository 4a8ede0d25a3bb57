//! Storing a version: a row that waits, then the bytes, then the head.
//!
//! Invariant: the head never names bytes that are not stored. A server that dies in between leaves a row that
//! waits, which the next write of the stack sweeps away an hour later.

use std::time::Duration;

use bytes::Bytes;
use model::id::{RepoId, RunId, StackName};
use ring::digest;

use super::document::Document;
use super::judge::{self, Offer, Refusal, Verdict, Writer, judge};
use super::{
    Grant, REMOVAL, StateError, States, Version, actor, binding, blob_key, head_row, stack_place, state_row, version,
};
use crate::audit::{self, Actor, Entry};
use crate::store::states::{StackRow, VersionRow};
use crate::store::{Conn, StoreError, pulls, states};

/// Refused versions that are kept of one run, or of one person's token, on one stack.
const MOST_ORPHANS: usize = 20;
/// Tries while others write between our steps: each that fails is a new head of theirs.
const ROUNDS: usize = 32;
/// No write takes so long: what waits longer is of a dead server.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What became of a run's write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is the head, now or since an earlier request.
    Head(Version),
    /// It is not, and is kept beside.
    Kept {
        /// Why.
        refusal: Refusal,
        /// What was kept.
        version: Version,
    },
}

/// A version before it has a number.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) document: Document,
    pub(super) digest: String,
    pub(super) body: Bytes,
    pub(super) origin: &'static str,
    pub(super) source: Option<i64>,
    pub(super) run: Option<(RunId, i64)>,
    pub(super) actor: String,
    /// The person whose deed it is, and what that is called in the audit log.
    pub(super) deed: Option<(Actor, &'static str)>,
}

impl Draft {
    pub(super) fn new(document: Document, body: Bytes, origin: &'static str, actor: String) -> Self {
        let digest = hex::encode(digest::digest(&digest::SHA256, &body).as_ref());
        Self { document, digest, body, origin, source: None, run: None, actor, deed: None }
    }

    /// The id of the API token that it was shown by.
    fn token(&self) -> Option<&str> {
        self.deed.as_ref().and_then(|(actor, _)| actor.token_id())
    }

    /// Of a person.
    pub(super) fn by(document: Document, body: Bytes, origin: &'static str, by: &Actor, deed: &'static str) -> Self {
        Self { deed: Some((by.clone(), deed)), ..Self::new(document, body, origin, by.to_string()) }
    }

    /// Of whoever may write.
    async fn of(
        conn: &mut Conn,
        writer: Writer<'_>,
        document: Document,
        body: Bytes,
        origin: &'static str,
    ) -> Result<Self, StoreError> {
        Ok(match writer {
            Writer::Run { run, epoch, .. } => {
                let actor = actor(conn, run).await?;
                Self { run: Some((run, epoch)), ..Self::new(document, body, origin, actor) }
            }
            Writer::Person(by) => Self::by(document, body, origin, by, "state.write"),
        })
    }
}

/// A step of storing.
enum Step {
    /// Nothing is left to do.
    Done(Box<VersionRow>, Option<Refusal>),
    /// The bytes are wanted under this row.
    Waiting(Box<VersionRow>),
    /// Others changed the head meanwhile.
    Again,
    /// What the draft was made for is no longer so.
    Moved,
}

/// Judges a draft by the stack's row and its head.
pub(super) type Judge<'a> = dyn Fn(&StackRow, Option<&VersionRow>) -> Verdict + Send + Sync + 'a;

impl States {
    /// Writes the state as a run: it becomes the head, is it already, or is kept beside with the reason.
    pub async fn write(&self, grant: &Grant, lock: Option<&str>, body: Bytes) -> Result<Written, StateError> {
        let writer = grant.writer().ok_or(StateError::ReadOnly)?;
        let document = Document::read(&body)?;
        let draft = Draft::of(&mut *self.store.read().await?, writer, document, body, "write").await?;
        let offer = Offer { writer, lock, document: &draft.document, digest: &draft.digest };
        let judge = |stack: &StackRow, head: Option<&VersionRow>| judge(&offer, stack, head);
        let (row, refusal) = self.keep(grant.repo, &grant.stack, &draft, &judge).await?;
        let id = row.id.clone();
        Ok(match refusal {
            None => Written::Head(version(row, Some(&id))),
            Some(refusal) => Written::Kept { refusal, version: version(row, None) },
        })
    }

    /// Keeps what a run's tool could not store (`errored.tfstate`) beside the heads, to be promoted; `None` when the
    /// state is the same already.
    pub async fn keep_errored(
        &self,
        (run, epoch): (RunId, i64),
        repo: RepoId,
        stack: &StackName,
        body: Bytes,
    ) -> Result<Option<Version>, StateError> {
        let document = Document::read(&body)?;
        let actor = actor(&mut *self.store.read().await?, run).await?;
        let draft = Draft { run: Some((run, epoch)), ..Draft::new(document, body, "write", actor) };
        let judge = |_: &StackRow, head: Option<&VersionRow>| match head {
            Some(head) if head.digest == draft.digest => Verdict::Same,
            _ => Verdict::Refuse(Refusal::Unstored),
        };
        let (row, refusal) = self.keep(repo, stack, &draft, &judge).await?;
        Ok(refusal.map(|_| version(row, None)))
    }

    /// Says as a run that there is no state any more. Its versions stay, and one of them can be brought back.
    pub async fn remove(&self, grant: &Grant) -> Result<(), StateError> {
        let writer = grant.writer().ok_or(StateError::ReadOnly)?;
        let (repo, stack) = (grant.repo, &grant.stack);
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, repo, stack).await?;
        let head = state_row(&mut tx, &row).await?;
        drop(tx);
        let Some(head) = head else { return Ok(()) };
        let refusal = |row: &StackRow| judge::removal(writer, row);
        if let Some(refusal) = refusal(&row) {
            return Err(StateError::Conflict { stack: stack.clone(), why: refusal.to_string() });
        }
        // The serial is taken already: what follows in this lineage is above it.
        let document = Document { lineage: head.lineage, serial: head.serial, encrypted: false, tool: None };
        let draft = Draft::of(&mut *self.store.read().await?, writer, document, Bytes::new(), REMOVAL).await?;
        let unmoved = |now: &StackRow, _: Option<&VersionRow>| match now.head == row.head && refusal(now).is_none() {
            true => Verdict::Accept,
            false => Verdict::Moved,
        };
        self.keep(repo, stack, &draft, &unmoved).await?;
        Ok(())
    }

    /// Stores a draft as it is judged. Judged is twice: before the bytes are stored, and by what is there then.
    pub(super) async fn keep(
        &self,
        repo: RepoId,
        stack: &StackName,
        draft: &Draft,
        judge: &Judge<'_>,
    ) -> Result<(VersionRow, Option<Refusal>), StateError> {
        for _ in 0..ROUNDS {
            let mut step = self.begin(repo, stack, draft, judge).await?;
            if let Step::Waiting(row) = step {
                self.blobs.put(&blob_key(&row), draft.body.clone()).await?;
                step = self.settle(repo, stack, *row, draft, judge).await?;
            }
            match step {
                Step::Done(row, refusal) => return Ok((*row, refusal)),
                Step::Moved => break,
                Step::Waiting(_) | Step::Again => {}
            }
        }
        Err(StateError::Busy { stack: stack.clone() })
    }

    async fn begin(
        &self,
        repo: RepoId,
        stack: &StackName,
        draft: &Draft,
        judge: &Judge<'_>,
    ) -> Result<Step, StateError> {
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, repo, stack).await?;
        let head = head_row(&mut tx, &row).await?;
        match (judge(&row, head.as_ref()), &head) {
            (Verdict::Same, Some(head)) => return Ok(Step::Done(Box::new(head.clone()), None)),
            (Verdict::Refuse(refusal), _) => {
                if let Some(kept) = kept_before(&mut tx, &row, draft).await? {
                    return Ok(Step::Done(Box::new(kept), Some(refusal)));
                }
            }
            (Verdict::Moved, _) => return Ok(Step::Moved),
            (Verdict::Accept | Verdict::Same, _) => {}
        }
        let waiting = self.waiting(&row, head.as_ref(), draft);
        states::add(&mut tx, repo, stack, &waiting).await?;
        let before = self.clock.now().micros() - i64::try_from(ABANDONED.as_micros()).unwrap_or(i64::MAX);
        let before = model::time::Timestamp::from_micros(before);
        let abandoned = states::abandoned(&mut tx, repo, stack, before).await?;
        tx.commit().await.map_err(StoreError::from)?;
        for row in abandoned {
            self.forget(&row).await?;
        }
        Ok(Step::Waiting(Box::new(waiting)))
    }

    fn waiting(&self, stack: &StackRow, head: Option<&VersionRow>, draft: &Draft) -> VersionRow {
        let now = self.clock.now();
        let mut row = VersionRow {
            id: self.ids.uuid(now).to_string(),
            number: stack.last_number + 1,
            kind: "pending".to_owned(),
            lineage: draft.document.lineage.clone(),
            serial: draft.document.serial,
            digest: draft.digest.clone(),
            length: i64::try_from(draft.body.len()).unwrap_or(i64::MAX),
            encrypted: draft.document.encrypted,
            tool: draft.document.tool.clone(),
            previous: head.map(|head| head.binding.clone()).unwrap_or_default(),
            binding: String::new(),
            origin: draft.origin.to_owned(),
            source: draft.source,
            run: draft.run.map(|(run, _)| run),
            epoch: draft.run.map(|(_, epoch)| epoch),
            token: draft.token().map(str::to_owned),
            actor: draft.actor.clone(),
            refused: None,
            created_at: now,
        };
        row.binding = binding(stack.repo, &stack.stack, &row);
        row
    }

    async fn settle(
        &self,
        repo: RepoId,
        stack: &StackName,
        mut waiting: VersionRow,
        draft: &Draft,
        judge: &Judge<'_>,
    ) -> Result<Step, StateError> {
        let mut tx = self.store.write().await?;
        let row = states::hold(&mut tx, repo, stack).await?;
        let head = head_row(&mut tx, &row).await?;
        let before = head.as_ref().map(|head| head.binding.clone()).unwrap_or_default();
        let step = match (judge(&row, head.as_ref()), head) {
            (Verdict::Accept, _) if before == waiting.previous => {
                states::accept(&mut tx, repo, stack, &waiting.id).await?;
                waiting.kind = "accepted".to_owned();
                self.note(&mut tx, repo, stack, draft, &waiting).await?;
                tx.commit().await.map_err(StoreError::from)?;
                self.store.wake();
                return Ok(Step::Done(Box::new(waiting), None));
            }
            (Verdict::Refuse(refusal), _) => {
                let why = refusal.to_string();
                states::set_orphan(&mut tx, &waiting.id, &why).await?;
                (waiting.kind, waiting.refused) = ("orphan".to_owned(), Some(why));
                self.note(&mut tx, repo, stack, draft, &waiting).await?;
                tx.commit().await.map_err(StoreError::from)?;
                return Ok(Step::Done(Box::new(waiting), Some(refusal)));
            }
            (Verdict::Same, Some(head)) => Step::Done(Box::new(head), None),
            (Verdict::Moved, _) => Step::Moved,
            (Verdict::Accept | Verdict::Same, _) => Step::Again,
        };
        drop(tx);
        self.forget(&waiting).await?;
        Ok(step)
    }

    /// Notes what a person did, and makes the plans that were made on the state before look again.
    async fn note(
        &self,
        conn: &mut Conn,
        repo: RepoId,
        stack: &StackName,
        draft: &Draft,
        row: &VersionRow,
    ) -> Result<(), StateError> {
        let Some((actor, action)) = &draft.deed else { return Ok(()) };
        let now = self.clock.now();
        let mut detail = format!("version {}, serial {}", row.number, row.serial);
        match (&row.refused, row.source) {
            (Some(why), _) => detail.push_str(&format!("; refused and kept beside: {why}")),
            (None, Some(source)) => detail.push_str(&format!(", from version {source}")),
            (None, None) => {}
        }
        let entry = Entry { actor, action, place: stack_place(repo, stack), detail };
        audit::note(conn, &self.seal, now, entry).await?;
        if row.kind == "accepted" {
            pulls::mark_open(conn, repo, now).await?;
        }
        Ok(())
    }

    /// Removes the bytes of a row that waits, then the row.
    async fn forget(&self, row: &VersionRow) -> Result<(), StateError> {
        self.blobs.delete(&blob_key(row)).await?;
        let mut tx = self.store.write().await?;
        states::drop_pending(&mut tx, &row.id).await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }
}

/// The same content of the same client, refused before; an error when no more may be kept of it.
async fn kept_before(conn: &mut Conn, stack: &StackRow, draft: &Draft) -> Result<Option<VersionRow>, StateError> {
    let orphans = match (draft.run, draft.token()) {
        (Some((run, _)), _) => states::orphans(conn, stack.repo, &stack.stack, run).await?,
        (None, Some(token)) => states::orphans_of_token(conn, stack.repo, &stack.stack, token).await?,
        (None, None) => return Ok(None),
    };
    let count = orphans.len();
    match orphans.into_iter().find(|it| it.digest == draft.digest) {
        None if count >= MOST_ORPHANS => Err(StateError::TooManyOrphans { count }),
        found => Ok(found),
    }
}
