//! Which forms a cluster understands (contract C10).

use crate::Version;

/// The forms of entries, files and answers that fit a cluster version. The only place that decides between them.
///
/// Every form of every version is read always; this says what is *written*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    cluster_version: Option<Version>,
}

impl Dialect {
    /// The dialect of `cluster_version`; `None` while it is not decided, which writes as our own level does.
    pub const fn new(cluster_version: Option<Version>) -> Self {
        Self { cluster_version }
    }

    fn at_least(self, minor: u32) -> bool {
        self.cluster_version.is_none_or(|version| version >= Version::new(3, minor, 0))
    }

    /// Member attributes and the cluster version travel as requests of the second API (up to 3.5), not as
    /// `InternalRaftRequest` fields 1300 to 1302.
    pub fn proposes_v2_requests(self) -> bool {
        !self.at_least(6)
    }

    /// The backend carries `storageVersion` (from 3.6).
    pub fn writes_storage_version(self) -> bool {
        self.at_least(6)
    }

    /// The backend carries `term` and `confState` (from 3.5).
    pub fn writes_term_and_conf_state(self) -> bool {
        self.at_least(5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_by_version() {
        let at = |minor| Dialect::new(Some(Version::new(3, minor, 0)));
        assert!(at(4).proposes_v2_requests() && !at(4).writes_term_and_conf_state());
        assert!(
            at(5).proposes_v2_requests()
                && at(5).writes_term_and_conf_state()
                && !at(5).writes_storage_version()
        );
        assert!(!at(6).proposes_v2_requests() && at(6).writes_storage_version());
        assert!(!Dialect::new(None).proposes_v2_requests());
    }
}
