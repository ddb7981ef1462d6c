//! From a data directory to a member: new ones are made, existing ones are checked before anything is changed.
//!
//! Order for a new member: directories, backend with its buckets, log with the bootstrap entry. The log comes last and
//! whole, because its presence is what makes a directory an existing one.

use crate::apply_stage::ApplyStage;
use crate::io::{Settings, Timing};
use crate::log::{LogStage, Retention};
use crate::member::{Member, UNAPPLIED_BYTES_MAX};
use crate::restore::Scan;
use apply::{Applier, Inspection, Options as ApplyOptions, Payload, Quota};
use backend::{Bucket, Writer};
use bytes::Bytes;
use membership::Cluster;
use proto::raftpb::{Entry, HardState};
use proto::walpb;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use types::{ClusterId, LogIndex, MemberId, RequestIds, Term, Version};
use vfs::{Cx, Disk};
use wal::{Replay, Wal};

/// What a member is started with.
#[derive(Clone, Debug)]
pub struct BootConfig {
    /// `--data-dir`.
    pub data_dir: PathBuf,
    /// `--wal-dir`, if not inside the data directory.
    pub wal_dir: Option<PathBuf>,
    /// `--name`.
    pub name: String,
    /// `--initial-cluster`: names with their peer URLs. Only used by a new member.
    pub initial_cluster: Vec<(String, Vec<String>)>,
    /// `--initial-cluster-token`. Only used by a new member.
    pub token: String,
    /// `--initial-cluster-state existing`. Only used by a new member.
    pub joins_existing: bool,
    /// Whether the caller carries messages between members; else a directory with other members is refused.
    pub serves_clusters: bool,
    /// What a new member that joins has learned from the others.
    pub joining: Option<Joining>,
    /// `--advertise-client-urls`.
    pub client_urls: Vec<String>,
    /// `--hold-cluster-version`.
    pub hold: Option<Version>,
    /// `--quota-backend-bytes`.
    pub quota_bytes: i64,
    /// `--heartbeat-interval`, `--election-timeout` and `--pre-vote`.
    pub timing: Timing,
    /// `--snapshot-count`.
    pub snapshot_count: u64,
    /// Entries before a snapshot that stay in the log, so that slow members need none.
    pub catch_up_entries: u64,
    /// `--max-wals` and `--max-snapshots`.
    pub retention: Retention,
    /// When the write buffer is cut.
    pub limits: backend::Limits,
    /// `--compaction-batch-limit`.
    pub compaction_batch_limit: usize,
    /// Smallest lease time to live, in seconds.
    pub min_lease_ttl: i64,
    /// `--max-learners`.
    pub max_learners: usize,
    /// Bytes after which a log segment is cut.
    pub segment_size_bytes: u64,
    /// The wall clock in milliseconds since 1970, for request identities.
    pub now_ms: u64,
}

/// The place of a new member in a cluster that exists; its log begins empty and comes from the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joining {
    /// The cluster.
    pub cluster: ClusterId,
    /// The member, as it was added.
    pub member: MemberId,
}

/// Why a member does not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BootError {
    /// A directory or file operation.
    #[error(transparent)]
    Disk(#[from] vfs::Error),
    /// Another process uses the directory.
    #[error("data directory {0} is in use by another process")]
    InUse(PathBuf),
    /// The log is unreadable or damaged.
    #[error("log: {0}")]
    Log(#[from] wal::Error),
    /// The snapshot files.
    #[error("snapshots: {0}")]
    Snapshots(#[from] snap::Error),
    /// The backend file is unreadable or damaged.
    #[error("backend: {0}")]
    Backend(#[from] bolt::Error),
    /// The directory is sound, but this release cannot serve it; nothing was changed.
    #[error("cannot serve data directory {path}: {reason}")]
    Refused {
        /// The directory.
        path: PathBuf,
        /// Which property of it, and why.
        reason: String,
    },
    /// The parts of the directory contradict each other.
    #[error("data directory {path} is inconsistent: {reason}")]
    Inconsistent {
        /// The directory.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The configuration asks for something impossible.
    #[error("{0}")]
    Config(String),
}

/// What is worth telling about a start.
#[derive(Clone, Debug)]
pub struct BootInfo {
    /// This member.
    pub member: MemberId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Whether the directory existed.
    pub is_restart: bool,
    /// Store revision.
    pub revision: i64,
    /// Consistent index of the backend.
    pub consistent_index: LogIndex,
    /// Last committed index known.
    pub commit: LogIndex,
    /// Cluster version in the directory.
    pub cluster_version: Option<Version>,
    /// What was cut off the end of the log, if a crash had torn it.
    pub repaired: Option<String>,
}

/// A member ready to run.
pub struct Booted {
    /// The member.
    pub member: Member,
    /// The backend's writer, to be driven beside it.
    pub writer: Writer,
    /// For the log.
    pub info: BootInfo,
}

struct Paths {
    data: PathBuf,
    member: PathBuf,
    snap: PathBuf,
    db: PathBuf,
    wal: PathBuf,
}

impl Paths {
    fn new(config: &BootConfig) -> Self {
        let data = config.data_dir.clone();
        let member = data.join("member");
        let snap = member.join("snap");
        let wal = config.wal_dir.clone().unwrap_or_else(|| member.join("wal"));
        Self { db: snap.join("db"), data, member, snap, wal }
    }

    fn refused(&self, reason: impl Into<String>) -> BootError {
        BootError::Refused { path: self.data.clone(), reason: reason.into() }
    }

    fn inconsistent(&self, reason: impl Into<String>) -> BootError {
        BootError::Inconsistent { path: self.data.clone(), reason: reason.into() }
    }
}

/// The log as read before it was opened for writing.
struct LogContent {
    metadata: walpb::Metadata,
    /// What the log is opened at; all zero without a snapshot.
    snapshot: walpb::Snapshot,
    hard_state: HardState,
    /// Consecutive from the one behind the snapshot on.
    entries: Vec<Entry>,
    /// The last request of the second API among them.
    last_v2: Option<LogIndex>,
    repaired: Option<String>,
}

impl LogContent {
    fn own(&self) -> MemberId {
        MemberId(self.metadata.node_id)
    }

    /// The term of entry `index`, if it is known.
    fn term(&self, index: LogIndex) -> Option<Term> {
        if index.0 == self.snapshot.index {
            return Some(Term(self.snapshot.term));
        }
        let position = index.0.checked_sub(self.snapshot.index + 1)?;
        self.entries.get(usize::try_from(position).ok()?).map(|entry| Term(entry.term))
    }
}

/// Everything that a start has opened.
struct Opened {
    db: bolt::Db,
    scan: Scan,
    cluster: Cluster,
    log: LogContent,
    raft: raft::Raft,
    wal: Wal,
}

/// Starts a member on `disk`.
///
/// # Errors
/// [`BootError`]; with [`BootError::Refused`] and [`BootError::InUse`] nothing was changed.
pub async fn boot(cx: &Cx, disk: Arc<dyn Disk>, config: BootConfig) -> Result<Booted, BootError> {
    let paths = Paths::new(&config);
    if wal::exists(&*disk, &paths.wal)? {
        check_backend_file(&*disk, &paths)?;
        let (db, scan) = open_backend(cx, &disk, &paths).await?;
        let log = read_log(&*disk, &paths)?;
        let (db, scan) = finish_install(cx, &disk, &paths, &log, (db, scan)).await?;
        restart(cx, disk, &config, &paths, (db, scan, log)).await
    } else {
        create(cx, disk, &config, &paths).await
    }
}

/// The lock of the backend file is held from the first look on: two programs cannot both make a member here.
async fn create(
    cx: &Cx,
    disk: Arc<dyn Disk>,
    config: &BootConfig,
    paths: &Paths,
) -> Result<Booted, BootError> {
    let identity = Identity::of_new_member(config)?;
    let mut made = missing_dirs(&*disk, &paths.snap)?;
    disk.create_dir_all(&paths.snap, DIR_MODE)?;
    let (mut db, mut scan) = open_backend(cx, &disk, paths).await?;
    // A crash between backend and log leaves an empty file behind; anything else has lost its log.
    if scan.consistent() > LogIndex(0) || scan.last_revision > 0 {
        return Err(paths.refused(format!("it has data but no log in {}", paths.wal.display())));
    }
    db.commit(cx, initial_buckets()).await?;
    scan.visit(Bucket::Auth.name().as_bytes(), backend::AUTH_REVISION, &FIRST_AUTH_REVISION);
    let wal_parent = parent(&paths.wal);
    made.extend(missing_dirs(&*disk, wal_parent)?);
    disk.create_dir_all(wal_parent, DIR_MODE)?;
    // Each directory made is durable in its parent, also what an earlier start may have made and not synced.
    let likely = [paths.snap.as_path(), &paths.member, &paths.data, wal_parent].map(Path::to_path_buf);
    let parents: BTreeSet<PathBuf> =
        made.iter().chain(&likely).map(|dir| parent(dir).to_path_buf()).chain([paths.snap.clone()]).collect();
    for dir in &parents {
        sync_dir_if_allowed(cx, dir).await?;
    }
    let options = wal::Options { segment_size_bytes: config.segment_size_bytes };
    let metadata = walpb::Metadata { node_id: identity.member.0, cluster_id: identity.cluster.0 };
    let (hard_state, entries) = identity.bootstrap();
    drop(Wal::create_with(cx, &disk, &paths.wal, metadata, Some(&hard_state), &entries, options).await?);
    let log = read_log(&*disk, paths)?;
    let mut booted = restart(cx, disk, config, paths, (db, scan, log)).await?;
    booted.info.is_restart = false;
    Ok(booted)
}

/// `dir` and those above it that do not exist.
fn missing_dirs(disk: &dyn Disk, dir: &Path) -> vfs::Result<Vec<PathBuf>> {
    let mut missing = Vec::new();
    for ancestor in dir.ancestors().take_while(|ancestor| !ancestor.as_os_str().is_empty()) {
        if disk.exists(ancestor)? {
            break;
        }
        missing.push(ancestor.to_path_buf());
    }
    Ok(missing)
}

/// Syncs a directory that may belong to somebody else, who may not let it be read.
async fn sync_dir_if_allowed(cx: &Cx, dir: &Path) -> vfs::Result<()> {
    match cx.sync_dir(dir).await {
        Err(error) if error.kind == vfs::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A log without its backend cannot be served. Opening the file would make a new one in its place.
fn check_backend_file(disk: &dyn Disk, paths: &Paths) -> Result<(), BootError> {
    let shown = paths.db.display();
    if !disk.exists(&paths.db)? {
        return Err(paths.inconsistent(format!("database file ({shown}) of the backend is missing")));
    }
    if disk.open(&paths.db, vfs::OpenMode::Read)?.len()? == 0 {
        return Err(paths.inconsistent(format!("database file ({shown}) of the backend is empty")));
    }
    Ok(())
}

async fn restart(
    cx: &Cx,
    disk: Arc<dyn Disk>,
    config: &BootConfig,
    paths: &Paths,
    opened: (bolt::Db, Scan, LogContent),
) -> Result<Booted, BootError> {
    // Up to the checks everything is only read.
    let (mut db, scan, mut log) = opened;
    let cluster = load_cluster(paths, &scan)?;
    check(config, paths, &db, &scan, &cluster, &log)?;
    let raft = restore_raft(config, paths, &scan, &cluster, &mut log)?;

    // From here on the backend counts as durable at its index: a snapshot may be recorded there (contract C2).
    db.settle(cx).await?;
    snap::remove_temporaries(&*disk, &paths.snap)?;
    snap::remove_databases_below(&*disk, &paths.snap, LogIndex(scan.consistent().0 + 1))?;
    let options = wal::Options { segment_size_bytes: config.segment_size_bytes };
    let (wal, replay) = Wal::open(cx, &disk, &paths.wal, &log.snapshot, options).await?;
    log.repaired =
        replay.torn.map(|torn| format!("{} at offset {}: {}", torn.path.display(), torn.offset, torn.reason));
    assemble(disk, config, paths, Opened { db, scan, cluster, log, raft, wal })
}

async fn open_backend(cx: &Cx, disk: &Arc<dyn Disk>, paths: &Paths) -> Result<(bolt::Db, Scan), BootError> {
    let mut scan = Scan::default();
    let mut visit = |bucket: &[u8], key: &[u8], value: &[u8]| scan.visit(bucket, key, value);
    let opened = bolt::Db::open(cx, disk, &paths.db, bolt::Options::default(), &mut visit).await;
    let db = opened.map_err(|error| match error {
        bolt::Error::Disk(error) if error.kind == vfs::ErrorKind::Locked => {
            BootError::InUse(paths.data.clone())
        }
        error => BootError::Backend(error),
    })?;
    scan.attach_leases();
    match scan.bad.take() {
        Some(reason) => Err(paths.inconsistent(reason)),
        None => Ok((db, scan)),
    }
}

/// Puts the database of a snapshot from the leader in place, if the log was begun anew at one and the backend is older.
/// That is how a snapshot is installed, and where an interrupted installation goes on.
async fn finish_install(
    cx: &Cx,
    disk: &Arc<dyn Disk>,
    paths: &Paths,
    log: &LogContent,
    opened: (bolt::Db, Scan),
) -> Result<(bolt::Db, Scan), BootError> {
    let (db, scan) = opened;
    let received = paths.snap.join(snap::database_name(LogIndex(log.snapshot.index)));
    if scan.consistent().0 >= log.snapshot.index || !disk.exists(&received)? {
        return Ok((db, scan));
    }
    drop(db);
    cx.rename(&received, &paths.db).await?;
    cx.sync_dir(&paths.snap).await?;
    open_backend(cx, disk, paths).await
}

fn read_log(disk: &dyn Disk, paths: &Paths) -> Result<LogContent, BootError> {
    let snapshots = wal::valid_snapshots(disk, &paths.wal)?;
    let snapshot = snapshots.into_iter().max_by_key(|snapshot| snapshot.index).unwrap_or_default();
    let Replay { node, mut hard_state, entries, .. } = wal::read_only(disk, &paths.wal, &snapshot)?;
    // A sole voter of etcd up to 3.5 writes the first entry of its term before the state with that term, and may die
    // between the two. Nobody was told of a vote that is not in the log.
    let last_term = entries.last().map_or(0, |entry| entry.term);
    if last_term > hard_state.term {
        hard_state = HardState { term: last_term, vote: 0, ..hard_state };
    }
    Ok(LogContent { metadata: node, snapshot, hard_state, entries, last_v2: None, repaired: None })
}

/// All ten buckets, and the revision that an auth store starts with.
fn initial_buckets() -> bolt::Batch {
    let mut batch = bolt::Batch::default();
    for bucket in Bucket::ALL {
        batch.ensure_bucket(bucket.name().as_bytes());
    }
    let revision = Bytes::from_static(&FIRST_AUTH_REVISION);
    batch.put(Bucket::Auth.name().as_bytes(), Bytes::from_static(backend::AUTH_REVISION), revision);
    batch
}

/// Who a new member is, and what its log begins with.
struct Identity {
    member: MemberId,
    cluster: ClusterId,
    /// The members that begin the cluster together, ascending by id; none if it exists already.
    founders: Vec<membership::Member>,
}

impl Identity {
    fn of_new_member(config: &BootConfig) -> Result<Self, BootError> {
        if let Some(Joining { cluster, member }) = config.joining {
            return Ok(Self { member, cluster, founders: Vec::new() });
        }
        if config.joins_existing {
            let text =
                "joining an existing cluster is not supported yet; start with --initial-cluster-state new";
            return Err(BootError::Config(text.into()));
        }
        let count = config.initial_cluster.len();
        if count != 1 && !config.serves_clusters {
            let text = format!("--initial-cluster names {count} members; only one is supported yet");
            return Err(BootError::Config(text));
        }
        let mut founders: Vec<membership::Member> = config
            .initial_cluster
            .iter()
            .map(|(name, peer_urls)| membership::Member {
                id: membership::member_id(peer_urls, &config.token, None),
                peer_urls: peer_urls.clone(),
                is_learner: false,
                name: name.clone(),
                client_urls: Vec::new(),
            })
            .collect();
        founders.sort_by_key(|member| member.id);
        let Some(own) = founders.iter().find(|member| member.name == config.name) else {
            let text =
                format!("couldn't find local name {:?} in the initial cluster configuration", config.name);
            return Err(BootError::Config(text));
        };
        let ids: Vec<MemberId> = founders.iter().map(|member| member.id).collect();
        Ok(Self { member: own.id, cluster: membership::cluster_id(&ids), founders })
    }

    /// Hard state and entries that make a new member know its cluster.
    fn bootstrap(&self) -> (HardState, Vec<Entry>) {
        if self.founders.is_empty() {
            return Default::default();
        }
        let peer =
            |member: &membership::Member| raft::Peer { id: member.id, context: member.to_json().into() };
        raft::bootstrap(&self.founders.iter().map(peer).collect::<Vec<_>>())
    }
}

fn load_cluster(paths: &Paths, scan: &Scan) -> Result<Cluster, BootError> {
    let members = scan.members.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
    let removed = scan.removed.iter().map(AsRef::as_ref);
    let cluster = scan.cluster.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
    Cluster::load(members, removed, cluster).map_err(|error| paths.inconsistent(error.to_string()))
}

/// Everything that makes a directory one that this release must not serve.
fn check(
    config: &BootConfig,
    paths: &Paths,
    db: &bolt::Db,
    scan: &Scan,
    cluster: &Cluster,
    log: &LogContent,
) -> Result<(), BootError> {
    let root = db.root();
    if let Some(missing) =
        Bucket::ALL.into_iter().find(|bucket| root.bucket(bucket.name().as_bytes()).is_none())
    {
        return Err(paths.inconsistent(format!("the backend has no bucket {}", missing.name())));
    }
    let level = types::ETCD_VERSION.level();
    let storage = match scan.version(&scan.meta, backend::META_STORAGE_VERSION) {
        Some(Err(reason)) => return Err(paths.inconsistent(format!("storage version: {reason}"))),
        Some(Ok(version)) => Some(version),
        None => None,
    };
    for (what, version) in [("storage", storage), ("cluster", cluster.version())] {
        if let Some(version) = version.filter(|version| version.level() > level) {
            return Err(paths.refused(format!("its {what} version {version} is above {level}")));
        }
    }
    if let (Some(hold), Some(version)) = (config.hold, cluster.version())
        && version > hold
    {
        let reason = format!("its cluster version is {version} already and cannot be held at {hold}");
        return Err(paths.refused(reason));
    }
    if scan.auth_is_enabled() {
        return Err(paths.refused("authentication is enabled, which is not supported yet"));
    }
    if cluster.downgrade_is_enabled() {
        return Err(paths.refused("a downgrade is under way, which is not supported yet"));
    }
    check_members(config, paths, cluster, log)?;
    check_log(paths, scan, log)?;
    check_entries(config, paths, scan, cluster, log)
}

fn check_members(
    config: &BootConfig,
    paths: &Paths,
    cluster: &Cluster,
    log: &LogContent,
) -> Result<(), BootError> {
    let own = log.own();
    if cluster.is_removed(own) {
        return Err(paths.refused(format!("member {own} was removed from its cluster for good")));
    }
    if config.serves_clusters {
        return Ok(());
    }
    let voters = cluster.members().filter(|member| !member.is_learner).count();
    let learners = cluster.members().filter(|member| member.is_learner).count();
    if voters > 1 || learners > 0 {
        let reason =
            format!("it has {voters} voters and {learners} learners; only one voter is supported yet");
        return Err(paths.refused(reason));
    }
    let replays_bootstrap = log.entries.first().is_some_and(|entry| entry.index == 1);
    if cluster.member(own).is_none() && !(voters == 0 && replays_bootstrap) {
        return Err(paths.refused(format!("member {own} of the log is not a member in the backend")));
    }
    Ok(())
}

fn check_log(paths: &Paths, scan: &Scan, log: &LogContent) -> Result<(), BootError> {
    let consistent = scan.consistent().0;
    let snapshot = log.snapshot.index;
    let last = log.entries.last().map_or(snapshot, |entry| entry.index);
    if consistent < snapshot {
        let reason = format!("the backend is at entry {consistent}, before the log's snapshot at {snapshot}");
        return Err(paths.inconsistent(reason));
    }
    if consistent > last {
        let reason = format!("the backend is at entry {consistent}, behind the end of the log at {last}");
        return Err(paths.inconsistent(reason));
    }
    Ok(())
}

/// Every entry that would be applied is one that this release can apply.
fn check_entries(
    config: &BootConfig,
    paths: &Paths,
    scan: &Scan,
    cluster: &Cluster,
    log: &LogContent,
) -> Result<(), BootError> {
    let level = types::ETCD_VERSION.level();
    let mut inspection = Inspection {
        own: log.own(),
        cluster: cluster.clone(),
        version_max: config.hold.map_or((level, "our own level"), |hold| (hold, "the held version")),
        max_learners: config.max_learners,
        serves_clusters: config.serves_clusters,
    };
    let consistent = scan.consistent().0;
    for entry in log.entries.iter().filter(|entry| entry.index > consistent) {
        let inspected = apply::decode_payload(entry).and_then(|payload| inspection.take(&payload));
        if let Err(reason) = inspected {
            return Err(paths.refused(format!("log entry {} is {reason}", entry.index)));
        }
    }
    Ok(())
}

/// Consensus as of the log and what the backend has applied of it.
fn restore_raft(
    config: &BootConfig,
    paths: &Paths,
    scan: &Scan,
    cluster: &Cluster,
    log: &mut LogContent,
) -> Result<raft::Raft, BootError> {
    let own = log.own();
    let is_v2 = |entry: &Entry| matches!(apply::decode_payload(entry), Ok(Payload::V2(_)));
    log.last_v2 = log.entries.iter().rfind(|entry| is_v2(entry)).map(|entry| LogIndex(entry.index));
    let applied = scan.consistent();
    log.hard_state.commit = log.hard_state.commit.max(applied.0);
    let restored = raft::Restored {
        hard_state: log.hard_state,
        conf_state: cluster.conf_state(),
        snapshot: (Term(log.snapshot.term), LogIndex(log.snapshot.index)),
        entries: log.entries.clone(),
        applied,
    };
    let raft_config = raft::Config {
        election_ticks: config.timing.election_ticks,
        has_pre_vote: config.timing.has_pre_vote,
        uncommitted_bytes_max: UNAPPLIED_BYTES_MAX,
        // Members that start together must not all stand for election together.
        seed: own.0 ^ config.now_ms.rotate_left(32),
        ..raft::Config::new(own)
    };
    raft::Raft::new(raft_config, restored).map_err(|error| paths.inconsistent(error.to_string()))
}

fn assemble(
    disk: Arc<dyn Disk>,
    config: &BootConfig,
    paths: &Paths,
    opened: Opened,
) -> Result<Booted, BootError> {
    let Opened { db, scan, cluster, log, raft, wal } = opened;
    let own = log.own();
    let index = scan.consistent();
    let Some(term) = log.term(index) else {
        return Err(paths.inconsistent(format!("entry {index} of the backend is not in the log")));
    };
    let scheduled = scan.compaction(backend::META_SCHEDULED_COMPACT);
    let finished = scan.compaction(backend::META_FINISHED_COMPACT);
    let compacted = scheduled.max(finished).unwrap_or(-1);
    let revision = scan.last_revision.max(compacted).max(1);
    let storage_version = scan.version(&scan.meta, backend::META_STORAGE_VERSION).and_then(Result::ok);
    let cluster_version = cluster.version();
    let store = mvcc::Store::new(scan.index.finish(), revision, compacted);
    let restored = apply::Restored {
        store,
        leases: scan.leases,
        alarms: scan.alarms,
        cluster,
        storage_version,
        applied: (index, term),
        last_v2: log.last_v2,
        file: backend::FileState::of(&db),
    };
    let options = ApplyOptions {
        own,
        quota: Quota::from_flag(config.quota_bytes),
        min_lease_ttl: config.min_lease_ttl,
        max_learners: config.max_learners,
    };
    let settings = Settings {
        own,
        name: config.name.clone(),
        client_urls: config.client_urls.clone(),
        hold: config.hold,
        timing: config.timing,
        snapshot_count: config.snapshot_count,
        catch_up_entries: config.catch_up_entries,
        limits: config.limits,
        compaction_batch_limit: config.compaction_batch_limit,
    };
    let last_snapshot = LogIndex(log.snapshot.index);
    let mut stage = ApplyStage::new(Applier::new(options, restored), settings.clone(), last_snapshot);
    if scheduled > finished {
        // Interrupted: its index part is redone as well, which changes nothing that is done already.
        stage.start_compaction(compacted);
    }
    let log_stage = LogStage::new(disk, (paths.wal.clone(), paths.snap.clone()), config.retention, wal);
    let info = BootInfo {
        member: own,
        cluster: ClusterId(log.metadata.cluster_id),
        is_restart: true,
        revision,
        consistent_index: index,
        commit: LogIndex(log.hard_state.commit),
        cluster_version,
        repaired: log.repaired,
    };
    let ids = RequestIds::new(own, config.now_ms);
    Ok(Booted { member: Member::new(settings, ids, raft, log_stage, stage), writer: Writer::new(db), info })
}

/// What an auth store starts with.
const FIRST_AUTH_REVISION: [u8; 8] = 1u64.to_be_bytes();
const DIR_MODE: u32 = 0o700;
