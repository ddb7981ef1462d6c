//! URLs of members: a scheme and an address, nothing else.

/// Why a URL cannot be one of a member. The texts are those of etcd's command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No URL where one is needed.
    #[error("no valid URLs given")]
    None,
    /// The scheme is missing or another one.
    #[error("URL scheme must be http, https, unix, or unixs: {0}")]
    Scheme(String),
    /// The address has no port.
    #[error("URL address does not have the form \"host:port\": {0}")]
    HostPort(String),
    /// There is a path behind the address.
    #[error("URL must not contain a path: {0}")]
    Path(String),
    /// It is no URL at all.
    #[error("parse {url:?}: {reason}")]
    Malformed {
        /// The text.
        url: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Checks a URL of a member and returns it as etcd stores it: without spaces around it, the scheme in lower case.
///
/// # Errors
/// See [`UrlError`].
pub fn parse_url(text: &str) -> Result<String, UrlError> {
    let text = text.trim();
    let malformed = |reason| Err(UrlError::Malformed { url: text.to_owned(), reason });
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return malformed("invalid control character in URL");
    }
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "unix" | "unixs" => return Ok(format!("{scheme}:{rest}")),
        "http" | "https" => {}
        _ => return Err(UrlError::Scheme(text.to_owned())),
    }
    let authority_and_path = rest.strip_prefix("//").unwrap_or_default();
    let end = authority_and_path.find(['/', '?', '#']).unwrap_or(authority_and_path.len());
    let (authority, path) = authority_and_path.split_at(end);
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host_and_port.contains(' ') {
        return malformed("invalid character \" \" in host name");
    }
    let Some(port) = port_of(host_and_port) else {
        return Err(UrlError::HostPort(text.to_owned()));
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return malformed("invalid port after host");
    }
    if path.starts_with('/') {
        return Err(UrlError::Path(text.to_owned()));
    }
    Ok(format!("{scheme}:{rest}"))
}

/// What is behind the colon of `host:port` or `[host]:port`; `None` without one, or with more than one.
fn port_of(host_and_port: &str) -> Option<&str> {
    if let Some(rest) = host_and_port.strip_prefix('[') {
        return rest.split_once(']')?.1.strip_prefix(':');
    }
    let (host, port) = host_and_port.split_once(':')?;
    (!port.contains(':') && !host.contains(['[', ']'])).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_urls_are_kept_as_they_are() {
        for url in [
            "http://127.0.0.1:2380",
            "https://h:1",
            "http://[::1]:2380",
            "unix:///tmp/s",
            "unixs://x",
            "http://:1",
        ] {
            assert_eq!(parse_url(url).as_deref(), Ok(url));
        }
        assert_eq!(parse_url(" HTTP://h:1\t").as_deref(), Ok("http://h:1"));
    }

    #[test]
    fn other_urls_are_refused_with_the_texts_of_etcd() {
        let text = |url| parse_url(url).unwrap_err().to_string();
        assert_eq!(text("localhost:1"), "URL scheme must be http, https, unix, or unixs: localhost:1");
        assert_eq!(text(""), "URL scheme must be http, https, unix, or unixs: ");
        assert_eq!(text("http://h"), "URL address does not have the form \"host:port\": http://h");
        assert_eq!(text("http:h:1"), "URL address does not have the form \"host:port\": http:h:1");
        assert_eq!(text("http://::1:2"), "URL address does not have the form \"host:port\": http://::1:2");
        assert_eq!(text("http://[::1]"), "URL address does not have the form \"host:port\": http://[::1]");
        assert_eq!(text("http://h:1/"), "URL must not contain a path: http://h:1/");
        assert_eq!(text("http://h:x"), "parse \"http://h:x\": invalid port after host");
        assert!(parse_url("http://h\u{1}:1").is_err() && parse_url("http://a b:1").is_err());
    }
}
