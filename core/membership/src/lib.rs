//! Who is in the cluster, and at which version it is: replicated state, changed by log entries alone.
//!
//! Layer: above `backend`, of which it uses the bucket names. Knows the forms that etcd keeps this state in: members and
//! downgrade as JSON in the backend, configuration changes in the log, the store of the second API in snapshots and in
//! entries of releases up to 3.5. What it writes, Go etcd reads, so the JSON is Go's to the byte. It never decides when
//! to change anything, and never draws a clock: identities get their time from the caller.
//!
//! Source: `docs/formats/backend.md 1` and `10`, `docs/formats/raft-entries.md 2 to 4`, `docs/formats/snap.md 4`.

mod change;
mod cluster;
mod conf_state;
mod ids;
mod initial_cluster;
mod member;
mod strict;
mod url;
mod v2_request;
mod v2_snapshot;

pub use change::{Change, Rejection};
pub use cluster::{Cluster, Downgrade, Write};
pub use conf_state::{conf_state_from_json, conf_state_to_json};
pub use ids::{cluster_id, member_id, parse_member_id};
pub use initial_cluster::InitialCluster;
pub use member::{Member, attributes_json};
pub use strict::{Connections, StrictRefusal};
pub use url::{UrlError, parse_url};
pub use v2_request::V2Request;
pub use v2_snapshot::{V2Membership, v2_snapshot};

use types::MemberId;

/// Bytes or settings that say nothing usable about a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A JSON text is not what its place demands.
    #[error("malformed {what}: {reason}")]
    Json {
        /// What it should be.
        what: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// Up to 16 hexadecimal digits were expected.
    #[error("{0:?} is not a member id")]
    BadMemberId(String),
    /// Two places that name the same member differ.
    #[error("{what} of member {expected} names member {found}")]
    MemberIdMismatch {
        /// What names the member.
        what: &'static str,
        /// The member that it belongs to.
        expected: MemberId,
        /// The member that it names.
        found: MemberId,
    },
    /// A configuration change of a kind that etcd does not know, or whose parts contradict each other.
    #[error("configuration change of type {0} is not known in this form")]
    BadChange(i32),
    /// Attributes are for a member that never was in the cluster.
    #[error("member {0} is unknown")]
    UnknownMember(MemberId),
    /// Two members of a new cluster would have one identity, that is the same peer URLs.
    #[error("member exists with identical id {0}")]
    DuplicateMember(MemberId),
    /// A version is not three numbers.
    #[error(transparent)]
    Version(#[from] types::ParseVersionError),
    /// A URL of a member is not usable.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A request of the second API that is neither attributes of a member nor a cluster version.
    #[error("{method} {path} is not a request about members or the cluster version")]
    UnknownV2Request {
        /// Its method.
        method: String,
        /// Its path.
        path: String,
    },
}

/// `Result` of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Reads the object `json` as `what`.
fn from_json<'a, T: serde::Deserialize<'a>>(what: &'static str, json: &'a [u8]) -> Result<T> {
    // Serde would also take the fields from an array, which Go does not.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Error::Json { what, reason: "not an object".to_owned() });
    }
    serde_json::from_slice(json).map_err(|error| Error::Json { what, reason: error.to_string() })
}
