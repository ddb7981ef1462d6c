//! What a call can fail with, and the words that etcd's own client finds for it.

use tonic::{Code, Status};

/// `Result` of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The time given to the call has passed; whether a write took effect is not known.
    #[error("context deadline exceeded")]
    DeadlineExceeded,
    /// The configuration names no endpoint.
    #[error("etcdclient: no available endpoints")]
    NoEndpoints,
    /// The endpoint is not an address.
    #[error("etcdclient: bad endpoint {0:?}")]
    BadEndpoint(String),
    /// The endpoint wants a transport that does not exist here yet.
    #[error("endpoint {0:?}: TLS is not implemented yet")]
    TlsNotImplemented(String),
    /// The server, or the transport to it, answered with an error.
    #[error("{}", status_text(*.code, .message))]
    Status {
        /// Code of the status.
        code: Code,
        /// Its words.
        message: String,
    },
}

impl Error {
    /// Whether the server answered with exactly this text.
    pub fn is_message(&self, text: &str) -> bool {
        matches!(self, Self::Status { message, .. } if message == text)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        match received_too_large(&message) {
            Some(message) => Self::Status { code: Code::ResourceExhausted, message },
            None => Self::Status { code: status.code(), message },
        }
    }
}

/// The name of `code` as gRPC's Go library prints it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

/// etcd's own errors are known by their words and shown bare; any other status names its code.
fn status_text(code: Code, message: &str) -> String {
    if message.starts_with("etcdserver: ") {
        return message.to_owned();
    }
    format!("rpc error: code = {} desc = {message}", code_name(code))
}

/// Puts the transport's complaint about a large answer into gRPC's usual words.
fn received_too_large(message: &str) -> Option<String> {
    let rest = message.strip_prefix("Error, decoded message length too large: found ")?;
    let (found, rest) = rest.split_once(" bytes, the limit is: ")?;
    let limit = rest.strip_suffix(" bytes")?;
    Some(format!("grpc: received message larger than max ({found} vs. {limit})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_etcd_are_bare_and_others_name_their_code() {
        let text = |code, message: &str| Error::from(Status::new(code, message)).to_string();
        assert_eq!(text(Code::NotFound, "etcdserver: member not found"), "etcdserver: member not found");
        assert_eq!(
            text(Code::Unimplemented, "unknown service x"),
            "rpc error: code = Unimplemented desc = unknown service x"
        );
        assert_eq!(
            text(
                Code::OutOfRange,
                "Error, decoded message length too large: found 47 bytes, the limit is: 10 bytes"
            ),
            "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (47 vs. 10)"
        );
    }
}
