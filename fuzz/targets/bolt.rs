//! Bytes as a file of pages: read in every way, opened for writing, changed, and read again.
//!
//! An input is eight bytes of choices ([`Choices`]) and then the file. As checksums stop a fuzzer, the metas are put
//! right here if the input asks for it, and so are the numbers in the heads of pages.
#![no_main]

use bolt::{Batch, Bucket, Db, Options, Result, Root};
use bytes::Bytes;
use fuzz::{Input, Outcome, contents_of, disk_with, drive_job};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use stdx::fnv::fnv1a_64;
use stdx::prng::Prng;
use vfs::mem::{Damage, MemDisk};

fuzz::target!(run, seeds);
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if mutate_in_place(&mut data[..size], &mut Prng::new(seed.into())) {
        size
    } else {
        libfuzzer_sys::fuzzer_mutate(data, size, max_size)
    }
});

/// Buckets with their pairs.
type Model = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>>;

const PATH: &str = "/data/db";
const PAGE_SIZE_MIN: usize = 512;
/// Commits made on a file that can be opened.
const COMMITS: usize = 3;

/// What is done with the file before and after it is read.
struct Choices {
    /// Give both metas their magic, version and checksum.
    fix_metas: bool,
    /// Let the metas say that all pages of the file are in use.
    fix_high_water: bool,
    /// Give each page its number. It spoils values that go over several pages.
    fix_page_ids: bool,
    /// Begins the numbers that choose the changes.
    seed: u64,
}

impl Choices {
    const LEN: usize = 8;

    fn of(input: &mut Input<'_>) -> Self {
        let flags = input.byte();
        let seed = input.bytes(Self::LEN - 1).iter().fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        Self { fix_metas: flags & 1 != 0, fix_high_water: flags & 2 != 0, fix_page_ids: flags & 4 != 0, seed }
    }
}

fn run(bytes: &[u8]) -> Outcome {
    let mut input = Input::new(bytes);
    let choices = Choices::of(&mut input);
    let mut file = input.rest().to_vec();
    fix(&mut file, &choices);
    let disk = disk_with([(Path::new(PATH), &file[..])]);

    let checked = read(&disk);
    let before = contents_of(&disk);
    let Ok((db, visited)) = open(&disk) else {
        assert_eq!(contents_of(&disk), before, "a file that is not opened is not changed");
        return Outcome::Refused;
    };
    if contents_of(&disk) != before {
        assert!(visited.is_empty(), "only a file that never held anything is made anew");
    }
    assert_eq!(read_all(&db.root()).as_ref(), Ok(&visited), "opening visits everything");
    let is_sound = checked.is_none_or(|checked| checked.is_ok());
    go_on(&disk, db, visited, Changes { rng: Prng::new(choices.seed), next: 0 }, is_sound);
    Outcome::Accepted
}

/// Puts right what the choices ask for, as far as the file is long enough.
fn fix(file: &mut [u8], choices: &Choices) {
    let page_size = page_size_of(file);
    let page_count = (file.len() / page_size) as u64;
    for (number, page) in (0_u64..).zip(file.chunks_exact_mut(page_size)) {
        if number < 2 {
            if choices.fix_high_water {
                page[56..64].copy_from_slice(&page_count.to_le_bytes());
            }
            if choices.fix_metas {
                page[16..24].copy_from_slice(&[0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0]);
                let checksum = fnv1a_64(&page[16..72]);
                page[72..80].copy_from_slice(&checksum.to_le_bytes());
            }
        } else if choices.fix_page_ids {
            page[..8].copy_from_slice(&number.to_le_bytes());
        }
    }
}

/// The size of pages that the first meta names, the smallest one if that is none.
fn page_size_of(file: &[u8]) -> usize {
    let named = file.get(24..28).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
    let named = usize::try_from(named).unwrap_or_default();
    let is_size = named.is_power_of_two() && (PAGE_SIZE_MIN..=1 << 16).contains(&named);
    if is_size { named } else { PAGE_SIZE_MIN }
}

/// Changes numbers where the format has them, in pages that stay where they are: what the fuzzer does by itself mostly
/// moves everything behind it. Returns whether anything was done.
fn mutate_in_place(input: &mut [u8], rng: &mut Prng) -> bool {
    let Some(file) = input.get_mut(Choices::LEN..) else { return false };
    let page_size = page_size_of(file);
    let page_count = file.len() / page_size;
    if page_count == 0 || rng.chance(1, 4) {
        return false;
    }
    let place = |rng: &mut Prng| rng.below(page_count as u64) as usize * page_size;
    for _ in 0..=rng.below(3) {
        let page = place(rng);
        if rng.chance(1, 16) {
            let other = place(rng);
            file.copy_within(other..other + page_size, page);
            continue;
        }
        if rng.chance(1, 16)
            && let Some(at) = descriptor_in(file, page_size, rng)
        {
            file[at..at + 8].copy_from_slice(&rng.below(page_count as u64).to_le_bytes());
            continue;
        }
        // The head, the numbers of an element, or those in metas and in descriptors of buckets, which are not aligned.
        let width = [1, 2, 4, 8][rng.below(4) as usize];
        let reach = if rng.chance(1, 2) { 16 } else { 192 };
        let offset = rng.below(reach - width as u64) as usize;
        let at = page + if rng.chance(2, 3) { offset - offset % width } else { offset };
        let from = place(rng) + rng.below(192) as usize;
        let number_at = |at: usize| {
            let mut number = [0; 8];
            number[..width].copy_from_slice(&file[at..at + width]);
            u64::from_le_bytes(number)
        };
        let number = match rng.below(7) {
            0 => 0,
            1 => u64::MAX,
            2 => number_at(at).wrapping_add(1 + rng.below(4)),
            3 => number_at(at).wrapping_sub(1 + rng.below(4)),
            4 => rng.below(page_count as u64 + 2),
            5 => number_at(from),
            _ => 1 << rng.below(8 * width as u64),
        };
        file[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
    }
    true
}

/// Where a bucket's descriptor lies, which begins with its root page: the value of an element of the root page that the
/// first meta names.
fn descriptor_in(file: &[u8], page_size: usize, rng: &mut Prng) -> Option<usize> {
    let number_at = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?) as usize);
    let page = number_at(32)?.checked_mul(page_size)?;
    let count = number_at(page.checked_add(8)?)? >> 16;
    let element = page + 16 + 16 * rng.below(count.max(1) as u64) as usize;
    let at = element + number_at(element + 4)? + number_at(element + 8)?;
    (at + 8 <= file.len()).then_some(at)
}

/// Reads in all ways, without the checks that a writer makes; returns the outcome of the check, `None` if the file
/// cannot be opened.
fn read(disk: &MemDisk) -> Option<Result<bolt::Report>> {
    let root = match Root::open_read_only(disk, Path::new(PATH)) {
        Ok(root) => root,
        Err(error) => {
            assert_eq!(Root::open_read_only(disk, Path::new(PATH)).err(), Some(error), "opened twice");
            return None;
        }
    };
    assert_eq!(read_unchecked(&root), read_unchecked(&root), "read twice");
    let checked = root.check();
    assert_eq!(checked, root.check(), "checked twice");
    Some(checked)
}

/// What cursors find, up to the first error.
fn read_unchecked(root: &Root) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    for name in root.bucket_names() {
        let bucket = root.bucket(name).expect("it has just been named");
        let last = bucket.cursor(b"").last().map(|last| last.map(|(key, _)| key.to_vec()));
        found.push((name.to_vec(), format!("{last:?}").into_bytes()));
        let mut cursor = bucket.cursor(b"k");
        while let Ok(Some((key, value))) = cursor.next() {
            found.push((key.to_vec(), value[..value.len().min(16)].to_vec()));
        }
        if let Ok(Some(value)) = bucket.get(b"k100") {
            found.push((b"k100".to_vec(), value.to_vec()));
        }
    }
    found
}

/// Opens for writing; returns what opening visited, too.
fn open(disk: &MemDisk) -> Result<(Db, Model)> {
    drive_job(disk, async move |cx, disk| {
        let visited = Mutex::new(Model::new());
        let mut visit = |bucket: &[u8], key: &[u8], value: &[u8]| {
            let mut visited = visited.lock().expect("nobody panics with it");
            let earlier = visited.entry(bucket.to_vec()).or_default().insert(key.to_vec(), value.to_vec());
            assert!(earlier.is_none(), "visited twice");
        };
        let options = Options { page_size: PAGE_SIZE_MIN as u32, ..Options::default() };
        let db = Db::open(&cx, &disk, Path::new(PATH), options, &mut visit).await?;
        let mut visited = visited.into_inner().expect("nobody panics with it");
        for name in db.root().bucket_names() {
            visited.entry(name.to_vec()).or_default();
        }
        Ok((db, visited))
    })
}

/// Everything in a state, each pair found by its key, too.
fn read_all(root: &Root) -> Result<Model> {
    let bucket_of = |name: &[u8]| root.bucket(name).expect("it has just been named");
    root.bucket_names().map(|name| Ok((name.to_vec(), read_bucket(&bucket_of(name))?))).collect()
}

fn read_bucket(bucket: &Bucket<'_>) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut pairs = BTreeMap::<Vec<u8>, Vec<u8>>::new();
    let mut cursor = bucket.cursor(b"");
    while let Some((key, value)) = cursor.next()? {
        assert!(pairs.last_key_value().is_none_or(|(last, _)| last.as_slice() < key), "in order");
        let found = bucket.get(key)?;
        assert_eq!(found.as_deref(), Some(value), "found by its key");
        pairs.insert(key.to_vec(), value.to_vec());
    }
    Ok(pairs)
}

/// Commits changes, and checks that all states stay what they are, whatever happens.
fn go_on(disk: &MemDisk, db: Db, visited: Model, mut changes: Changes, is_sound: bool) {
    let first = db.root();
    let mut model = visited.clone();
    let mut db = db;
    for _ in 0..COMMITS {
        let batch = changes.batch(&mut model);
        let (writer, root) = commit(disk, db, batch);
        db = writer;
        let root = root.expect("what opening has checked can be written");
        assert_eq!(read_all(&root).as_ref(), Ok(&model), "what was committed is there");
        if is_sound {
            let report = root.check().expect("a sound file stays sound");
            assert_eq!(report.pairs, model.values().map(|pairs| pairs.len() as u64).sum::<u64>());
        }
    }
    assert_eq!(read_all(&first).as_ref(), Ok(&visited), "a state that is held stays as it was");
    let image = image_of(&db.root());
    drop(db);
    let crashed = disk.crash(Damage::LoseAll, &mut Prng::new(1));
    let copied = disk_with([(Path::new(PATH), &image[..])]);
    for disk in [crashed, copied] {
        let (_, found) = open(&disk).expect("what was committed is opened");
        assert_eq!(found, model, "what was committed survives");
    }
}

fn commit(disk: &MemDisk, db: Db, batch: Batch) -> (Db, Result<Root>) {
    drive_job(disk, async move |cx, _| {
        let mut db = db;
        let root = db.commit(&cx, batch).await;
        (db, root)
    })
}

fn image_of(root: &Root) -> Vec<u8> {
    let image = root.image();
    let mut bytes = vec![0; usize::try_from(image.size_bytes()).expect("a file in memory")];
    assert_eq!(image.read_at(0, &mut bytes), Ok(bytes.len()));
    bytes
}

/// Makes batches, and applies them to a model.
struct Changes {
    rng: Prng,
    /// Counts the keys that are appended.
    next: u64,
}

impl Changes {
    fn batch(&mut self, model: &mut Model) -> Batch {
        let mut batch = Batch::new();
        let mut names: Vec<Vec<u8>> = model.keys().filter(|_| self.rng.chance(2, 3)).cloned().collect();
        if names.is_empty() || self.rng.chance(1, 4) {
            names.push(b"new".to_vec());
        }
        for name in names {
            batch.ensure_bucket(&name);
            let pairs = model.entry(name.clone()).or_default();
            match self.rng.below(4) {
                0 => self.append(&mut batch, &name, pairs),
                1 => self.put_between(&mut batch, &name, pairs),
                2 => self.delete(&mut batch, &name, pairs, 1),
                _ => self.delete(&mut batch, &name, pairs, 4),
            }
        }
        batch
    }

    fn append(&mut self, batch: &mut Batch, name: &[u8], pairs: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        batch.set_fill_percent(name, 90);
        for _ in 0..=self.rng.below(12) {
            self.next += 1;
            let key = [&b"~"[..], &self.next.to_be_bytes()].concat();
            self.put(batch, name, pairs, key);
        }
    }

    /// Changes keys that are there, and puts others in front of them and behind them.
    fn put_between(&mut self, batch: &mut Batch, name: &[u8], pairs: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
        let keys: Vec<Vec<u8>> = pairs.keys().filter(|_| self.rng.chance(1, 3)).cloned().collect();
        for mut key in keys {
            match self.rng.below(3) {
                0 => key.push(b'0'),
                1 if key.len() > 1 => key.truncate(key.len() - 1),
                _ => {}
            }
            if key.len() <= bolt::MAX_KEY_LEN {
                self.put(batch, name, pairs, key);
            }
        }
    }

    /// Deletes each key with a chance of `quarters` to four, and one that is not there.
    fn delete(
        &mut self,
        batch: &mut Batch,
        name: &[u8],
        pairs: &mut BTreeMap<Vec<u8>, Vec<u8>>,
        quarters: u64,
    ) {
        batch.delete(name, Bytes::from_static(b"no such key"));
        pairs.remove(&b"no such key"[..]);
        pairs.retain(|key, _| {
            let is_kept = !self.rng.chance(quarters, 4);
            if !is_kept {
                batch.delete(name, Bytes::copy_from_slice(key));
            }
            is_kept
        });
    }

    fn put(&mut self, batch: &mut Batch, name: &[u8], pairs: &mut BTreeMap<Vec<u8>, Vec<u8>>, key: Vec<u8>) {
        let len = if self.rng.chance(1, 16) { self.rng.below(3000) } else { self.rng.below(60) };
        let value = vec![len as u8; usize::try_from(len).expect("a small number")];
        batch.put(name, key.clone().into(), value.clone().into());
        pairs.insert(key, value);
    }
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let of_bbolt = include_bytes!("../../core/bolt/testdata/bbolt-1.5.0-page-1024.db");
    let mut seeds = vec![
        ("empty".to_owned(), seed(1, &[])),
        ("bbolt".to_owned(), seed(1, of_bbolt)),
        ("bbolt-all-pages".to_owned(), seed(7, of_bbolt)),
    ];
    for (number, image) in (0..).zip(samples()) {
        seeds.push((format!("sample-{number}"), seed(1, &image)));
        seeds.push((format!("sample-{number}-all-pages"), seed(7, &image)));
    }
    seeds
}

fn seed(flags: u8, file: &[u8]) -> Vec<u8> {
    [&[flags, 0, 0, 0, 0, 0, 0, 1], file].concat()
}

/// Small files of our own: one bucket inline, several, a branch, a value over several pages, free pages.
fn samples() -> Vec<Vec<u8>> {
    let disk = MemDisk::new();
    let directory = Path::new("/data");
    vfs::Disk::create_dir_all(&disk, directory, 0o700).expect("a new disk");
    let (mut db, _) = open(&disk).expect("a new file");
    let mut samples = Vec::new();
    for (bucket, count, value_len) in
        [("key", 3, 4), ("meta", 1, 0), ("key", 40, 12), ("lease", 2, 700), ("key", 4, 9)]
    {
        let mut batch = Batch::new();
        batch.ensure_bucket(bucket.as_bytes());
        for number in 0..count {
            batch.put(bucket.as_bytes(), format!("k{number:03}").into(), vec![7; value_len].into());
        }
        if count == 4 {
            (4..40).for_each(|number| batch.delete(bucket.as_bytes(), format!("k{number:03}").into()));
        }
        let (writer, root) = commit(&disk, db, batch);
        samples.push(image_of(&root.expect("the disk takes everything")));
        db = writer;
    }
    samples
}
