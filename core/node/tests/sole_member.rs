//! A member on a disk in memory: boot, write, lose power, boot again.

#![allow(clippy::unwrap_used)]

mod common;

use bolt::{Batch, Db};
use common::{Machine, config};
use node::{BootConfig, BootError, Input, Output, Retention};
use std::path::Path;
use std::sync::Arc;
use stdx::prng::Prng;
use types::{LogIndex, Revision, Version};
use vfs::mem::{Damage, MemDisk};
use vfs::{Disk, Job, LockKind, OpenMode, drive};

#[test]
fn a_new_member_knows_itself_and_its_version_before_it_is_ready() {
    let machine = Machine::boot(MemDisk::new(), config()).unwrap();
    let view = machine.view.as_ref().unwrap();
    assert!(view.serves_linearizable);
    assert_eq!(view.state.cluster.version(), Some(Version::new(3, 7, 0)));
    let members: Vec<_> = view.state.cluster.members().collect();
    assert_eq!(members[0].id.to_string(), "8e9e05c52164694d");
    assert_eq!((members.len(), members[0].name.as_str()), (1, "default"));
    assert_eq!(view.state.applied, LogIndex(4), "conf change, empty entry, attributes, version");
}

#[test]
fn acknowledged_puts_survive_a_power_loss_before_and_after_the_commit() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    for round in 0..5u64 {
        for number in 0..20 {
            machine.put(&format!("k{number}"), &format!("v{round}.{number}"));
        }
        if round % 2 == 1 {
            machine.after_commit_interval();
        }
        let damage = Damage::ALL[usize::try_from(round).unwrap() % Damage::ALL.len()];
        let disk = machine.disk.crash(damage, &mut Prng::new(round));
        machine = Machine::boot(disk, config()).unwrap();
        for number in 0..20 {
            assert_eq!(machine.get(&format!("k{number}")), Some(format!("v{round}.{number}")));
        }
    }
}

#[test]
fn a_snapshot_releases_the_log_and_the_next_start_goes_on_from_it() {
    let small = BootConfig { snapshot_count: 50, segment_size_bytes: 4096, ..config() };
    let mut machine = Machine::boot(MemDisk::new(), small.clone()).unwrap();
    let mut revision = 0;
    for number in 0..400 {
        revision = machine.put(&format!("k{}", number % 10), &format!("v{number}"));
    }
    machine.compact(revision - 5);
    let segments = machine.disk.list("/data/member/wal".as_ref()).unwrap();
    assert!(segments.iter().filter(|name| name.ends_with(".wal")).count() <= 6, "{segments:?}");
    let disk = machine.disk.crash(Damage::LoseAll, &mut Prng::new(1));
    let machine = Machine::boot(disk, small).unwrap();
    assert_eq!(machine.get("k9"), Some("v399".into()));
    assert_eq!(machine.view.unwrap().state.store.compact_revision(), revision - 5);
}

#[test]
fn after_a_failed_sync_of_the_log_a_member_does_nothing_but_halt() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    machine.put("k", "v");
    let id = machine.member.request_ids().next_id();
    machine.member.handle(Input::Propose { id, data: common::compaction(id, 2) });
    let effect = loop {
        match machine.member.poll_output(0) {
            Some(Output::PerformLog(effect)) => break effect,
            Some(_) => {}
            None => panic!("the log is synced"),
        }
    };
    let failure = vfs::Error::new("sync", effect.path(), vfs::ErrorKind::Other, "gone");
    machine.member.handle(Input::LogPerformed(Err(failure)));
    // By now the buffer would be committed.
    let output = machine.member.poll_output(10_000_000_000);
    assert!(matches!(output, Some(Output::Halt(_))), "{output:?}");
    assert!(machine.member.poll_output(20_000_000_000).is_none());
}

#[test]
fn an_old_segment_that_somebody_else_reads_stays_and_the_member_goes_on() {
    let retention = Retention { wals: 3, snapshots: 3 };
    let small = BootConfig { snapshot_count: 20, segment_size_bytes: 4096, retention, ..config() };
    let mut machine = Machine::boot(MemDisk::new(), small).unwrap();
    let dir = Path::new("/data/member/wal");
    let oldest = |disk: &MemDisk| dir.join(disk.list(dir).unwrap().swap_remove(0));
    // Held back until it is one that the member has released.
    let reader = loop {
        machine.put("k", "v");
        let file = machine.disk.open(&oldest(&machine.disk), OpenMode::ReadWrite).unwrap();
        if file.try_lock(LockKind::OpenFileDescription).is_ok() {
            break file;
        }
    };
    for number in 0..300 {
        machine.put("k", &format!("v{number}"));
    }
    assert_eq!(oldest(&machine.disk), reader.path());
    drop(reader);
    for number in 0..100 {
        machine.put("k", &format!("v{number}"));
    }
    assert!(machine.disk.list(dir).unwrap().len() <= 6);
}

#[test]
fn a_directory_in_use_is_refused() {
    let machine = Machine::boot(MemDisk::new(), config()).unwrap();
    let again = Machine::boot(machine.disk.clone(), config());
    assert!(matches!(again, Err(BootError::InUse(_))));
}

#[test]
fn directories_made_on_the_way_to_the_files_are_durable() {
    let nested =
        BootConfig { data_dir: "/a/b/c/data".into(), wal_dir: Some("/fast/new/wal".into()), ..config() };
    for commits in [false, true] {
        let mut machine = Machine::boot(MemDisk::new(), nested.clone()).unwrap();
        machine.put("k", "v");
        if commits {
            machine.after_commit_interval();
        }
        let disk = machine.disk.crash(Damage::LoseAll, &mut Prng::new(1));
        assert_eq!(Machine::boot(disk, nested.clone()).unwrap().get("k"), Some("v".into()));
    }
}

#[test]
fn a_log_without_its_backend_is_refused_and_nothing_is_touched() {
    let db = Path::new("/data/member/snap/db");
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    machine.put("k", "v");
    let stopped = machine.stop();
    let refusal = |break_it: &dyn Fn(&MemDisk)| {
        let disk = stopped.kill();
        break_it(&disk);
        let before = disk.digest();
        let error = Machine::boot(disk.clone(), config()).err().expect("it is refused");
        assert_eq!(disk.digest(), before, "{error}");
        error.to_string()
    };
    assert!(refusal(&|disk| disk.remove_file(db).unwrap()).contains("is missing"));
    let cut = |len| move |disk: &MemDisk| disk.open(db, OpenMode::ReadWrite).unwrap().set_len(len).unwrap();
    assert!(refusal(&cut(0)).contains("is empty"));
    refusal(&cut(4096));
    refusal(&cut(5000));
}

#[test]
fn a_commit_index_that_the_log_does_not_reach_is_refused_and_nothing_is_touched() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    (0..5).for_each(|_| _ = machine.put("k", "v"));
    machine.after_commit_interval();
    let disk = machine.stop();
    let segment = Path::new("/data/member/wal/0000000000000000-0000000000000000.wal");
    let mut bytes = disk.content(segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes.truncate(end - 300);
    let file = disk.open(segment, OpenMode::Truncate { mode: 0o600 }).unwrap();
    file.write_at(0, &bytes).unwrap();
    drop(file);
    let before = disk.digest();
    let error = Machine::boot(disk.clone(), config()).err().expect("it is refused");
    assert!(matches!(error, BootError::Inconsistent { .. }), "{error}");
    assert_eq!(disk.digest(), before, "{error}");
}

#[test]
fn a_record_of_a_revision_that_no_store_reaches_is_refused_and_nothing_is_touched() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    machine.put("k", "v");
    let stopped = machine.stop();
    let boot_with = |revision: i64| {
        let disk = stopped.kill();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let job = Job::new(async move |cx| {
            let path = Path::new("/data/member/snap/db");
            let opened = Db::open(&cx, &shared, path, bolt::Options::default(), &mut |_, _, _| {}).await;
            let mut batch = Batch::new();
            batch.put(b"key", Revision::new(revision, 0).to_key().to_vec().into(), "\x0a\x01l".into());
            opened.unwrap().commit(&cx, batch).await.map(drop).unwrap();
        });
        drive(&disk, job);
        let before = disk.digest();
        let booted = Machine::boot(disk.clone(), config());
        assert!(booted.is_ok() || disk.digest() == before);
        booted
    };
    for revision in [Revision::MAIN_MAX + 1, i64::MAX] {
        let error = boot_with(revision).err().expect("it is refused");
        assert!(matches!(error, BootError::Inconsistent { .. }), "{error}");
    }
    let mut machine = boot_with(Revision::MAIN_MAX - 1).expect("it is served");
    assert_eq!(machine.put("k", "newer"), Revision::MAIN_MAX);
}

#[test]
fn the_index_part_of_a_compaction_gives_way_to_inputs() {
    let mut machine = Machine::boot(MemDisk::new(), config()).unwrap();
    let mut revision = 0;
    for number in 0..9000 {
        revision = machine.put(&format!("k{number}"), "v");
    }
    let id = machine.member.request_ids().next_id();
    machine.member.handle(Input::Propose { id, data: common::compaction(id, revision) });
    let mut continues = 0;
    loop {
        let mut asked = false;
        while let Some(output) = machine.member.poll_output(0) {
            match output {
                Output::PerformLog(target) => {
                    let result = target.perform(&machine.disk);
                    machine.member.handle(Input::LogPerformed(result));
                }
                Output::Continue => {
                    assert!(!asked, "one step between two inputs");
                    asked = true;
                }
                _ => {}
            }
        }
        if !asked {
            break;
        }
        continues += 1;
        machine.member.handle(Input::Wake);
    }
    assert!(continues >= 4, "{continues} steps for 9000 keys");
}
