//! What a run looks like: how many clients ask for what, on which limits, at which pace.

use crate::machine::{Delay, Pace};
use node::{BootConfig, Retention};
use std::path::PathBuf;
use stdx::prng::Prng;

/// The data directory of every simulated member.
pub const DATA_DIR: &str = "/data";

/// How often clients do what; only the proportions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the requests")]
pub struct Mix {
    pub puts: u64,
    pub deletes: u64,
    pub txns: u64,
    pub compactions: u64,
    pub reads: u64,
    pub hashes: u64,
}

/// The clients and what they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many clients there are, each with one request at a time.
    pub clients: usize,
    /// How long a client thinks between an answer and its next request.
    pub think: Delay,
    /// How many keys there are.
    pub keys: u64,
    /// How many of them are put first, many at once.
    pub filled_keys: u64,
    /// Longest value but for the large ones, in bytes.
    pub value_bytes_max: u64,
    /// One value out of so many is larger than a page.
    pub large_value_one_in: u64,
    /// What they do.
    pub mix: Mix,
}

/// What a member is started with.
#[derive(Clone, Copy, Debug)]
pub struct Flags {
    /// `--quota-backend-bytes`, negative for none.
    pub quota_bytes: i64,
    /// `--snapshot-count`.
    pub snapshot_count: u64,
    /// `--max-wals` and `--max-snapshots`.
    pub retention: Retention,
    /// When the buffer is cut.
    pub limits: backend::Limits,
    /// `--compaction-batch-limit`.
    pub compaction_batch_limit: usize,
    /// Bytes after which a log segment is cut.
    pub segment_size_bytes: u64,
}

/// The whole of it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Clients.
    pub load: Load,
    /// Member.
    pub flags: Flags,
    /// Disk and threads.
    pub pace: Pace,
}

impl Shape {
    /// Everything small, so that a few hundred requests meet segment cuts, snapshots, purges, and many commits.
    pub fn small() -> Self {
        Self {
            load: Load {
                clients: 6,
                think: Delay { min_ns: 0, max_ns: 1_500_000 },
                keys: 24,
                filled_keys: 0,
                value_bytes_max: 200,
                large_value_one_in: 25,
                mix: Mix { puts: 50, deletes: 9, txns: 22, compactions: 5, reads: 10, hashes: 4 },
            },
            flags: Flags {
                quota_bytes: -1,
                snapshot_count: 30,
                retention: Retention { wals: 2, snapshots: 2 },
                limits: backend::Limits {
                    interval_ns: 5_000_000,
                    operations: 30,
                    bytes_soft: 8 << 10,
                    bytes_hard: 48 << 10,
                },
                compaction_batch_limit: 25,
                segment_size_bytes: 8 << 10,
            },
            pace: Pace::steady(),
        }
    }

    /// A shape out of all that make sense.
    pub fn draw(rng: &mut Prng) -> Self {
        Self { load: draw_load(rng), flags: draw_flags(rng), pace: draw_pace(rng) }
    }

    /// Whether a member may raise its alarm for want of space.
    pub fn has_quota(&self) -> bool {
        self.flags.quota_bytes >= 0
    }

    /// The configuration of start number `life`.
    pub fn config(&self, life: u64) -> BootConfig {
        BootConfig {
            data_dir: PathBuf::from(DATA_DIR),
            wal_dir: None,
            name: "default".into(),
            initial_cluster: vec![("default".into(), vec!["http://localhost:2380".into()])],
            token: "etcd-cluster".into(),
            joins_existing: false,
            client_urls: vec!["http://localhost:2379".into()],
            hold: None,
            quota_bytes: self.flags.quota_bytes,
            catch_up_entries: 5000,
            serves_clusters: false,
            joining: None,
            timing: node::Timing::default(),
            snapshot_count: self.flags.snapshot_count,
            retention: self.flags.retention,
            limits: self.flags.limits,
            compaction_batch_limit: self.flags.compaction_batch_limit,
            min_lease_ttl: 2,
            max_learners: 1,
            segment_size_bytes: self.flags.segment_size_bytes,
            // Starts are a minute apart, so that request identities differ.
            now_ms: FIRST_START_MS + life * 60_000,
        }
    }
}

fn draw_load(rng: &mut Prng) -> Load {
    let weight = |rng: &mut Prng, max: u64| if rng.chance(1, 6) { 0 } else { 1 + rng.below(max) };
    // More keys than the index looks at in one step of a compaction.
    let is_wide = rng.chance(1, 25);
    Load {
        clients: 1 + pick(rng, &[0, 1, 3, 7, 15]),
        think: Delay { min_ns: 0, max_ns: pick(rng, &[0, 100_000, 2_000_000, 20_000_000]) },
        keys: if is_wide { 4000 } else { pick(rng, &[1, 4, 16, 64, 300]) },
        filled_keys: if is_wide { 3000 } else { 0 },
        // Empty values make log entries of one length, so that old ones fit where new ones end.
        value_bytes_max: pick(rng, &[0, 20, 200, 200, 200]),
        large_value_one_in: pick(rng, &[3, 20, 200, 1_000_000]),
        mix: Mix {
            puts: 5 + rng.below(60),
            deletes: weight(rng, 20),
            txns: weight(rng, 40),
            compactions: weight(rng, 12),
            reads: weight(rng, 30),
            hashes: weight(rng, 8),
        },
    }
}

fn draw_flags(rng: &mut Prng) -> Flags {
    let bytes_soft = pick(rng, &[1 << 10, 8 << 10, 64 << 10, 16 << 20]);
    Flags {
        quota_bytes: if rng.chance(1, 5) { pick(rng, &[64 << 10, 128 << 10, 400 << 10]) } else { -1 },
        snapshot_count: pick(rng, &[1, 5, 20, 60, 200]),
        retention: Retention { wals: pick(rng, &[0, 1, 2, 5]), snapshots: pick(rng, &[0, 1, 2, 5]) },
        limits: backend::Limits {
            interval_ns: pick(rng, &[0, 1_000_000, 10_000_000, 100_000_000]),
            operations: pick(rng, &[1, 10, 100, 10_000]),
            bytes_soft,
            // Below the soft limit makes no sense, at it apply waits for every commit.
            bytes_hard: bytes_soft * pick(rng, &[1, 2, 8]),
        },
        compaction_batch_limit: pick(rng, &[1, 5, 50, 1000]),
        segment_size_bytes: pick(rng, &[2 << 10, 8 << 10, 32 << 10, 256 << 10]),
    }
}

fn draw_pace(rng: &mut Prng) -> Pace {
    // Each of the two disks is fast, ordinary or slow by itself: the backend far behind the log, or the reverse.
    let sync = |rng: &mut Prng| {
        let max_ns: u64 = pick(rng, &[1_000, 200_000, 3_000_000, 40_000_000]);
        Delay { min_ns: max_ns / 10, max_ns }
    };
    let lag = |rng: &mut Prng| Delay { min_ns: 0, max_ns: pick(rng, &[0, 50_000, 5_000_000]) };
    Pace {
        log_sync: sync(rng),
        backend_sync: sync(rng),
        news: lag(rng),
        wake: lag(rng),
        pause: Delay { min_ns: 0, max_ns: pick(rng, &[0, 1_000_000, 10_000_000]) },
        stall_one_in: pick(rng, &[5, 100, 100_000]),
    }
}

fn pick<T: Copy>(rng: &mut Prng, choices: &[T]) -> T {
    choices[rng.below(choices.len() as u64) as usize]
}

const FIRST_START_MS: u64 = 1_700_000_000_000;
