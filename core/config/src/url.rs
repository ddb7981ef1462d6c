//! The URLs that members and clients are reached under, and lists of them.

use std::fmt;
use std::net::IpAddr;

use crate::go::quote;

/// How a URL is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS over TCP.
    Https,
    /// Plain over a socket file.
    Unix,
    /// TLS over a socket file.
    Unixs,
}

impl Scheme {
    /// The address is a socket file.
    pub fn is_socket_file(self) -> bool {
        matches!(self, Self::Unix | Self::Unixs)
    }

    /// Needs a certificate to serve.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Unixs)
    }
}

/// `http://host:port`, `https://host:port`, `unix://path` or `unixs://path`. Ordered by its text.
///
/// Invariant: an `http` or `https` URL has an address of the form `host:port` and no path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url {
    text: String,
    scheme: Scheme,
    address: String,
}

impl Url {
    /// Reads one URL; blanks around it are dropped.
    ///
    /// # Errors
    /// The text that etcd 3.7.1 prints for it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(format!("parse {}: net/url: invalid control character in URL", quote(text)));
        }
        let (scheme, rest) = split_scheme(text)?;
        let unsupported = || format!("URL scheme must be http, https, unix, or unixs: {text}");
        let scheme_word = scheme.to_ascii_lowercase();
        let scheme = match scheme_word.as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "unix" => Scheme::Unix,
            "unixs" => Scheme::Unixs,
            _ => return Err(unsupported()),
        };
        let hierarchy = rest.strip_prefix("//").unwrap_or("");
        let (located, _) = hierarchy.split_at(hierarchy.find(['?', '#']).unwrap_or(hierarchy.len()));
        let (authority, path) = located.split_at(located.find('/').unwrap_or(located.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        check_host(text, host)?;
        let address = if scheme.is_socket_file() {
            format!("{host}{path}")
        } else {
            if split_host_port(host).is_none() {
                return Err(format!("URL address does not have the form \"host:port\": {text}"));
            }
            if !path.is_empty() {
                return Err(format!("URL must not contain a path: {text}"));
            }
            host.to_owned()
        };
        Ok(Self { text: format!("{scheme_word}:{rest}"), scheme, address })
    }

    /// Reads a comma-separated list; sorted, without doubles.
    ///
    /// # Errors
    /// The text that etcd 3.7.1 prints for the first bad element.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let mut urls = text.split(',').map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        urls.sort();
        urls.dedup();
        Ok(urls)
    }

    /// The whole URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it is served.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// `host:port`, or the path of the socket file.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Host, without the brackets of an IPv6 address, and port; `None` for a socket file.
    pub fn host_port(&self) -> Option<(&str, &str)> {
        if self.scheme.is_socket_file() { None } else { split_host_port(&self.address) }
    }

    /// Host is an address that can be bound without a name server.
    pub(crate) fn is_bindable(&self) -> bool {
        self.host_port().is_none_or(|(host, _)| host == "localhost" || host.parse::<IpAddr>().is_ok())
    }

    pub(crate) fn has_empty_host(&self) -> bool {
        self.host_port().is_some_and(|(host, _)| host.is_empty())
    }

    /// The same URL at another host.
    pub(crate) fn with_host_port(&self, host: &str, port: &str) -> Self {
        let scheme_word = self.text.split(':').next().unwrap_or_default();
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Self { text: format!("{scheme_word}://{address}"), scheme: self.scheme, address }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The texts of `urls`, joined by commas.
pub fn join_urls(urls: &[Url]) -> String {
    urls.iter().map(Url::as_str).collect::<Vec<_>>().join(",")
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    let refuse = |why: &str| Err(format!("parse {}: {why}", quote(text)));
    for (position, ch) in text.char_indices() {
        match ch {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if position > 0 => {}
            ':' if position > 0 => return Ok((&text[..position], &text[position + 1..])),
            ':' => return refuse("missing protocol scheme"),
            _ => break,
        }
    }
    let first_segment = text.split('/').next().unwrap_or_default();
    if first_segment.contains(':') {
        return refuse("first path segment in URL cannot contain colon");
    }
    Ok(("", text))
}

/// What Go's parser demands of a host and its port, whatever the scheme.
fn check_host(text: &str, host: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("parse {}: {why}", quote(text)));
    let port = match (host.starts_with('['), host.rfind(']')) {
        (true, None) => return refuse("missing ']' in host"),
        (true, Some(position)) => &host[position + 1..],
        (false, _) => &host[host.find(':').unwrap_or(host.len())..],
    };
    let is_port = |port: &str| {
        port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if !port.is_empty() && !is_port(port) {
        return refuse(&format!("invalid port {} after host", quote(port)));
    }
    if let Some(position) = host.find('%') {
        let escape: String = host[position..].chars().take(3).collect();
        return refuse(&format!("invalid URL escape {}", quote(&escape)));
    }
    let is_allowed = |ch: &char| !ch.is_ascii() || ch.is_ascii_alphanumeric() || HOST_MARKS.contains(*ch);
    match host.chars().find(|ch| !is_allowed(ch)) {
        Some(bad) => refuse(&format!("invalid character {} in host name", quote(&bad.to_string()))),
        None => Ok(()),
    }
}

fn split_host_port(address: &str) -> Option<(&str, &str)> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, behind) = rest.split_once(']')?;
        let port = behind.strip_prefix(':')?;
        return (!port.contains([':', '[', ']'])).then_some((host, port));
    }
    let (host, port) = address.split_once(':')?;
    (!port.contains(':') && !address.contains(['[', ']'])).then_some((host, port))
}

const HOST_MARKS: &str = "-_.~!$&'()*+,;=:[]<>\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_trimmed_sorted_and_without_doubles() {
        let urls = Url::parse_list("http://b:2, HTTP://a:1 ,http://b:2").unwrap();
        assert_eq!(join_urls(&urls), "http://a:1,http://b:2");
        assert_eq!(urls[0].host_port(), Some(("a", "1")));
    }

    #[test]
    fn schemes_and_addresses() {
        let url = Url::parse("https://[::1]:2379").unwrap();
        assert_eq!((url.scheme(), url.host_port()), (Scheme::Https, Some(("::1", "2379"))));
        assert!(url.is_bindable());
        let url = Url::parse("unix:///tmp/s").unwrap();
        assert_eq!((url.scheme(), url.address(), url.host_port()), (Scheme::Unix, "/tmp/s", None));
        assert_eq!(Url::parse("unixs://localhost:12345").unwrap().address(), "localhost:12345");
        assert_eq!(
            Url::parse("http://0.0.0.0:1").unwrap().with_host_port("fe80::1", "2").as_str(),
            "http://[fe80::1]:2"
        );
        assert!(!Url::parse("http://example.com:1").unwrap().is_bindable());
        assert!(Url::parse("http://:1").unwrap().has_empty_host());
    }

    #[test]
    fn bad_urls_are_refused_with_the_text_of_etcd() {
        for (text, error) in [
            ("http://localhost", "URL address does not have the form \"host:port\": http://localhost"),
            ("http://::1:2379", "parse \"http://::1:2379\": invalid port \"::1:2379\" after host"),
            ("http://[::1:2379", "parse \"http://[::1:2379\": missing ']' in host"),
            ("http://[::1]2379", "parse \"http://[::1]2379\": invalid port \"2379\" after host"),
            ("http://a b:1", "parse \"http://a b:1\": invalid character \" \" in host name"),
            ("http://a%zz:1", "parse \"http://a%zz:1\": invalid URL escape \"%zz\""),
            ("http:localhost:1", "URL address does not have the form \"host:port\": http:localhost:1"),
            ("http://a:1/", "URL must not contain a path: http://a:1/"),
            ("ftp://a:1", "URL scheme must be http, https, unix, or unixs: ftp://a:1"),
            ("localhost:2379", "URL scheme must be http, https, unix, or unixs: localhost:2379"),
            ("", "URL scheme must be http, https, unix, or unixs: "),
            ("127.0.0.1:2379", "parse \"127.0.0.1:2379\": first path segment in URL cannot contain colon"),
            (":2379", "parse \":2379\": missing protocol scheme"),
            ("http://a:b", "parse \"http://a:b\": invalid port \":b\" after host"),
        ] {
            assert_eq!(Url::parse(text).unwrap_err(), error);
        }
    }
}
