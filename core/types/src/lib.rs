//! Identities and counters as types of their own, revisions, versions, and the dialect of a cluster.
//!
//! Layer: above `stdx` only. Holds no behaviour but parsing, printing and ordering.

mod dialect;
mod ids;
mod revision;
mod version;

pub use dialect::Dialect;
pub use ids::{ClusterId, LeaseId, LogIndex, MemberId, RequestId, RequestIds, Term};
pub use revision::{REVISION_KEY_LEN, Revision, TOMBSTONE_KEY_LEN};
pub use version::{ParseVersionError, Version};

/// The release of etcd whose behaviour this is, and what peers and clients are told.
pub const ETCD_VERSION: Version = Version::new(3, 7, 1);
/// The release of this program itself.
pub const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");
