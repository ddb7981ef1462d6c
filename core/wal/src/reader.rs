//! Reads the records of consecutive segments in order, and decides how they end.

use crate::error::{Error, Result};
use crate::frame::{Length, WORD_LEN, has_unwritten_sector};
use crate::record::Kind;
use crate::segment::Segment;
use bytes::Bytes;
use prost::Message as _;
use proto::walpb;

/// A record whose CRC is right.
pub(crate) struct Record<'a> {
    pub(crate) kind: Kind,
    /// Its own memory, of about its own size: an entry may be kept for long.
    pub(crate) data: Bytes,
    segment: &'a Segment,
    /// Where its frame starts.
    offset: u64,
}

impl Record<'_> {
    /// Decodes the data as a message.
    pub(crate) fn decode<M: prost::Message + Default>(&self) -> Result<M> {
        M::decode(self.data.clone())
            .map_err(|error| self.corrupt(format!("{:?} data", self.kind), error.to_string()))
    }

    /// An error about this record.
    pub(crate) fn corrupt(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        self.segment.corrupt(self.offset, expected, found)
    }
}

/// Where and how the records end.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// Behind the last whole frame, in the last segment.
    pub(crate) offset: u64,
    /// The running CRC there.
    pub(crate) crc: u32,
    /// Why what follows is a frame that a crash cut short; `None` for a clean end.
    pub(crate) torn: Option<String>,
}

/// What comes next.
pub(crate) enum Next<'a> {
    Record(Record<'a>),
    End(End),
}

/// Reads segment after segment.
///
/// A zero length word, whole or cut short, or the end of the file at a frame boundary, ends a segment. Each segment must
/// open with a CRC record; these are checked here and not handed out.
pub(crate) struct Reader<'a> {
    segment: &'a Segment,
    later: &'a [Segment],
    segment_len: u64,
    /// Where the next frame starts.
    offset: u64,
    window: Window,
    crc: u32,
    /// Whether CRC and METADATA of this segment were read. They are durable before the segment has its name, so no
    /// crash can have cut them short.
    has_head: bool,
}

impl<'a> Reader<'a> {
    /// Starts at the first of `segments`, which are consecutive.
    ///
    /// # Panics
    /// If there are none.
    pub(crate) fn new(segments: &'a [Segment]) -> Result<Self> {
        let (segment, later) = segments.split_first().expect("the caller has found segments");
        let segment_len = segment.file.len()?;
        Ok(Self {
            segment,
            later,
            segment_len,
            offset: 0,
            window: Window::default(),
            crc: 0,
            has_head: false,
        })
    }

    /// Returns the next record, or the end, and the end again after that.
    pub(crate) fn next(&mut self) -> Result<Next<'a>> {
        loop {
            match self.next_frame()? {
                Frame::Whole(length) => match self.decode(length)? {
                    Next::Record(record) if record.kind == Kind::Crc => {}
                    next => return Ok(next),
                },
                Frame::None if !self.has_head => {
                    return Err(self.corrupt("a CRC and a METADATA record", "nothing"));
                }
                Frame::None => match self.later.split_first() {
                    Some((segment, later)) => self.enter(segment, later)?,
                    None => return Ok(self.end(None)),
                },
                Frame::CutShort { expected, found } if self.may_be_torn() => {
                    return Ok(self.end(Some(format!("expected {expected}, found {found}"))));
                }
                Frame::CutShort { expected, found } => return Err(self.corrupt(expected, found)),
            }
        }
    }

    fn enter(&mut self, segment: &'a Segment, later: &'a [Segment]) -> Result<()> {
        self.segment_len = segment.file.len()?;
        self.segment = segment;
        self.later = later;
        self.offset = 0;
        self.window = Window::default();
        self.has_head = false;
        Ok(())
    }

    /// Whether a crash can have come while what lies here was written: only the last segment is written to.
    fn may_be_torn(&self) -> bool {
        self.later.is_empty() && self.has_head
    }

    fn end(&self, torn: Option<String>) -> Next<'a> {
        Next::End(End { offset: self.offset, crc: self.crc, torn })
    }

    fn corrupt(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        self.segment.corrupt(self.offset, expected, found)
    }

    /// Looks at the next length word.
    fn next_frame(&mut self) -> Result<Frame> {
        let left = self.segment_len - self.offset;
        if left == 0 {
            return Ok(Frame::None);
        }
        let Some(left_for_body) = left.checked_sub(WORD_LEN as u64) else {
            self.load(self.offset, left)?;
            if self.window.slice(self.offset, left).iter().all(|&byte| byte == 0) {
                // Reserved space that is no multiple of a frame's alignment, or comes behind a frame without padding.
                return Ok(Frame::None);
            }
            let expected = format!("a length word of {WORD_LEN} bytes");
            return Ok(Frame::CutShort { expected, found: format!("{left} bytes") });
        };
        self.load(self.offset, WORD_LEN as u64)?;
        let word: [u8; WORD_LEN] =
            self.window.slice(self.offset, WORD_LEN as u64).try_into().expect("a slice of that length");
        if word == [0; WORD_LEN] {
            return Ok(Frame::None);
        }
        let length = Length::parse(word);
        if length.body() > left_for_body {
            let expected = format!("a record of {} bytes", length.body());
            return Ok(Frame::CutShort { expected, found: format!("{left_for_body} bytes") });
        }
        Ok(Frame::Whole(length))
    }

    /// Decodes and checks the frame of that length, and moves behind it; the end if a crash tore it.
    fn decode(&mut self, length: Length) -> Result<Next<'a>> {
        let body_offset = self.offset + WORD_LEN as u64;
        self.load(body_offset, length.body())?;
        let body = self.window.slice(body_offset, length.body());
        let record = match decode(&body[..length.record as usize], self.crc) {
            Ok(record) => record,
            Err(Fault { expected, found })
                if self.may_be_torn() && has_unwritten_sector(body_offset, body) =>
            {
                return Ok(self.end(Some(format!("expected {expected}, found {found}"))));
            }
            Err(Fault { expected, found }) => return Err(self.corrupt(expected, found)),
        };
        let Some(kind) = Kind::from_number(record.r#type) else {
            return Err(self.corrupt("a record of type 1 to 5", format!("type {}", record.r#type)));
        };
        if self.offset == 0 && kind != Kind::Crc {
            return Err(self.corrupt("a CRC record", format!("{kind:?}")));
        }
        if kind == Kind::Crc && self.crc != 0 && self.crc != record.crc {
            return Err(
                self.corrupt(format!("CRC {:08x} carried over", self.crc), format!("{:08x}", record.crc))
            );
        }
        self.has_head |= kind == Kind::Metadata;
        let offset = self.offset;
        self.crc = record.crc;
        self.offset = body_offset + length.body();
        let data = record.data.unwrap_or_default();
        Ok(Next::Record(Record { kind, data, segment: self.segment, offset }))
    }

    /// Brings `len` bytes at `offset`, which lie within the file, into the window.
    fn load(&mut self, offset: u64, len: u64) -> Result<()> {
        if !self.window.contains(offset, len) {
            let wanted = len.max(Window::CHUNK_LEN).min(self.segment_len - offset);
            self.window.fill(self.segment, offset, wanted)?;
        }
        if self.window.contains(offset, len) {
            Ok(())
        } else {
            Err(self.corrupt(format!("{len} bytes"), "fewer"))
        }
    }
}

/// What a length word announces.
enum Frame {
    /// A frame that ends within the file.
    Whole(Length),
    /// Nothing more in this segment.
    None,
    /// A frame that the end of the file cuts short.
    CutShort { expected: String, found: String },
}

/// What is wrong with a record.
struct Fault {
    expected: String,
    found: String,
}

/// Decodes a record and checks its CRC against the running one; a CRC record has nothing to check it against here.
fn decode(bytes: &[u8], running: u32) -> std::result::Result<walpb::Record, Fault> {
    let record = walpb::Record::decode(bytes)
        .map_err(|error| Fault { expected: "a record".to_owned(), found: error.to_string() })?;
    if record.r#type == Kind::Crc as i64 {
        return Ok(record);
    }
    let crc = crc32c::crc32c_append(running, record.data.as_deref().unwrap_or_default());
    if crc != record.crc {
        let expected = format!("a record with CRC {crc:08x}");
        return Err(Fault { expected, found: format!("{:08x}", record.crc) });
    }
    Ok(record)
}

/// The part of a segment that is in memory.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    offset: u64,
}

impl Window {
    /// What is read at once, unless a frame is larger, in bytes.
    const CHUNK_LEN: u64 = 256 << 10;

    fn contains(&self, offset: u64, len: u64) -> bool {
        let end = self.offset + self.bytes.len() as u64;
        self.offset <= offset && offset <= end && len <= end - offset
    }

    fn slice(&self, offset: u64, len: u64) -> &[u8] {
        let start = (offset - self.offset) as usize;
        &self.bytes[start..start + len as usize]
    }

    fn fill(&mut self, segment: &Segment, offset: u64, len: u64) -> Result<()> {
        self.bytes.resize(len as usize, 0);
        let read = segment.file.read_at(offset, &mut self.bytes)?;
        self.bytes.truncate(read);
        self.offset = offset;
        Ok(())
    }
}
