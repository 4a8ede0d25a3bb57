//! One running job: its events become log and phase, its end a row.
//!
//! Owns: reading from the stored cursor, masking, appending. Must never decide or stop anything. Each transaction
//! holds the attendant's lease and stores the cursor beside the bytes, so that a restart reads on without gap or
//! repetition.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use model::id::RunId;
use model::job::{Cursor, JobEnd, JobEvent, JobEventKind};
use model::mask::Masker;
use model::plan::AppliedItem;
use model::ports::ExecError;
use model::run::RunKind;
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

use crate::act::{Pass, Trouble, secret};
use crate::logs::LogError;
use crate::parts::Parts;
use crate::store::due::Claim;
use crate::store::runs::{self, Progress};
use crate::world::{Key, RunRow};

/// Events that are stored together, when they are there together.
const BATCH: usize = 256;
/// Output without a line's end is stored when it is as long as this.
const LONG_LINE: usize = 256 * 1024;
/// Bytes of the log's end that are kept beside the job's end.
const TAIL: usize = 16 * 1024;

/// How many attendants there are, and how many of them have something to store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) live: usize,
    pub(crate) busy: usize,
}

/// Counts one attendant while it lives; busy unless it waits for its executor.
pub(crate) struct Presence(Arc<watch::Sender<Counts>>, bool);

impl Presence {
    pub(crate) fn new(counts: &Arc<watch::Sender<Counts>>) -> Self {
        counts.send_modify(|it| {
            it.live += 1;
            it.busy += 1;
        });
        Self(counts.clone(), true)
    }

    fn set_busy(&mut self, busy: bool) {
        if self.1 != busy {
            self.1 = busy;
            self.0.send_modify(|it| it.busy = if busy { it.busy + 1 } else { it.busy - 1 });
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.set_busy(false);
        self.0.send_modify(|it| it.live -= 1);
    }
}

/// Reads a job to its end.
pub(crate) async fn attend(parts: &Parts, claim: &Claim, run: RunId, presence: &mut Presence) -> Result<(), Trouble> {
    let pass = Pass { parts, claim };
    let row = runs::by_id(&mut *parts.store.read().await?, run).await?;
    let Some(row) = row.filter(|row| !row.state.is_terminal() && row.job_end.is_none()) else { return Ok(()) };
    // Made before the job was started.
    let masks = secret::masks(&pass, &row).await?;
    let masks = Masker::new(masks.iter().map(|text| text.expose_secret()));
    let mut events = parts.executor.events(&row.job(), Cursor(row.cursor)).ready_chunks(BATCH);
    let mut reader = Reader::new(&pass, row, masks);
    loop {
        let batch = match events.next().now_or_never() {
            Some(batch) => batch,
            None => {
                presence.set_busy(false);
                let batch = events.next().await;
                presence.set_busy(true);
                batch
            }
        };
        let Some(batch) = batch else {
            let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
            return Err(ExecError::Io { doing: "reading a job's events".to_owned(), source }.into());
        };
        for event in batch {
            match event {
                Ok(event) => reader.take(event),
                Err(ExecError::Absent { .. }) => return reader.lost().await,
                Err(error) => {
                    reader.store().await?;
                    return Err(error.into());
                }
            }
        }
        if reader.store().await? {
            return Ok(());
        }
    }
}

/// What was read and is not stored yet.
struct Reader<'a> {
    pass: &'a Pass<'a>,
    row: RunRow,
    /// What the log of this run may not show.
    masks: Masker,
    /// Output since the stored place: where its event begins, bytes of it that are stored, the event's bytes.
    held: Vec<(u64, usize, Bytes)>,
    /// Where the next event begins.
    next: u64,
    /// Bytes of the next output that are stored already.
    skip: usize,
    stored: (u64, u64),
    /// The phase or the end is new.
    news: bool,
    end: Option<JobEnd>,
}

impl<'a> Reader<'a> {
    fn new(pass: &'a Pass<'a>, row: RunRow, masks: Masker) -> Self {
        let skip = usize::try_from(row.skip).unwrap_or(usize::MAX);
        let stored = (row.cursor, row.skip);
        Self { pass, next: row.cursor, skip, stored, row, masks, held: Vec::new(), news: false, end: None }
    }

    fn take(&mut self, event: JobEvent) {
        match event.kind {
            JobEventKind::Output { bytes, .. } => {
                let skip = std::mem::take(&mut self.skip).min(bytes.len());
                self.held.push((self.next, skip, bytes));
            }
            JobEventKind::StepStarted(name) => {
                self.row.phase = Some(name);
                self.news = true;
            }
            JobEventKind::StepEnded(_) => {}
            JobEventKind::Ended(end) => {
                self.end = Some(end);
                self.news = true;
            }
        }
        self.next = event.next.0;
    }

    /// Takes out what may be stored: whole lines, for no secret reaches over a line's end unmasked.
    fn ready(&mut self) -> (Vec<u8>, (u64, u64)) {
        let clear: Vec<u8> = self.held.iter().flat_map(|(_, skip, bytes)| &bytes[*skip..]).copied().collect();
        let whole = match clear.iter().rposition(|byte| *byte == b'\n') {
            _ if self.end.is_some() || clear.len() > LONG_LINE => clear.len(),
            Some(end) => end + 1,
            None => 0,
        };
        let mut left = whole;
        while let Some((start, skip, bytes)) = self.held.first_mut() {
            let here = bytes.len() - *skip;
            if left < here {
                *skip += left;
                let place = (*start, u64::try_from(*skip).unwrap_or(u64::MAX));
                return (clear[..whole].to_vec(), place);
            }
            left -= here;
            self.held.remove(0);
        }
        (clear, (self.next, 0))
    }

    /// Stores what is ready. True when the job has ended.
    async fn store(&mut self) -> Result<bool, Trouble> {
        let (clear, place) = self.ready();
        if place == self.stored && !self.news {
            return Ok(false);
        }
        let parts = self.pass.parts;
        let (clear, items) = self.read(clear);
        let masked = parts.settings.masks.mask_bytes(&self.masks.mask_bytes(&clear));
        let tail = match &self.end {
            Some(_) => self.tail(&masked).await?,
            None => String::new(),
        };
        let mut tx = self.pass.write().await?;
        if !masked.is_empty() {
            parts.logs().append(&mut tx, self.row.id, self.row.log_bytes, &masked).await?;
        }
        if !items.is_empty() {
            self.row.done = runs::add_done(&mut tx, self.row.id, self.row.done, &items).await?;
            self.pass.mark(&mut tx, self.row.repo, &Key::Publish(self.row.repo, self.row.pull)).await?;
        }
        let progress = Progress { cursor: place.0, skip: place.1, phase: self.row.phase.clone() };
        runs::progress(&mut tx, self.row.id, &progress).await?;
        if let Some(end) = &self.end {
            runs::end_job(&mut tx, self.row.id, end, &tail).await?;
        }
        if self.news {
            self.pass.mark(&mut tx, self.row.repo, &Key::Run(self.row.id)).await?;
        }
        self.pass.commit(tx).await?;
        self.row.log_bytes += masked.len() as u64;
        (self.stored, self.news) = (place, false);
        Ok(self.end.is_some())
    }

    /// An apply speaks JSON: as people read it, and what it says is done.
    fn read(&self, clear: Vec<u8>) -> (Vec<u8>, Vec<AppliedItem>) {
        if self.row.what.kind != RunKind::Apply || clear.is_empty() {
            return (clear, Vec::new());
        }
        let (mut text, mut items) = (String::new(), Vec::new());
        for line in String::from_utf8_lossy(&clear).lines() {
            let line = self.pass.parts.iac.apply_line(line);
            text.push_str(&line.text);
            text.push('\n');
            items.extend(line.done.map(|item| self.masked(item)));
        }
        (text.into_bytes(), items)
    }

    /// Instance keys and ids may hold a secret, as everything of a log may.
    fn masked(&self, item: AppliedItem) -> AppliedItem {
        let mask = |text: &str| self.pass.parts.settings.masks.mask(&self.masks.mask(text));
        let id = item.id.map(|(key, value)| (key, mask(&value)));
        AppliedItem { address: mask(&item.address), id, ..item }
    }

    /// The last lines of the log, `new` included.
    async fn tail(&self, new: &[u8]) -> Result<String, LogError> {
        let old = self.row.log_bytes.saturating_sub(TAIL as u64);
        let mut all = self.pass.parts.logs().read(self.row.id, old, TAIL).await?.bytes;
        all.extend_from_slice(new);
        let tail = String::from_utf8_lossy(&all[all.len().saturating_sub(TAIL)..]).into_owned();
        let cut = all.len() > TAIL;
        // The first line is likely to be a part of one.
        Ok(tail.split_once('\n').filter(|_| cut).map_or(tail.clone(), |(_, rest)| rest.to_owned()))
    }

    async fn lost(mut self) -> Result<(), Trouble> {
        self.store().await?;
        let mut tx = self.pass.write().await?;
        runs::lose_job(&mut tx, self.row.id).await?;
        self.pass.mark(&mut tx, self.row.repo, &Key::Run(self.row.id)).await?;
        Ok(self.pass.commit(tx).await?)
    }
}
