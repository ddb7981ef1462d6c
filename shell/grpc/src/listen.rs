//! Bound listening sockets, made before anything is served so that a port in use is known at once.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use rustix::net::{self as sys, AddressFamily, SocketFlags, SocketType, sockopt};

/// A bound socket that nobody accepts from yet.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// Unix stream socket.
    Unix(std::os::unix::net::UnixListener),
}

/// How to bind (`--socket-reuse-address`, `--socket-reuse-port`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SocketOptions {
    /// Several processes may bind the same port.
    pub reuse_port: bool,
}

impl Listener {
    /// Binds a TCP address; port 0 picks a free one. An unspecified IPv6 address takes IPv4 too.
    ///
    /// # Errors
    /// What the system says, such as `AddrInUse`.
    pub fn tcp(address: SocketAddr, options: SocketOptions) -> io::Result<Listener> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = sys::socket_with(family, SocketType::STREAM, flags, None)?;
        // A port whose last connections linger can be bound again, as in Go.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_socket_reuseport(&socket, options.reuse_port)?;
        if address.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
        }
        sys::bind(&socket, &address)?;
        sys::listen(&socket, BACKLOG)?;
        Ok(Listener::Tcp(socket.into()))
    }

    /// Binds a unix socket at `path`, in place of a socket that an earlier process left there.
    ///
    /// # Errors
    /// What the system says.
    pub fn unix(path: &Path) -> io::Result<Listener> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Listener::Unix(listener))
    }

    /// The TCP address it is bound to.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    /// The address for messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Listener::Tcp(listener) => {
                listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
            }
            Listener::Unix(listener) => {
                listener.local_addr().map(|address| format!("{address:?}")).unwrap_or_default()
            }
        }
    }
}

/// Sets what every accepted TCP connection has: no delay of small writes, and probes that find dead clients.
pub(crate) fn prepare_accepted(socket: &std::net::TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE)?;
    Ok(())
}

/// The kernel lowers it to its own limit (`net.core.somaxconn`).
const BACKLOG: i32 = 65_535;
/// As etcd sets on its listeners.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(30);
