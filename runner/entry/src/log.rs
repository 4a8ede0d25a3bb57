//! The framed log: length, kind, time, payload. An offset that lies between two frames is an exact cursor.
//!
//! A torn last frame (we were killed while writing) is not a frame; readers stop before it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::spec::StepEnd;

/// Bytes before the payload: u32 length, u8 kind, i64 microseconds, all little-endian.
pub const HEADER: usize = 13;
/// No frame's payload is longer.
pub const MAX_PAYLOAD: usize = 256 * 1024;

/// A frame, borrowed from the bytes that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// Microseconds since 1970.
    pub at: i64,
    /// The step's name, output, or the JSON of a `StepEnd`.
    pub payload: &'a [u8],
}

/// Kinds of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A step begins.
    StepStarted = 1,
    /// Standard output.
    Stdout = 2,
    /// Standard error.
    Stderr = 3,
    /// A step ended.
    StepEnded = 4,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole frame and its length in bytes.
    Frame(Frame<'a>, usize),
    /// At least this many bytes are needed from the frame's begin on.
    More(usize),
    /// Not a frame: the cursor is none, or the file was damaged.
    Damaged,
}

/// Reads the frame at the begin of `bytes`.
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Decoded::More(HEADER);
    };
    let [l0, l1, l2, l3, kind, at @ ..] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let kind = match kind {
        1 => Kind::StepStarted,
        2 => Kind::Stdout,
        3 => Kind::Stderr,
        4 => Kind::StepEnded,
        _ => return Decoded::Damaged,
    };
    if length > MAX_PAYLOAD {
        return Decoded::Damaged;
    }
    match rest.get(..length) {
        Some(payload) => Decoded::Frame(Frame { kind, at: i64::from_le_bytes(at), payload }, HEADER + length),
        None => Decoded::More(HEADER + length),
    }
}

/// The bytes of a frame.
pub fn encode(kind: Kind, at: i64, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(MAX_PAYLOAD)];
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.push(kind as u8);
    bytes.extend_from_slice(&at.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Appends frames; keeps at most `limit` bytes of output and counts the rest.
#[derive(Debug)]
pub(crate) struct LogWriter {
    file: File,
    left: u64,
    dropped: u64,
}

impl LogWriter {
    pub(crate) fn create(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { file, left: limit, dropped: 0 })
    }

    /// Goes on with a log whose writer was killed: cuts a torn last frame off. Gives the steps that had ended too.
    pub(crate) fn reopen(path: &Path, limit: u64) -> io::Result<(Self, Vec<StepEnd>)> {
        let bytes = std::fs::read(path)?;
        let (mut whole, mut kept, mut ends) = (0, 0, Vec::new());
        while let Decoded::Frame(frame, length) = decode(&bytes[whole..]) {
            match frame.kind {
                Kind::Stdout | Kind::Stderr => kept += frame.payload.len() as u64,
                Kind::StepEnded => ends.extend(serde_json::from_slice(frame.payload).ok()),
                Kind::StepStarted => {}
            }
            whole += length;
        }
        let file = OpenOptions::new().append(true).open(path)?;
        file.set_len(whole as u64)?;
        Ok((Self { file, left: limit.saturating_sub(kept), dropped: 0 }, ends))
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn step_started(&mut self, name: &str) -> io::Result<()> {
        self.frame(Kind::StepStarted, name.as_bytes())
    }

    pub(crate) fn step_ended(&mut self, end: &StepEnd) -> io::Result<()> {
        let json = serde_json::to_vec(end)?;
        self.frame(Kind::StepEnded, &json)
    }

    pub(crate) fn output(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let keep = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.left -= keep as u64;
        self.dropped += (bytes.len() - keep) as u64;
        if keep == 0 { Ok(()) } else { self.frame(kind, &bytes[..keep]) }
    }

    fn frame(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        self.file.write_all(&encode(kind, crate::now_micros(), payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back_and_torn_ones_are_not_frames() {
        let mut bytes = encode(Kind::StepStarted, 7, b"init");
        bytes.extend(encode(Kind::Stderr, -1, b"\xff\x00out"));
        let Decoded::Frame(first, length) = decode(&bytes) else { panic!("a whole frame") };
        assert_eq!((first.kind, first.at, first.payload), (Kind::StepStarted, 7, &b"init"[..]));
        let second = &bytes[length..];
        assert!(
            matches!(decode(second), Decoded::Frame(Frame { kind: Kind::Stderr, at: -1, payload: b"\xff\x00out" }, n) if n == second.len())
        );
        for cut in 0..second.len() {
            let Decoded::More(needed) = decode(&second[..cut]) else { panic!("torn at {cut} is no frame") };
            assert!(needed > cut);
        }
        assert_eq!(decode(&[0xff; 20]), Decoded::Damaged);
    }

    #[test]
    fn a_log_goes_on_behind_its_last_whole_frame() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let end = StepEnd { name: "init".to_owned(), code: Some(0), signal: None, millis: 1 };
        let whole = {
            let mut log = LogWriter::create(&path, 6).expect("a log");
            log.step_ended(&end).expect("written");
            log.output(Kind::Stdout, b"abc").expect("written");
            std::fs::metadata(&path).expect("there").len()
        };
        let torn = encode(Kind::Stdout, 1, b"torn");
        let mut file = OpenOptions::new().append(true).open(&path).expect("a log");
        file.write_all(&torn[..torn.len() - 1]).expect("written");
        let (mut log, ends) = LogWriter::reopen(&path, 6).expect("a log");
        assert_eq!(ends, [end]);
        log.output(Kind::Stdout, b"defg").expect("written");
        assert_eq!(log.dropped(), 1, "what was kept before counts");
        let bytes = std::fs::read(&path).expect("read");
        let Decoded::Frame(next, _) = decode(&bytes[usize::try_from(whole).expect("small")..]) else {
            panic!("a frame")
        };
        assert_eq!(next.payload, b"def");
    }

    #[test]
    fn the_limit_keeps_the_first_bytes_and_counts_the_rest() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let mut log = LogWriter::create(&path, 5).expect("a log");
        log.output(Kind::Stdout, b"abc").expect("written");
        log.output(Kind::Stdout, b"defg").expect("written");
        log.output(Kind::Stdout, b"h").expect("written");
        assert_eq!(log.dropped(), 3);
        let bytes = std::fs::read(&path).expect("read");
        let Decoded::Frame(first, length) = decode(&bytes) else { panic!("a frame") };
        let Decoded::Frame(second, rest) = decode(&bytes[length..]) else { panic!("a frame") };
        assert_eq!((first.payload, second.payload, length + rest), (&b"abc"[..], &b"de"[..], bytes.len()));
    }
}
