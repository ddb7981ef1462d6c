//! The real disk and the one in memory behave alike: every claim is checked on both.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vfs::mem::MemDisk;
use vfs::{Cx, Disk, Error, ErrorKind, File, Job, LockKind, OpenMode, Page, drive};

/// A directory of its own for each test, on the disk that the build uses.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("disk-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Runs `claim` on both disks, with an empty directory.
fn check(claim: impl Fn(&dyn Disk, &Path)) {
    let dir = Dir::new();
    claim(&os::RealDisk::new(), &dir.0);
    let memory = MemDisk::new();
    memory.create_dir_all(&dir.0, 0o700).unwrap();
    claim(&memory, &dir.0);
}

fn create(disk: &dyn Disk, path: &Path) -> Arc<dyn File> {
    disk.open(path, OpenMode::Create { mode: 0o600 }).unwrap()
}

fn read(file: &Arc<dyn File>, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    let count = file.read_at(offset, &mut bytes).unwrap();
    bytes.truncate(count);
    bytes
}

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    result.err().expect("this fails").kind
}

#[test]
fn files_read_write_grow_and_shrink() {
    check(|disk, dir| {
        let file = create(disk, &dir.join("a"));
        file.write_at(5000, b"end").unwrap();
        assert_eq!(file.len().unwrap(), 5003);
        assert_eq!(read(&file, 4998, 10), b"\0\0end");
        assert_eq!(read(&file, 6000, 10), b"");
        file.set_len(5001).unwrap();
        file.set_len(5003).unwrap();
        assert_eq!(read(&file, 5000, 10), b"e\0\0", "what was cut reads as zeros");
        file.allocate(10_000).unwrap();
        assert_eq!(file.len().unwrap(), 10_000);
        file.allocate(100).unwrap();
        assert_eq!(file.len().unwrap(), 10_000, "reserving never cuts");
        assert_eq!(read(&file, 9_999, 10), b"\0");
        assert_eq!(file.path(), dir.join("a"));
    });
}

#[test]
fn modes_of_opening_keep_their_word() {
    check(|disk, dir| {
        let path = dir.join("a");
        assert_eq!(kind(disk.open(&path, OpenMode::Read)), ErrorKind::NotFound);
        assert_eq!(kind(disk.open(&path, OpenMode::ReadWrite)), ErrorKind::NotFound);
        assert_eq!(kind(disk.open(dir, OpenMode::Read)), ErrorKind::Other);
        create(disk, &path).write_at(0, b"text").unwrap();
        assert_eq!(read(&create(disk, &path), 0, 9), b"text");
        let reader = disk.open(&path, OpenMode::Read).unwrap();
        assert!(reader.write_at(0, b"x").is_err() && reader.set_len(0).is_err());
        assert_eq!(read(&reader, 0, 9), b"text");
        disk.open(&path, OpenMode::ReadWrite).unwrap().write_at(1, b"a").unwrap();
        assert_eq!(read(&reader, 0, 9), b"taxt");
        let emptied = disk.open(&path, OpenMode::Truncate { mode: 0o600 }).unwrap();
        assert_eq!(emptied.len().unwrap(), 0);
    });
}

#[test]
fn names_are_listed_renamed_and_removed() {
    check(|disk, dir| {
        let sub = dir.join("x/y");
        disk.create_dir_all(&sub, 0o700).unwrap();
        disk.create_dir_all(&sub, 0o700).unwrap();
        let held = create(disk, &sub.join("b"));
        held.write_at(0, b"b").unwrap();
        create(disk, &sub.join("a")).write_at(0, b"a").unwrap();
        create(disk, &sub.join("C"));
        assert_eq!(disk.list(&sub).unwrap(), ["C", "a", "b"]);
        disk.rename(&sub.join("a"), &sub.join("b")).unwrap();
        assert_eq!(disk.list(&sub).unwrap(), ["C", "b"]);
        assert_eq!(read(&create(disk, &sub.join("b")), 0, 9), b"a");
        assert_eq!(read(&held, 0, 9), b"b", "a replaced file lives on in its handles");
        disk.rename(&dir.join("x/y"), &dir.join("z")).unwrap();
        assert!(disk.exists(&dir.join("z/b")).unwrap() && !disk.exists(&sub).unwrap());
        disk.remove_file(&dir.join("z/b")).unwrap();
        assert_eq!(kind(disk.remove_file(&dir.join("z/b"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.list(&dir.join("none"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.rename(&dir.join("none"), &dir.join("z"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.remove_file(&dir.join("x"))), ErrorKind::Other, "a directory");
        disk.remove_dir_all(&dir.join("z")).unwrap();
        assert_eq!(kind(disk.remove_dir_all(&dir.join("z"))), ErrorKind::NotFound);
        assert_eq!(disk.list(dir).unwrap(), ["x"]);
    });
}

#[test]
fn locks_of_both_families_exclude_other_handles_but_not_each_other() {
    check(|disk, dir| {
        let (first, second) = (create(disk, &dir.join("a")), create(disk, &dir.join("a")));
        first.try_lock(LockKind::OpenFileDescription).unwrap();
        first.try_lock(LockKind::OpenFileDescription).unwrap();
        assert_eq!(kind(second.try_lock(LockKind::OpenFileDescription)), ErrorKind::Locked);
        second.try_lock(LockKind::FlockShared).unwrap();
        first.try_lock(LockKind::FlockShared).unwrap();
        assert_eq!(kind(first.try_lock(LockKind::FlockExclusive)), ErrorKind::Locked);
        drop(first);
        second.try_lock(LockKind::FlockExclusive).unwrap();
        second.try_lock(LockKind::OpenFileDescription).unwrap();
    });
}

#[test]
fn views_follow_the_file_as_it_grows() {
    check(|disk, dir| {
        let file = create(disk, &dir.join("db"));
        let view = file.view().unwrap();
        assert!(view.page(0, 1).is_none());
        file.write_at(0, &[7; 8192]).unwrap();
        assert_eq!(&*view.page(4096, 4096).unwrap(), &[7; 4096]);
        assert!(view.page(4097, 4096).is_none());
        file.write_at(8192, &[8; 4096]).unwrap();
        assert_eq!(&*view.page(8000, 1000).unwrap(), [[7; 192].as_slice(), &[8; 808]].concat());
        disk.remove_file(&dir.join("db")).unwrap();
        drop(file);
        assert_eq!(&*view.page(0, 1).unwrap(), &[7]);
    });
}

#[test]
fn jobs_sync_files_and_directories() {
    check(|disk, dir| {
        let (file, dir) = (create(disk, &dir.join("a")), dir.to_owned());
        let job = Job::new(move |cx: Cx| async move {
            file.write_at(0, b"x")?;
            cx.sync_data(&file).await?;
            cx.sync_dir(&dir).await?;
            cx.sync_dir(&dir.join("none")).await
        });
        assert_eq!(kind(drive(disk, job)), ErrorKind::NotFound);
    });
}

#[test]
fn permission_bits_are_those_asked_for() {
    let (disk, dir) = (os::RealDisk::new(), Dir::new());
    let bits = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    disk.create_dir_all(&dir.0.join("member/wal"), 0o700).unwrap();
    let path = dir.0.join("member/wal/0.wal");
    create(&disk, &path);
    assert_eq!(bits(&dir.0.join("member")), 0o700);
    assert_eq!(bits(&dir.0.join("member/wal")), 0o700);
    assert_eq!(bits(&path), 0o600);
}

#[test]
fn allocated_space_is_really_taken_and_mapped_pages_are_not_copies() {
    use std::os::unix::fs::MetadataExt;
    let (disk, dir) = (os::RealDisk::new(), Dir::new());
    let file = create(&disk, &dir.0.join("a"));
    file.allocate(1 << 20).unwrap();
    let metadata = std::fs::metadata(dir.0.join("a")).unwrap();
    assert_eq!(metadata.len(), 1 << 20);
    assert!(metadata.blocks() * 512 >= 1 << 20, "{} blocks", metadata.blocks());
    assert!(matches!(file.view().unwrap().page(0, 4096), Some(Page::Mapped(_))));
}

#[test]
fn a_full_device_is_named_as_such() {
    let file = os::RealDisk::new().open(Path::new("/dev/full"), OpenMode::ReadWrite).unwrap();
    let error = file.write_at(0, b"x").unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoSpace);
    assert_eq!(error.to_string(), "write /dev/full: no space left on device");
}

#[test]
fn without_syncs_nothing_is_synced() {
    let (disk, dir) = (os::RealDisk::without_syncs(), Dir::new());
    assert!(disk.sync_dir(&dir.0.join("none")).is_ok(), "not even looked at");
    create(&disk, &dir.0.join("a")).sync_data().unwrap();
}
