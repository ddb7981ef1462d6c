//! Every error that a client can see: code and text. Client libraries match the texts.
//!
//! Source: `docs/formats/grpc.md 4`; docs/compat.md.

use apply::Refusal;

/// Codes of gRPC that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Cancelled by the caller.
    Cancelled = 1,
    /// Everything that etcd lets out without a code.
    Unknown = 2,
    /// The request is wrong, whatever the state.
    InvalidArgument = 3,
    /// The caller's time is up.
    DeadlineExceeded = 4,
    /// It does not exist.
    NotFound = 5,
    /// It is not allowed to this user.
    PermissionDenied = 7,
    /// Space or size is used up.
    ResourceExhausted = 8,
    /// The state does not allow it.
    FailedPrecondition = 9,
    /// A revision that is gone or not there yet.
    OutOfRange = 11,
    /// Not served.
    Unimplemented = 12,
    /// A defect of the server.
    Internal = 13,
    /// Try again later or elsewhere.
    Unavailable = 14,
    /// Members differ.
    DataLoss = 15,
    /// The token is not good.
    Unauthenticated = 16,
}

/// An error as it goes to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Its code.
    pub code: Code,
    /// Its text, whole.
    pub text: &'static str,
}

macro_rules! errors {
    ($($name:ident = $code:ident, $text:literal;)*) => {
        $(#[doc = $text] pub const $name: ApiError = ApiError { code: Code::$code, text: $text };)*
    };
}

errors! {
    EMPTY_KEY = InvalidArgument, "etcdserver: key is not provided";
    KEY_NOT_FOUND = InvalidArgument, "etcdserver: key not found";
    VALUE_PROVIDED = InvalidArgument, "etcdserver: value is provided";
    LEASE_PROVIDED = InvalidArgument, "etcdserver: lease is provided";
    TOO_MANY_OPS = InvalidArgument, "etcdserver: too many operations in txn request";
    DUPLICATE_KEY = InvalidArgument, "etcdserver: duplicate key given in txn request";
    INVALID_SORT_OPTION = InvalidArgument, "etcdserver: invalid sort option";
    REQUEST_TOO_LARGE = InvalidArgument, "etcdserver: request is too large";
    COMPACTED = OutOfRange, "etcdserver: mvcc: required revision has been compacted";
    FUTURE_REVISION = OutOfRange, "etcdserver: mvcc: required revision is a future revision";
    NO_SPACE = ResourceExhausted, "etcdserver: mvcc: database space exceeded";
    LEASE_NOT_FOUND = NotFound, "etcdserver: requested lease not found";
    LEASE_EXISTS = FailedPrecondition, "etcdserver: lease already exists";
    LEASE_TTL_TOO_LARGE = OutOfRange, "etcdserver: too large lease TTL";
    MEMBER_NOT_FOUND = NotFound, "etcdserver: member not found";
    MEMBER_EXISTS = FailedPrecondition, "etcdserver: member ID already exist";
    PEER_URLS_EXIST = FailedPrecondition, "etcdserver: Peer URLs already exists";
    NOT_A_LEARNER = FailedPrecondition, "etcdserver: can only promote a learner member";
    TOO_MANY_LEARNERS = FailedPrecondition, "etcdserver: too many learner members in cluster";
    CORRUPT = DataLoss, "etcdserver: corrupt cluster";
    NO_LEADER = Unavailable, "etcdserver: no leader";
    LEADER_CHANGED = Unavailable, "etcdserver: leader changed";
    STOPPED = Unavailable, "etcdserver: server stopped";
    TIMEOUT = Unavailable, "etcdserver: request timed out";
    UNHEALTHY = Unavailable, "etcdserver: unhealthy cluster";
    // etcd means RESOURCE_EXHAUSTED, but its server lets this one out without a code.
    TOO_MANY_REQUESTS = Unknown, "etcdserver: too many requests";
    // An unknown action ends the reference server; ours answers.
    UNKNOWN_ALARM_ACTION = InvalidArgument, "etcdserver: unknown alarm action";
    UNKNOWN_HEALTH_SERVICE = NotFound, "unknown service";
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Compacted => COMPACTED,
            Refusal::FutureRevision => FUTURE_REVISION,
            Refusal::KeyNotFound => KEY_NOT_FOUND,
            Refusal::LeaseNotFound => LEASE_NOT_FOUND,
            Refusal::LeaseExists => LEASE_EXISTS,
            Refusal::LeaseTtlTooLarge => LEASE_TTL_TOO_LARGE,
            Refusal::NoSpace => NO_SPACE,
            Refusal::Corrupt => CORRUPT,
            Refusal::UnknownAlarmAction => UNKNOWN_ALARM_ACTION,
            Refusal::MemberNotFound => MEMBER_NOT_FOUND,
            Refusal::MemberExists => MEMBER_EXISTS,
            Refusal::PeerUrlsExist => PEER_URLS_EXIST,
            Refusal::NotALearner => NOT_A_LEARNER,
            Refusal::TooManyLearners => TOO_MANY_LEARNERS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_clients_match() {
        assert_eq!(ApiError::from(Refusal::Compacted).code, Code::OutOfRange);
        assert_eq!(NO_SPACE.text, "etcdserver: mvcc: database space exceeded");
        assert_eq!(TOO_MANY_REQUESTS.code, Code::Unknown);
    }
}
