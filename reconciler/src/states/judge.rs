//! May this write become the head? A pure question with one answer.
//!
//! Invariant: of two writes that both become the head, the later one has the higher serial; nothing of an older
//! apply does.

use model::id::RunId;

use super::REMOVAL;
use super::document::Document;
use crate::audit::Actor;
use crate::store::states::{LockRow, StackRow, VersionRow};

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer<'a> {
    /// A run.
    Run {
        run: RunId,
        /// Of its apply.
        epoch: i64,
        /// Has its token ended?
        ended: bool,
    },
    /// A person. No apply is granted while a person holds the lock, so that the lock alone is the turn.
    Person(&'a Actor),
}

impl Writer<'_> {
    /// Does it come after the end of its run, or of its turn?
    pub(super) fn late(&self, stack: &StackRow) -> Option<Refusal> {
        match self {
            Self::Run { ended: true, .. } => Some(Refusal::Ended),
            Self::Run { epoch, .. } if *epoch != stack.epoch => Some(Refusal::OldEpoch),
            Self::Run { .. } | Self::Person(_) => None,
        }
    }

    /// Is the lock its own?
    pub(super) fn holds(&self, lock: &LockRow) -> bool {
        match self {
            Self::Run { run, .. } => lock.run == Some(*run),
            Self::Person(actor) => lock.run.is_none() && lock.token.as_deref() == actor.token_id(),
        }
    }
}

/// A write, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer<'a> {
    pub(super) writer: Writer<'a>,
    /// The lock that the client names.
    pub(super) lock: Option<&'a str>,
    pub(super) document: &'a Document,
    pub(super) digest: &'a str,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the head already: a repeated request.
    Same,
    /// It becomes the head.
    Accept,
    /// It does not.
    Refuse(Refusal),
    /// What it was made for is no longer so; nothing is stored.
    Moved,
}

/// Why a write does not become the head; it is kept beside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The run has an end.
    #[error("the run that wrote it had ended")]
    Ended,
    /// The tool could not send it and left it as a file.
    #[error("the tool could not store it")]
    Unstored,
    /// Another apply was granted, or a person forced the lock.
    #[error("a newer apply was granted, or the lock was forced, since this run began")]
    OldEpoch,
    /// The write names no lock, or nobody holds one.
    #[error("the write names no lock that is held; state is written under its lock only")]
    NotLocked,
    /// Somebody else holds the lock.
    #[error("another holds the lock ({holder})")]
    OtherLock {
        /// The holder's lock id.
        holder: String,
    },
    /// It is another state.
    #[error("its lineage is {found}, and the stack's is {expected}")]
    Lineage {
        /// Of the head.
        expected: String,
        /// Of the write.
        found: String,
    },
    /// It is older than the head.
    #[error("its serial {found} is below the head's {head}")]
    OldSerial {
        /// Of the head.
        head: i64,
        /// Of the write.
        found: i64,
    },
    /// The serial is taken by other content.
    #[error("the head has the serial {serial} with other content")]
    SerialTaken {
        /// Of both.
        serial: i64,
    },
}

pub(super) fn judge(offer: &Offer<'_>, stack: &StackRow, head: Option<&VersionRow>) -> Verdict {
    let document = offer.document;
    let is_head =
        |it: &VersionRow| it.lineage == document.lineage && it.serial == document.serial && it.digest == offer.digest;
    if head.is_some_and(is_head) {
        return Verdict::Same;
    }
    match refusal(offer, stack, head) {
        Some(refusal) => Verdict::Refuse(refusal),
        None => Verdict::Accept,
    }
}

fn refusal(offer: &Offer<'_>, stack: &StackRow, head: Option<&VersionRow>) -> Option<Refusal> {
    if let Some(refusal) = offer.writer.late(stack) {
        return Some(refusal);
    }
    match (&stack.lock, offer.lock) {
        (None, _) | (_, None) => return Some(Refusal::NotLocked),
        (Some(held), Some(named)) if held.id != named || !offer.writer.holds(held) => {
            return Some(Refusal::OtherLock { holder: held.id.clone() });
        }
        (Some(_), Some(_)) => {}
    }
    let (head, document) = (head?, offer.document);
    if head.lineage != document.lineage {
        if head.origin == REMOVAL {
            return None;
        }
        return Some(Refusal::Lineage { expected: head.lineage.clone(), found: document.lineage.clone() });
    }
    if document.serial < head.serial {
        return Some(Refusal::OldSerial { head: head.serial, found: document.serial });
    }
    (document.serial == head.serial).then_some(Refusal::SerialTaken { serial: head.serial })
}

/// Why the state cannot be removed now by this writer.
pub(super) fn removal(writer: Writer<'_>, stack: &StackRow) -> Option<Refusal> {
    if let Some(refusal) = writer.late(stack) {
        return Some(refusal);
    }
    match &stack.lock {
        Some(held) if writer.holds(held) => None,
        Some(held) => Some(Refusal::OtherLock { holder: held.id.clone() }),
        None => Some(Refusal::NotLocked),
    }
}
