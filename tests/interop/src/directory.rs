//! Directories that tests work in, and what is in a directory.

use crate::program::root;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// An empty directory on a real disk, removed in the end, unless the test fails.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one whose name contains `name`.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = root().join("target/tmp/interop").join(format!("{name}-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory below target/ can be made");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Every entry below `directory` with its mode and, for a file, its bytes: two equal values mean nothing was touched.
///
/// # Panics
/// If something cannot be read.
pub fn contents(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    walk(directory, &mut |path, metadata| {
        let bytes = if metadata.is_file() {
            std::fs::read(path).expect("a file of the test can be read")
        } else {
            Vec::new()
        };
        found.insert(path.to_path_buf(), (metadata.permissions().mode(), bytes));
    });
    found
}

/// Copies `from` with everything in it to `to`, which must not exist.
///
/// # Panics
/// If that fails.
pub fn copy(from: &Path, to: &Path) {
    walk(from, &mut |path, metadata| {
        let target = to.join(path.strip_prefix(from).expect("a walk stays below its start"));
        if metadata.is_dir() {
            std::fs::create_dir(&target).expect("a directory of the copy can be made");
            std::fs::set_permissions(&target, metadata.permissions())
                .expect("the mode of the copy can be set");
        } else {
            std::fs::copy(path, &target).expect("a file can be copied");
        }
    });
}

fn walk(path: &Path, visit: &mut impl FnMut(&Path, &std::fs::Metadata)) {
    let metadata =
        std::fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    visit(path, &metadata);
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).expect("a directory of the test can be listed") {
            walk(&entry.expect("an entry can be read").path(), visit);
        }
    }
}
