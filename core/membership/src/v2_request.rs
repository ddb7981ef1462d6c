//! Requests of etcd's second API, with which releases up to 3.5 set attributes and the cluster version.

use crate::member::MemberJson;
use crate::{Error, Result, attributes_json, from_json, parse_member_id};
use proto::v2pb;
use types::{MemberId, RequestId, Version};

/// A request of the second API that is about the cluster. Logs of supported directories hold no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum V2Request {
    /// What a member tells about itself.
    MemberAttributes {
        /// The member.
        id: MemberId,
        /// Its name.
        name: String,
        /// Its client URLs.
        client_urls: Vec<String>,
    },
    /// The cluster version.
    ClusterVersion(Version),
}

const METHOD: &str = "PUT";
const VERSION_PATH: &str = "/0/version";
const MEMBERS_PREFIX: &str = "/0/members/";
const ATTRIBUTES_SUFFIX: &str = "/attributes";

impl V2Request {
    /// Reads method, path and value of a request.
    ///
    /// # Errors
    /// [`Error::UnknownV2Request`] for every other method and path; [`Error::BadMemberId`], [`Error::Json`],
    /// [`Error::Version`] for bad contents.
    pub fn parse(method: &str, path: &str, val: &str) -> Result<Self> {
        let unknown = || Error::UnknownV2Request { method: method.to_owned(), path: path.to_owned() };
        if method != METHOD {
            return Err(unknown());
        }
        if path == VERSION_PATH {
            return Ok(Self::ClusterVersion(val.parse()?));
        }
        let id = path.strip_prefix(MEMBERS_PREFIX).and_then(|rest| rest.strip_suffix(ATTRIBUTES_SUFFIX));
        let id = parse_member_id(id.ok_or_else(unknown)?.as_bytes())?;
        let member = from_json::<MemberJson>("attributes", val.as_bytes())?.into_member(id);
        Ok(Self::MemberAttributes { id, name: member.name, client_urls: member.client_urls })
    }

    /// The request as it is proposed while the cluster is at 3.4 or 3.5.
    pub fn to_message(&self, request: RequestId) -> v2pb::Request {
        let (path, val) = match self {
            Self::MemberAttributes { id, name, client_urls } => {
                (format!("{MEMBERS_PREFIX}{id}{ATTRIBUTES_SUFFIX}"), attributes_json(name, client_urls))
            }
            Self::ClusterVersion(version) => (VERSION_PATH.to_owned(), version.to_string()),
        };
        v2pb::Request { id: request.0, method: METHOD.to_owned(), path, val, ..v2pb::Request::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_round_trip() {
        let attributes = V2Request::MemberAttributes {
            id: MemberId(0xab),
            name: "m1".into(),
            client_urls: vec!["http://a:1".into()],
        };
        for request in [attributes, V2Request::ClusterVersion(Version::new(3, 5, 0))] {
            let message = request.to_message(RequestId(7));
            assert_eq!(message.id, 7);
            assert_eq!(V2Request::parse(&message.method, &message.path, &message.val), Ok(request));
        }
    }

    #[test]
    fn the_forms_are_those_of_go() {
        let message =
            V2Request::ClusterVersion(Version::new(3, 4, 0)).to_message(RequestId(0x014a_8479_8c55_1832));
        assert_eq!(
            (message.method.as_str(), message.path.as_str(), message.val.as_str()),
            ("PUT", "/0/version", "3.4.0")
        );
        let request =
            V2Request::MemberAttributes { id: MemberId(0xab), name: "m1".into(), client_urls: vec![] };
        let message = request.to_message(RequestId(1));
        assert_eq!(
            (message.path.as_str(), message.val.as_str()),
            ("/0/members/ab/attributes", r#"{"name":"m1"}"#)
        );
    }

    #[test]
    fn everything_else_is_an_error() {
        for (method, path, val) in [
            ("DELETE", "/0/version", "3.5.0"),
            ("PUT", "/0/version", "3.5"),
            ("PUT", "/0/version/", "3.5.0"),
            ("PUT", "/1/key", "v"),
            ("PUT", "/0/members//attributes", "{}"),
            ("PUT", "/0/members/attributes", "{}"),
            ("PUT", "/0/members/xyz/attributes", "{}"),
            ("PUT", "/0/members/1/raftAttributes", "{}"),
            ("PUT", "/0/members/1/attributes", ""),
            ("SYNC", "", ""),
        ] {
            assert!(V2Request::parse(method, path, val).is_err(), "{method} {path} {val}");
        }
    }
}
