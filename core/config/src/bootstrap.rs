//! The members that a new cluster starts with, from `--initial-cluster`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::{ClusterState, Config, DEFAULT_NAME};
use crate::error::Error;
use crate::flags;
use crate::go::quote;
use crate::url::{Url, join_urls};

/// Names of members and their peer URLs.
pub type Members = BTreeMap<String, Vec<Url>>;

impl Config {
    /// The text of `--initial-cluster` in force: when only a name was given, that name with the advertised peer URLs;
    /// empty when the members come from discovery.
    pub fn initial_cluster(&self) -> String {
        let settings = &self.settings;
        let discovers = !settings.text("discovery-srv").is_empty()
            || !settings.text("discovery-srv-name").is_empty()
            || !settings.list("discovery-endpoints").is_empty();
        if discovers && !settings.is_given("initial-cluster") {
            return String::new();
        }
        let given = settings.text("initial-cluster");
        let default = flags::find("initial-cluster").map_or("", |flag| flag.default);
        if self.name == DEFAULT_NAME || given != default {
            return given.to_owned();
        }
        let name = if self.name.is_empty() { DEFAULT_NAME } else { &self.name };
        let pairs = self.initial_advertise_peer_urls.iter().map(|url| format!("{name}={url}"));
        pairs.collect::<Vec<_>>().join(",")
    }

    /// The members that this one founds its cluster with, or joins. Only for a member without data: later these flags
    /// count for nothing.
    ///
    /// `addresses` maps host names to the addresses they resolve to. It is needed only where the advertised URLs and
    /// those of `--initial-cluster` name the same place in two ways; [`Config::hosts_to_resolve`] lists them.
    ///
    /// # Errors
    /// The list cannot be read, lacks this member, differs from the advertised URLs (not when joining), or names one
    /// URL twice.
    pub fn initial_members(&self, addresses: &BTreeMap<String, String>) -> Result<Members, Error> {
        let members = parse_members(&self.initial_cluster())?;
        let own = members.get(&self.name).ok_or_else(|| Error::LocalName(self.name.clone()))?;
        if self.initial_cluster_state == ClusterState::New {
            self.check_advertised(own, addresses)?;
        }
        let mut seen = BTreeSet::new();
        if members.values().flatten().any(|url| !seen.insert(url)) {
            return Err(Error::DuplicateUrl(print_members(&members)));
        }
        Ok(members)
    }

    /// The host names whose addresses [`Config::initial_members`] wants to know: none when the URLs are equal as text.
    pub fn hosts_to_resolve(&self) -> Vec<String> {
        let Ok(members) = parse_members(&self.initial_cluster()) else { return Vec::new() };
        let Some(own) = members.get(&self.name) else { return Vec::new() };
        if *own == self.initial_advertise_peer_urls {
            return Vec::new();
        }
        let urls = own.iter().chain(&self.initial_advertise_peer_urls);
        let hosts: BTreeSet<_> = urls.filter_map(Url::host_port).map(|(host, _)| host).collect();
        let is_name = |host: &&str| *host != LOCALHOST && host.parse::<IpAddr>().is_err();
        hosts.into_iter().filter(is_name).map(str::to_owned).collect()
    }

    fn check_advertised(&self, own: &[Url], addresses: &BTreeMap<String, String>) -> Result<(), Error> {
        let mut advertised = self.initial_advertise_peer_urls.clone();
        advertised.sort();
        let Err(why) = compare(&advertised, own, addresses) else { return Ok(()) };
        let missing: Vec<_> = own.iter().filter(|url| !advertised.contains(url)).collect();
        if !missing.is_empty() {
            let pairs: Vec<_> = missing.iter().map(|url| format!("{}={url}", self.name)).collect();
            return Err(Error::NotAdvertised {
                missing: pairs.join(","),
                advertised: join_urls(&advertised),
                why,
            });
        }
        let extra: Vec<_> = advertised.iter().filter(|url| !own.contains(url)).cloned().collect();
        // Etcd prints the advertised URLs here, not the cluster it was given.
        let cluster = print_members(&BTreeMap::from([(self.name.clone(), advertised.clone())]));
        if !extra.is_empty() {
            return Err(Error::NotInCluster { missing: join_urls(&extra), advertised: cluster });
        }
        Err(Error::Unresolved { advertised: join_urls(&advertised), cluster, why })
    }
}

/// Compares two sorted lists, by text and then by address; the error says where they part.
fn compare(advertised: &[Url], own: &[Url], addresses: &BTreeMap<String, String>) -> Result<(), String> {
    if advertised.len() != own.len() {
        return Err(format!("len({}) != len({})", quote_list(advertised), quote_list(own)));
    }
    if advertised == own {
        return Ok(());
    }
    let resolve = |urls: &[Url]| {
        let mut resolved: Vec<_> = urls.iter().map(|url| resolve(url, addresses)).collect();
        resolved.sort();
        resolved
    };
    let (advertised, own) = (resolve(advertised), resolve(own));
    let differs = advertised.iter().zip(&own).find(|(left, right)| left != right);
    differs.map_or(Ok(()), |(left, right)| {
        Err(format!("resolved urls: {} != {}", quote(left.as_str()), quote(right.as_str())))
    })
}

/// The URL with its host as an address in canonical form. `localhost` stays as it is, as in etcd.
fn resolve(url: &Url, addresses: &BTreeMap<String, String>) -> Url {
    let Some((host, port)) = url.host_port() else { return url.clone() };
    let host = match host.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) if host == LOCALHOST => host.to_owned(),
        Err(_) => addresses.get(host).map_or(host, String::as_str).to_owned(),
    };
    url.with_host_port(&host, port)
}

/// Reads `name=url,name=url`; a name that comes again adds URLs to the member.
fn parse_members(text: &str) -> Result<Members, Error> {
    let mut members = Members::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (name, url) = pair.split_once('=').unwrap_or((pair, ""));
        let url = Url::parse(url).map_err(Error::InitialCluster)?;
        members.entry(name.to_owned()).or_default().push(url);
    }
    for urls in members.values_mut() {
        urls.sort();
    }
    Ok(members)
}

fn print_members(members: &Members) -> String {
    let named = members.iter().flat_map(|(name, urls)| urls.iter().map(move |url| format!("{name}={url}")));
    let mut pairs: Vec<_> = named.collect();
    pairs.sort();
    pairs.join(",")
}

fn quote_list(urls: &[Url]) -> String {
    let quoted: Vec<_> = urls.iter().map(|url| quote(url.as_str())).collect();
    format!("[{}]", quoted.join(" "))
}

const LOCALHOST: &str = "localhost";
