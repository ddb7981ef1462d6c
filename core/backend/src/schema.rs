//! The names of etcd's buckets and of the single keys in them. Source: `docs/formats/backend.md 1`.

/// A top-level bucket of the backend file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Active alarms.
    Alarm,
    /// Switch and revision of auth.
    Auth,
    /// Roles.
    AuthRoles,
    /// Users.
    AuthUsers,
    /// Cluster version and downgrade.
    Cluster,
    /// Every revision of every key.
    Key,
    /// Leases.
    Lease,
    /// Members.
    Members,
    /// Identities that may never come back.
    MembersRemoved,
    /// Consistent index, term, configuration, compaction.
    Meta,
}

impl Bucket {
    /// All buckets, in the order of their names.
    pub const ALL: [Self; 10] = [
        Self::Alarm,
        Self::Auth,
        Self::AuthRoles,
        Self::AuthUsers,
        Self::Cluster,
        Self::Key,
        Self::Lease,
        Self::Members,
        Self::MembersRemoved,
        Self::Meta,
    ];

    /// The name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Auth => "auth",
            Self::AuthRoles => "authRoles",
            Self::AuthUsers => "authUsers",
            Self::Cluster => "cluster",
            Self::Key => "key",
            Self::Lease => "lease",
            Self::Members => "members",
            Self::MembersRemoved => "members_removed",
            Self::Meta => "meta",
        }
    }

    /// The bucket of that name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|bucket| bucket.name().as_bytes() == name)
    }
}

/// In [`Bucket::Meta`]: index of the last applied entry, 8 bytes big endian.
pub const META_CONSISTENT_INDEX: &[u8] = b"consistent_index";
/// In [`Bucket::Meta`]: term of that entry, 8 bytes big endian (from 3.5).
pub const META_TERM: &[u8] = b"term";
/// In [`Bucket::Meta`]: voters and learners as JSON (from 3.5).
pub const META_CONF_STATE: &[u8] = b"confState";
/// In [`Bucket::Meta`]: `X.Y.0` (from 3.6).
pub const META_STORAGE_VERSION: &[u8] = b"storageVersion";
/// In [`Bucket::Meta`]: the compaction that was asked for, a revision key.
pub const META_SCHEDULED_COMPACT: &[u8] = b"scheduledCompactRev";
/// In [`Bucket::Meta`]: the compaction that is done, a revision key.
pub const META_FINISHED_COMPACT: &[u8] = b"finishedCompactRev";
/// In [`Bucket::Cluster`]: `X.Y.0`.
pub const CLUSTER_VERSION: &[u8] = b"clusterVersion";
/// In [`Bucket::Cluster`]: a downgrade under way, as JSON (from 3.5).
pub const CLUSTER_DOWNGRADE: &[u8] = b"downgrade";
/// In [`Bucket::Auth`]: one byte, 1 when auth is on.
pub const AUTH_ENABLED: &[u8] = b"authEnabled";
/// In [`Bucket::Auth`]: 8 bytes big endian.
pub const AUTH_REVISION: &[u8] = b"authRevision";
