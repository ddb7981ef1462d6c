//! Telling the service manager how far we are (`sd_notify`).

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends `READY=1` to the socket that `NOTIFY_SOCKET` names; false if there is none.
///
/// # Errors
/// What the socket reports.
pub fn ready() -> io::Result<bool> {
    match env::var("NOTIFY_SOCKET") {
        Ok(name) if !name.is_empty() => send(&name, "READY=1").map(|()| true),
        _ => Ok(false),
    }
}

/// A name that begins with `@` is in the abstract name space, every other one is a path.
fn send(name: &str, state: &str) -> io::Result<()> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_arrives_at_an_abstract_socket() {
        let name = format!("oxetcd-notify-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(&format!("@{name}"), "READY=1").unwrap();
        let mut buf = [0; 32];
        let len = socket.recv(&mut buf).unwrap();
        assert_eq!(&buf[..len], b"READY=1");
        assert!(send("/nonexistent/socket", "READY=1").is_err());
    }
}
