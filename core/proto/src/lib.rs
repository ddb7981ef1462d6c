//! The messages of etcd: client API, log entries, log records. Generated, and what every user of them needs.
//!
//! Layer: below everything but `stdx` and `types`. Never hand-edit `src/generated/`: `cargo xtask codegen` writes it from
//! `proto/`, and CI fails when it is stale. Byte fields are [`bytes::Bytes`], so decoding from `Bytes` shares the
//! received frame: copy what must outlive the request.

/// Keys and values (`mvccpb`).
#[allow(missing_docs, clippy::all)]
pub mod mvccpb {
    include!("generated/mvccpb.rs");
}
/// Users and roles (`authpb`).
#[allow(missing_docs, clippy::all)]
pub mod authpb {
    include!("generated/authpb.rs");
}
/// Client API and log entry payloads (`etcdserverpb`).
#[allow(missing_docs, clippy::all)]
pub mod etcdserverpb {
    include!("generated/etcdserverpb.rs");
}
/// Membership changes inside log entries (`membershippb`).
#[allow(missing_docs, clippy::all)]
pub mod membershippb {
    include!("generated/membershippb.rs");
}
/// Lock service (`v3lockpb`).
#[allow(missing_docs, clippy::all)]
pub mod v3lockpb {
    include!("generated/v3lockpb.rs");
}
/// Election service (`v3electionpb`).
#[allow(missing_docs, clippy::all)]
pub mod v3electionpb {
    include!("generated/v3electionpb.rs");
}
/// Leases as stored and as asked between members (`leasepb`).
#[allow(missing_docs, clippy::all)]
pub mod leasepb {
    include!("generated/leasepb.rs");
}
/// The gRPC health service (`grpc.health.v1`).
#[allow(missing_docs, clippy::all)]
pub mod healthpb {
    include!("generated/grpc.health.v1.rs");
}
/// Consensus messages and entries (`raftpb`); scalars are always written, absent ones read as zero.
#[allow(missing_docs, clippy::all)]
pub mod raftpb {
    include!("generated/raftpb.rs");
}
/// Records of log segments and .snap files.
#[allow(missing_docs, clippy::all)]
pub mod walpb {
    include!("generated/walpb.rs");
}
/// Requests of the second API, found in logs of releases up to 3.5.
#[allow(missing_docs, clippy::all)]
pub mod v2pb {
    include!("generated/v2pb.rs");
}
