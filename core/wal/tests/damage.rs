//! Every cut and every flipped bit gives an error or a valid prefix, never anything else.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod common;

use common::*;
use proto::raftpb::{Entry, HardState};
use proto::walpb;
use std::path::{Path, PathBuf};
use vfs::mem::MemDisk;
use vfs::{Disk, OpenMode};
use wal::{Error, Options};

/// Entries of several shapes, saved one by one, with a state in front of each.
fn shapes() -> Vec<Entry> {
    let data: [&[u8]; 6] = [b"", b"a", &[0; 600], &[7; 1100], b"12345678", &[0; 5]];
    let mut all: Vec<_> = (1u64..).zip(data).map(|(index, data)| entry(index, 2, data)).collect();
    all[1].data = None;
    all[2].r#type = 1;
    all
}

/// A log of one segment without reserved space, with its bytes and where each save ended.
struct Sample {
    disk: MemDisk,
    path: PathBuf,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

fn sample() -> Sample {
    let disk = new_disk();
    let options = Options { segment_size_bytes: 1 << 20 };
    let mut log = Log::create(&disk, options).unwrap();
    let path = segment(&disk, 0);
    let written = || disk.content(&path).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut ends = Vec::new();
    for entry in shapes() {
        let state = state(2, 3, entry.index);
        log.save(Some(state), &[entry]).unwrap();
        ends.push(written().next_multiple_of(8));
    }
    drop(log);
    let mut bytes = disk.content(&path).unwrap();
    bytes.truncate(*ends.last().unwrap());
    Sample { disk, path, bytes, ends }
}

/// The entries and the state that `count` saves have left.
fn after(count: usize) -> (Vec<Entry>, HardState) {
    let entries = shapes()[..count].to_vec();
    let state = if count == 0 { HardState::default() } else { state(2, 3, count as u64) };
    (entries, state)
}

/// Puts `bytes` in place of the segment and opens it on a disk of its own.
fn open_bytes(sample: &Sample, bytes: &[u8]) -> (MemDisk, wal::Result<wal::Replay>) {
    let disk = sample.disk.kill();
    put_file(&disk, &sample.path, bytes);
    let opened = Log::open(&disk, SMALL).map(|(_, replay)| replay);
    (disk, opened)
}

#[test]
fn a_cut_anywhere_leaves_all_saves_in_front_of_it() {
    let sample = sample();
    for len in 0..=sample.bytes.len() {
        let (disk, opened) = open_bytes(&sample, &sample.bytes[..len]);
        let whole = sample.ends.iter().filter(|end| **end <= len).count();
        let replay = match opened {
            Ok(replay) => replay,
            Err(Error::Corrupt { .. }) if whole == 0 => continue,
            Err(error) => panic!("cut to {len}: {error}"),
        };
        let (entries, state) = after(whole);
        assert_eq!(replay.entries[..whole], entries, "cut to {len}");
        // The entry of the next save may be whole with its state cut off.
        assert!(replay.entries.len() <= whole + 1 && shapes().starts_with(&replay.entries), "cut to {len}");
        assert_eq!(replay.hard_state, state, "cut to {len}");
        // Opened again it is the same, and no longer torn.
        let (_, again) = Log::open(&disk, SMALL).unwrap();
        assert_eq!(again, wal::Replay { torn: None, ..replay });
    }
}

#[test]
fn a_flipped_bit_anywhere_is_an_error_or_leaves_a_prefix() {
    let sample = sample();
    let type_bytes = type_bytes(&sample.bytes);
    for at in 0..sample.bytes.len() {
        for bit in 0..8 {
            let mut bytes = sample.bytes.clone();
            bytes[at] ^= 1 << bit;
            let (_, opened) = open_bytes(&sample, &bytes);
            // No checksum covers the type of a record: there it is enough not to panic.
            let Ok(replay) = opened else { continue };
            if !type_bytes.contains(&at) {
                assert!(shapes().starts_with(&replay.entries), "byte {at} bit {bit}");
                let states = (0..=shapes().len()).map(|count| after(count).1);
                assert!(states.into_iter().any(|state| state == replay.hard_state), "byte {at} bit {bit}");
            }
        }
    }
}

/// Where the frames of a segment have the number of the record's type.
fn type_bytes(bytes: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let word = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        found.push(at + 9);
        at += 8 + (word & 0xffff_ffff) as usize + (word >> 56 & 7) as usize;
    }
    found
}

#[test]
fn a_flipped_bit_in_acknowledged_bytes_is_an_error_unless_a_sector_reads_as_never_written() {
    let sample = sample();
    let entry_data = sample.ends[2] + 200;
    let mut bytes = sample.bytes.clone();
    bytes[entry_data] ^= 1;
    let (disk, opened) = open_bytes(&sample, &bytes);
    let Err(Error::Corrupt { path, offset, .. }) = opened else { panic!("the damage went unseen") };
    assert_eq!((path, offset), (sample.path.clone(), sample.ends[2] as u64));
    assert_eq!(disk.content(&sample.path).unwrap(), bytes, "nothing was changed");
    assert!(wal::read_only(&disk, dir(), &walpb::Snapshot::default()).is_err());
    assert!(wal::valid_snapshots(&disk, dir()).is_err());
}

#[test]
fn a_sector_that_was_never_written_ends_the_log_and_a_copy_is_kept() {
    let sample = sample();
    let mut bytes = sample.bytes.clone();
    let sector = (sample.ends[2] + 100).next_multiple_of(512);
    bytes[sector..sector + 512].fill(0);
    assert!(sector + 512 < sample.ends[3], "the sector lies within the fourth entry");
    bytes.resize(4096, 0);

    let (disk, opened) = open_bytes(&sample, &bytes);
    let replay = opened.unwrap();
    assert_eq!((replay.entries, replay.hard_state), after(3));
    let torn = replay.torn.unwrap();
    assert_eq!((&torn.path, torn.offset), (&sample.path, sample.ends[2] as u64));
    let copy = Path::new("/data/member/wal/0000000000000000-0000000000000000.wal.broken");
    assert_eq!(torn.copy.as_deref(), Some(copy));
    assert_eq!(disk.content(copy).unwrap(), bytes);
    let erased = disk.content(&sample.path).unwrap();
    assert_eq!(erased[..sample.ends[2]], bytes[..sample.ends[2]]);
    assert!(erased[sample.ends[2]..].iter().all(|byte| *byte == 0));

    let untouched = sample.disk.kill();
    put_file(&untouched, &sample.path, &bytes);
    let replay = wal::read_only(&untouched, dir(), &walpb::Snapshot::default()).unwrap();
    assert_eq!((replay.entries, replay.hard_state), after(3));
    assert_eq!(replay.torn.unwrap().copy, None);
    assert_eq!(wal::valid_snapshots(&untouched, dir()).unwrap().len(), 1);
    assert_eq!(untouched.content(&sample.path).unwrap(), bytes);
}

#[test]
fn old_bytes_behind_a_zero_length_never_come_back() {
    let sample = sample();
    let mut bytes = sample.bytes.clone();
    bytes[sample.ends[2]..sample.ends[2] + 8].fill(0);
    let disk = sample.disk.kill();
    put_file(&disk, &sample.path, &bytes);
    let (mut log, replay) = Log::open(&disk, SMALL).unwrap();
    assert_eq!((replay.entries, replay.torn), (after(3).0, None));
    // A frame of the length of the lost one would end where an old frame begins.
    log.save(None, &[shapes()[3].clone()]).unwrap();
    drop(log);
    assert_eq!(Log::open(&disk, SMALL).unwrap().1.entries, after(4).0);
}

#[test]
fn zeros_too_few_for_a_length_word_are_reserved_space_too() {
    let sample = sample();
    for count in 1..8 {
        let zeros = [&sample.bytes[..], &vec![0; count]].concat();
        assert_eq!(open_bytes(&sample, &zeros).1.unwrap().torn, None, "{count} zeros");
        let other = [&sample.bytes[..], &vec![0x10; count]].concat();
        let torn = open_bytes(&sample, &other).1.unwrap().torn.expect("something was there");
        assert_eq!(torn.offset, sample.bytes.len() as u64, "{count} other bytes");
    }
}

#[test]
fn a_torn_end_of_an_earlier_segment_is_an_error() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    log.save(Some(state(1, 1, 0)), &entries(1..=100, 1)).unwrap();
    log.save(None, &entries(101..=102, 1)).unwrap();
    drop(log);
    let path = segment(&disk, 0);
    let len = disk.content(&path).unwrap().len() as u64;
    for cut in [1, 9] {
        let disk = disk.kill();
        disk.open(&path, OpenMode::ReadWrite).unwrap().set_len(len - cut).unwrap();
        let Err(Error::Corrupt { path: found, .. }) = Log::open(&disk, SMALL) else {
            panic!("a cut of {cut} bytes went unseen");
        };
        assert_eq!(found, path);
    }
    // Without its last frame it is whole, but the next segment goes on from another CRC.
    let end = disk.content(&path).unwrap().len() as u64;
    let last_frame = 8 + 8 + entries(100..=100, 1)[0].data.as_ref().unwrap().len() as u64 + 8 + 8;
    disk.open(&path, OpenMode::ReadWrite).unwrap().set_len((end - last_frame) / 8 * 8).unwrap();
    assert!(Log::open(&disk, SMALL).is_err());
}

#[test]
fn foreign_metadata_bytes_are_written_as_they_are_in_later_segments() {
    let disk = new_disk();
    drop(Log::create(&disk, SMALL).unwrap());
    // The same two fields, and one that we do not know.
    let metadata = [&[0x08, 0xbc, 0xb7, 0xba, 0xea, 0x0b][..], &[0x10, 0x05], &[0x98, 0x06, 0x01]].concat();
    let path = segment(&disk, 0);
    put_file(&disk, &path, &segment_with_metadata(&metadata));
    let (mut log, replay) = Log::open(&disk, SMALL).unwrap();
    assert_eq!(replay.metadata, metadata);
    assert_eq!(replay.node.cluster_id, 5);
    log.save(Some(state(1, 1, 0)), &entries(1..=100, 1)).unwrap();
    drop(log);
    let head = disk.content(&segment(&disk, 1)).unwrap();
    assert!(head.windows(metadata.len()).any(|window| window == metadata));
    assert_eq!(Log::open(&disk, SMALL).unwrap().1.metadata, metadata);

    // Other bytes in a later segment are refused, as etcd refuses them.
    let at = head.windows(metadata.len()).position(|window| window == metadata).unwrap();
    let mut other = head.clone();
    other[at + 7] = 6;
    put_file(&disk, &segment(&disk, 1), &other);
    assert!(matches!(Log::open(&disk, SMALL).err(), Some(Error::Corrupt { .. })));
}

/// A segment of a CRC record and this metadata, made by hand.
fn segment_with_metadata(metadata: &[u8]) -> Vec<u8> {
    use prost::Message as _;
    let frame = |kind, crc, data: Option<&[u8]>| {
        let data = data.map(bytes::Bytes::copy_from_slice);
        let record = walpb::Record { r#type: kind, crc, data }.encode_to_vec();
        let padding = record.len().wrapping_neg() % 8;
        let flags = if padding == 0 { 0 } else { 0x80 | padding as u64 };
        let mut frame = (record.len() as u64 | flags << 56).to_le_bytes().to_vec();
        frame.extend(&record);
        frame.resize(frame.len() + padding, 0);
        frame
    };
    [frame(4, 0, None), frame(1, crc32c::crc32c(metadata), Some(metadata))].concat()
}

#[test]
fn a_directory_that_is_no_log_is_an_error() {
    let sample = sample();
    for bytes in [&[][..], &[0; 4096], b"not a log at all, but long enough", &[0xff; 600]] {
        assert!(matches!(open_bytes(&sample, bytes).1, Err(Error::Corrupt { .. })), "{} bytes", bytes.len());
    }
}

/// The head of a segment is durable before the segment has its name, so no crash cuts it short: what does is damage.
#[test]
fn a_damaged_head_of_the_last_segment_is_an_error_and_not_a_torn_end() {
    let disk = new_disk();
    let mut log = Log::create(&disk, SMALL).unwrap();
    let mut index = 0;
    while wal::segments(&disk, dir()).unwrap().len() < 3 {
        index += 1;
        log.save(Some(state(2, 3, index)), &[entry(index, 2, &[7; 600])]).unwrap();
    }
    drop(log);
    let path = segment(&disk, 2);
    let bytes = disk.content(&path).unwrap();
    let head_len = 46; // a CRC frame of 16 bytes, a METADATA frame of 30 and padding
    for at in 0..head_len {
        let until = head_len.min(at + 8);
        let overwritten = [&bytes[..at], &[0xff; 8][..until - at], &bytes[until..]].concat();
        for damaged in [bytes[..at].to_vec(), overwritten] {
            let copy = disk.kill();
            put_file(&copy, &path, &damaged);
            let opened = Log::open(&copy, SMALL).map(|(_, replay)| replay.torn);
            assert!(matches!(opened, Err(Error::Corrupt { .. })), "damage at {at}: {opened:?}");
        }
    }
}
