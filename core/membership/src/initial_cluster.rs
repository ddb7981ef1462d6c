//! The members that a new cluster begins with: the setting `--initial-cluster`.

use crate::{Error, Member, Result, UrlError, member_id, parse_url};
use std::collections::BTreeMap;
use std::fmt;
use types::MemberId;

/// Names with their peer URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitialCluster {
    /// Sorted, for each name, as etcd sorts them.
    peer_urls: BTreeMap<String, Vec<String>>,
}

impl InitialCluster {
    /// Reads `name=url,name=url,…`; a name that comes more than once has several URLs. Empty parts are skipped.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn parse(text: &str) -> Result<Self> {
        let mut peer_urls = BTreeMap::<String, Vec<String>>::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, url) = part.split_once('=').unwrap_or((part, ""));
            peer_urls.entry(name.to_owned()).or_default().push(parse_url(url)?);
        }
        peer_urls.values_mut().for_each(|urls| urls.sort_unstable());
        Ok(Self { peer_urls })
    }

    /// The names with their URLs, both sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[String])> {
        self.peer_urls.iter().map(|(name, urls)| (name.as_str(), urls.as_slice()))
    }

    /// The URLs of `name`, sorted; `None` if it is not a member.
    pub fn peer_urls(&self, name: &str) -> Option<&[String]> {
        self.peer_urls.get(name).map(Vec::as_slice)
    }

    /// The members of the new cluster, in the order of their identities: that of the bootstrap entries.
    ///
    /// # Errors
    /// [`Error::Url`] without any member, [`Error::DuplicateMember`], [`Error::BadMemberId`] for an identity of 0.
    pub fn members(&self, token: &str) -> Result<Vec<Member>> {
        if self.peer_urls.is_empty() {
            return Err(UrlError::None.into());
        }
        let mut members = BTreeMap::new();
        for (name, peer_urls) in &self.peer_urls {
            let id = member_id(peer_urls, token, None);
            if id == MemberId(0) {
                return Err(Error::BadMemberId(id.to_string()));
            }
            let (name, peer_urls) = (name.clone(), peer_urls.clone());
            if members.insert(id, Member { id, name, peer_urls, ..Member::default() }).is_some() {
                return Err(Error::DuplicateMember(id));
            }
        }
        Ok(members.into_values().collect())
    }
}

impl fmt::Display for InitialCluster {
    /// Writes the form that [`InitialCluster::parse`] reads, sorted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = self.peer_urls.iter().flat_map(|(name, urls)| urls.iter().map(move |url| (name, url)));
        let mut pairs: Vec<String> = urls.map(|(name, url)| format!("{name}={url}")).collect();
        pairs.sort_unstable();
        f.write_str(&pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_several_urls() {
        let cluster = InitialCluster::parse("n1=http://b:1,n2=http://c:1,,n1=http://a:1").unwrap();
        assert_eq!(cluster.peer_urls("n1").unwrap(), ["http://a:1", "http://b:1"]);
        assert_eq!(cluster.peer_urls("n3"), None);
        assert_eq!(cluster.to_string(), "n1=http://a:1,n1=http://b:1,n2=http://c:1");
        assert_eq!(InitialCluster::parse(&cluster.to_string()).as_ref(), Ok(&cluster));
    }

    #[test]
    fn bad_parts_are_errors() {
        for bad in ["n1", "n1=", "=x", "n1=http://a", "n1=http://a:1,n2"] {
            assert!(InitialCluster::parse(bad).is_err(), "{bad}");
        }
        assert!(InitialCluster::parse("").unwrap().members("t").is_err());
    }

    #[test]
    fn members_come_in_the_order_of_their_ids() {
        let text = "a=http://127.0.0.1:24001,b=http://127.0.0.1:24002,c=http://127.0.0.1:24003";
        let members = InitialCluster::parse(text).unwrap().members("tok1").unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "a"]);
        assert_eq!(members[0].id.to_string(), "8805c588d8778134");
    }

    #[test]
    fn two_names_with_the_same_urls_are_refused() {
        let cluster = InitialCluster::parse("a=http://a:1,b=http://a:1").unwrap();
        assert!(matches!(cluster.members("t"), Err(Error::DuplicateMember(_))));
    }
}
