//! The address of a member, as an operator writes it.

use crate::error::{Error, Result};
use std::fmt;
use std::time::Duration;
use tonic::transport;

/// One address: `host:port`, `http://host:port`, `unix:PATH` or `unix://PATH`.
#[derive(Clone, Debug)]
pub struct Endpoint {
    text: String,
    transport: transport::Endpoint,
}

/// Any smaller window ends honest connections: the transport charges unread small frames against it.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// gRPC's Go library pings no more often than this, whatever is asked for.
const KEEPALIVE_TIME_MIN: Duration = Duration::from_secs(10);

/// How a connection is looked after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionOptions {
    pub dial_timeout: Duration,
    pub keepalive_time: Duration,
    pub keepalive_timeout: Duration,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// [`Error::TlsNotImplemented`] for `https://` and `unixs://`; [`Error::BadEndpoint`] for what is no address.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let bad = || Error::BadEndpoint(text.to_owned());
        let address = match text.split_once("://") {
            Some(("http" | "unix", rest)) if !rest.is_empty() => text.to_owned(),
            Some(("https" | "unixs", _)) => return Err(Error::TlsNotImplemented(text.to_owned())),
            Some(_) => return Err(bad()),
            None if text.starts_with("unixs:") => return Err(Error::TlsNotImplemented(text.to_owned())),
            None if text.starts_with("unix:") => text.to_owned(),
            None if text.is_empty() => return Err(bad()),
            None => format!("http://{text}"),
        };
        let transport = transport::Endpoint::from_shared(address).map_err(|_| bad())?;
        Ok(Self { text: text.to_owned(), transport })
    }

    /// Opens a connection; `Err` carries no reason because every reason leads to the next attempt.
    pub(crate) async fn connect(
        &self,
        options: ConnectionOptions,
    ) -> std::result::Result<transport::Channel, ()> {
        let connecting = self
            .transport
            .clone()
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_keep_alive_interval(options.keepalive_time.max(KEEPALIVE_TIME_MIN))
            .keep_alive_timeout(options.keepalive_timeout);
        match tokio::time::timeout(options.dial_timeout, connecting.connect()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(_)) | Err(_) => Err(()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_an_address() {
        for good in
            ["localhost:2379", " 127.0.0.1:2379", "http://a:1", "unix:s", "unix:///run/s", "[::1]:2379"]
        {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "ftp://a:1", "http://", "a b:1"] {
            assert!(matches!(Endpoint::parse(bad), Err(Error::BadEndpoint(_))), "{bad}");
        }
        for tls in ["https://a:1", "unixs:s", "unixs://s"] {
            assert!(matches!(Endpoint::parse(tls), Err(Error::TlsNotImplemented(_))), "{tls}");
        }
    }
}
