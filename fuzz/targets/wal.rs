//! Bytes as the segments of a log: read, opened for writing with its repair, gone on with, and read again.
//!
//! An input is four bytes of choices ([`Choices`]) and then either segments as they are or a script of records that are
//! framed here with the right checksums, so that what is behind the checksum is reached too.
#![no_main]

use bytes::Bytes;
use fuzz::{Input, Outcome, contents_of, disk_with, drive_job};
use prost::Message as _;
use proto::raftpb::{ConfState, Entry, EntryType, HardState};
use proto::walpb;
use std::path::{Path, PathBuf};
use stdx::prng::Prng;
use types::LogIndex;
use vfs::mem::{Damage, MemDisk};
use wal::{Options, Replay, SegmentName, Wal};

fuzz::target!(run, seeds);

const DIR: &str = "/data/wal";

/// How an input is to be read.
struct Choices {
    form: Form,
    /// How large the segments are that we write.
    options: Options,
    /// The snapshot to open at; `None`: the newest valid one.
    at: Option<walpb::Snapshot>,
}

enum Form {
    /// One segment, as it is.
    Segment,
    /// Several, each behind its first index and length.
    Segments,
    /// A script of records.
    Records,
}

impl Choices {
    fn of(input: &mut Input<'_>) -> Self {
        let form = match input.byte() {
            0 => Form::Segment,
            1 => Form::Segments,
            _ => Form::Records,
        };
        let options = Options { segment_size_bytes: [1, 600, 4096, 1 << 16][usize::from(input.byte() % 4)] };
        let (index, term) = (input.small(), input.small());
        let at = (index < 255).then_some(walpb::Snapshot { index, term, conf_state: None });
        Self { form, options, at }
    }
}

fn run(bytes: &[u8]) -> Outcome {
    let mut input = Input::new(bytes);
    let choices = Choices::of(&mut input);
    let segments = match choices.form {
        Form::Segment => vec![(0, input.rest().to_vec())],
        Form::Segments => raw_segments(&mut input),
        Form::Records => Script::default().run(&mut input),
    };
    let paths: Vec<PathBuf> = (0..).zip(&segments).map(|(number, (first, _))| path(number, *first)).collect();
    let disk =
        disk_with(paths.iter().map(PathBuf::as_path).zip(segments.iter().map(|(_, bytes)| &bytes[..])));
    let is_accepted = check(&disk, &choices, segments.len());
    Outcome::of(is_accepted)
}

fn path(sequence: u64, first_index: u64) -> PathBuf {
    Path::new(DIR).join(SegmentName { sequence, first_index: LogIndex(first_index) }.to_string())
}

fn raw_segments(input: &mut Input<'_>) -> Vec<(u64, Vec<u8>)> {
    let mut segments = Vec::new();
    while !input.is_at_end() && segments.len() < 4 {
        let (first_index, length) = (input.small(), input.length());
        segments.push((first_index, input.bytes(length).to_vec()));
    }
    segments
}

/// Checks everything; returns whether the log could be opened.
fn check(disk: &MemDisk, choices: &Choices, segment_count: usize) -> bool {
    let before = contents_of(disk);
    let valid = wal::valid_snapshots(disk, Path::new(DIR));
    assert_eq!(valid, wal::valid_snapshots(disk, Path::new(DIR)), "read twice");
    let newest = || valid.as_ref().ok().and_then(|valid| valid.last().cloned()).unwrap_or_default();
    let at = choices.at.clone().unwrap_or_else(newest);
    let read = read_only(disk, &at);
    assert_eq!(read, read_only(disk, &at), "read twice");
    if let Ok(replay) = &read {
        check_replay(replay, &at);
        if segment_count == 1 {
            check_suffix(replay, &at, &read_only(disk, &walpb::Snapshot::default()));
        }
    }
    assert_eq!(contents_of(disk), before, "reading changes nothing");

    match (read, open(disk, &at, choices.options)) {
        (Ok(read), Ok((wal, opened))) => {
            check_copy(disk, &opened, &read);
            go_on(disk, &at, choices.options, (wal, opened), valid.is_ok());
            true
        }
        (Err(read), Err(opened)) => {
            assert_eq!(read, opened, "reading and opening fail alike");
            assert_eq!(contents_of(disk), before, "a log that is not opened is not changed");
            false
        }
        (read, opened) => panic!("read: {read:?}, opened: {:?}", opened.map(|(_, replay)| replay)),
    }
}

fn read_only(disk: &MemDisk, at: &walpb::Snapshot) -> wal::Result<Replay> {
    wal::read_only(disk, Path::new(DIR), at)
}

fn open(disk: &MemDisk, at: &walpb::Snapshot, options: Options) -> wal::Result<(Wal, Replay)> {
    let at = at.clone();
    drive_job(disk, async move |cx, disk| Wal::open(&cx, &disk, Path::new(DIR), &at, options).await)
}

/// What is true of everything that is read.
fn check_replay(replay: &Replay, at: &walpb::Snapshot) {
    let indexes = replay.entries.iter().map(|entry| entry.index);
    assert!(indexes.eq((at.index + 1..).take(replay.entries.len())), "entries follow the snapshot");
    assert!(replay.entries.is_sorted_by_key(|entry| entry.term), "terms do not decrease");
    assert!(replay.entries.iter().all(|entry| EntryType::try_from(entry.r#type).is_ok()));
    assert!(replay.last_index.get() >= at.index + replay.entries.len() as u64);
    assert_eq!(walpb::Metadata::decode(replay.metadata.clone()), Ok(replay.node));
}

/// Opened at a snapshot a segment gives the end of what it gives from its start.
fn check_suffix(replay: &Replay, at: &walpb::Snapshot, whole: &wal::Result<Replay>) {
    let Ok(whole) = whole else { return };
    let skipped = usize::try_from(at.index).unwrap_or(usize::MAX).min(whole.entries.len());
    assert_eq!(replay.entries[..], whole.entries[skipped..]);
    assert_eq!((replay.hard_state, &replay.metadata), (whole.hard_state, &whole.metadata));
}

/// Opening gives what reading gives, and keeps a copy of what it drops.
fn check_copy(disk: &MemDisk, opened: &Replay, read: &Replay) {
    let mut expected = read.clone();
    if let (Some(expected), Some(torn)) = (&mut expected.torn, &opened.torn) {
        let copy = torn.copy.clone().expect("a copy was kept");
        let copied = disk.content(&copy).expect("the copy is there");
        assert!(copied.len() as u64 > torn.offset, "something was dropped");
        expected.copy = Some(copy);
    }
    assert_eq!(*opened, expected, "reading and opening give the same");
}

/// Appends, and checks that a crash and a restart lose nothing. `is_whole`: the segments that opening leaves out are
/// good, too.
fn go_on(disk: &MemDisk, at: &walpb::Snapshot, options: Options, opened: (Wal, Replay), is_whole: bool) {
    let (wal, mut expected) = opened;
    let last = expected.entries.last().map_or((at.index, 0), |entry| (entry.index, entry.term));
    if last.0 > u64::MAX - 8 {
        return; // no log comes there, and there is no room for more entries
    }
    let term = last.1.max(expected.hard_state.term);
    let appended: Vec<Entry> = (last.0 + 1..last.0 + 4).map(|index| entry(index, term)).collect();
    let state = HardState { term, vote: 3, commit: last.0 + 2 };
    let snapshot = walpb::Snapshot {
        index: last.0 + 1,
        term,
        conf_state: Some(ConfState { voters: vec![3], ..ConfState::default() }),
    };
    let (entries, marked) = (appended.clone(), snapshot.clone());
    let wal = drive_job(disk, async move |cx, _| {
        let mut wal = wal;
        wal.save(&cx, Some(&state), &entries).await.expect("the disk takes everything");
        wal.save_snapshot(&cx, None, &marked).await.expect("the disk takes everything");
        wal
    });
    drop(wal);

    expected.entries.extend(appended);
    let after_crash = disk.crash(Damage::LoseAll, &mut Prng::new(1));
    for disk in [disk.clone(), after_crash] {
        let read = read_only(&disk, at).expect("what was written is read");
        assert_eq!((&read.entries, read.hard_state), (&expected.entries, state), "what was written is there");
        assert_eq!((&read.metadata, &read.torn), (&expected.metadata, &None));
        if is_whole {
            let valid = wal::valid_snapshots(&disk, Path::new(DIR)).expect("what was written is read");
            assert!(valid.contains(&snapshot), "the snapshot counts");
        }
        let (_, again) = open(&disk, at, options).expect("what was written is opened");
        assert_eq!(again, read, "opened again it is the same");
    }
}

fn entry(index: u64, term: u64) -> Entry {
    // Of changing lengths, so that every padding comes up.
    let data = vec![index as u8; (index % 300) as usize];
    Entry { r#type: 0, term, index, data: Some(data.into()) }
}

/// Writes segments as a script of records says.
#[derive(Default)]
struct Script {
    segments: Vec<(u64, Vec<u8>)>,
    crc: u32,
}

const CRC: i64 = 4;
const NODE: walpb::Metadata = walpb::Metadata { node_id: 3, cluster_id: 5 };
/// No more segments than this are made of one script.
const SEGMENTS_MAX: usize = 8;

impl Script {
    fn run(mut self, input: &mut Input<'_>) -> Vec<(u64, Vec<u8>)> {
        self.segments.push((0, Vec::new()));
        while !input.is_at_end() {
            self.step(input);
        }
        self.segments
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0 => self.head(),
            1 => self.record(1, input.short_bytes().to_vec()),
            2 | 3 => {
                let (kind, term, index) = (input.byte() % 4, input.small(), input.small());
                let data = Bytes::copy_from_slice(input.short_bytes());
                let entry = Entry {
                    r#type: kind.into(),
                    term,
                    index,
                    data: Some(data).filter(|data| !data.is_empty()),
                };
                self.record(2, entry.encode_to_vec());
            }
            4 => self.record(2, input.short_bytes().to_vec()),
            5 => {
                let state = HardState { term: input.small(), vote: input.small(), commit: input.small() };
                self.record(3, state.encode_to_vec());
            }
            6 => self.record(3, input.short_bytes().to_vec()),
            7 => {
                let (index, term) = (input.small(), input.small());
                let conf_state = Some(ConfState { voters: vec![3], ..ConfState::default() });
                self.record(5, walpb::Snapshot { index, term, conf_state }.encode_to_vec());
            }
            8 => self.record(5, input.short_bytes().to_vec()),
            9 => self.frame(&walpb::Record { r#type: CRC, crc: self.crc, data: None }),
            10 | 11 if self.segments.len() < SEGMENTS_MAX => {
                self.segments.push((input.small(), Vec::new()));
                self.head();
            }
            12 => {
                let count = usize::from(input.byte());
                self.tail().extend(std::iter::repeat_n(0, count));
            }
            13 => {
                let bytes = input.short_bytes();
                self.tail().extend_from_slice(bytes);
            }
            14 => {
                let (back, mask) = (input.length(), input.byte());
                if let Some(byte) = self.tail().iter_mut().rev().nth(back) {
                    *byte ^= mask;
                }
            }
            _ => self.record(input.byte().into(), input.short_bytes().to_vec()),
        }
    }

    /// What every segment begins with.
    fn head(&mut self) {
        self.frame(&walpb::Record { r#type: CRC, crc: self.crc, data: None });
        self.record(1, NODE.encode_to_vec());
    }

    fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.segments.last_mut().expect("there is one from the beginning").1
    }

    fn record(&mut self, kind: i64, data: Vec<u8>) {
        self.crc = crc32c::crc32c_append(self.crc, &data);
        self.frame(&walpb::Record { r#type: kind, crc: self.crc, data: Some(data.into()) });
    }

    fn frame(&mut self, record: &walpb::Record) {
        let record = record.encode_to_vec();
        let padding = record.len().wrapping_neg() % 8;
        let flags = if padding == 0 { 0 } else { 0x80 | padding as u64 };
        let tail = self.tail();
        tail.extend_from_slice(&(record.len() as u64 | flags << 56).to_le_bytes());
        tail.extend_from_slice(&record);
        tail.extend(std::iter::repeat_n(0, padding));
    }
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let segments: [(&str, &[u8]); 3] = [
        ("etcd-3.5", include_bytes!("../../core/wal/tests/fixtures/etcd-3.5.wal")),
        ("etcd-3.6", include_bytes!("../../core/wal/tests/fixtures/etcd-3.6.wal")),
        ("etcd-3.7", include_bytes!("../../core/wal/tests/fixtures/etcd-3.7.wal")),
    ];
    let mut seeds: Vec<(String, Vec<u8>)> = segments
        .into_iter()
        .map(|(name, segment)| (name.to_owned(), [&[0, 3, 255, 0], segment].concat()))
        .collect();
    // A segment with reserved space behind it, one cut short, and two that follow each other.
    let whole = segments[2].1;
    seeds.push(("reserved".into(), [&[0, 2, 0, 0], whole, &[0; 1024]].concat()));
    seeds.push(("cut-short".into(), [&[0, 1, 0, 0], &whole[..whole.len() - 9]].concat()));
    seeds.extend(scripts());
    seeds
}

/// Scripts of everything that a log may hold.
fn scripts() -> Vec<(String, Vec<u8>)> {
    let plain = [
        &[2, 0, 0, 0, 0, 7, 0, 0][..], // a head and the snapshot of a new log
        &[2, 0, 1, 1, 3, b'a', b'b', b'c', 2, 1, 1, 2, 0], // two entries
        &[5, 1, 3, 2],                 // a state
        &[2, 0, 2, 2, 1, b'd', 2, 2, 2, 3, 0, 5, 2, 3, 3], // one overwritten, one more, a state
        &[7, 2, 2, 10, 4, 5, 2, 3, 3, 2, 0, 2, 4, 2, b'e', 0], // a snapshot, a new segment, a state, an entry
    ];
    let torn = [&[2, 1, 0, 0, 0][..], &[2, 0, 1, 1, 3, b'a', b'b', b'c', 13, 3, 1, 2, 3]];
    let at_snapshot = [&[2, 2, 255, 0, 0, 7, 0, 0][..], &[5, 2, 3, 9, 7, 9, 2, 2, 0, 2, 10, 0]];
    vec![
        ("script".into(), plain.concat()),
        ("script-torn".into(), torn.concat()),
        ("script-at-snapshot".into(), at_snapshot.concat()),
    ]
}
