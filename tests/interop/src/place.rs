//! One member's place in the world: its directory and its addresses. Programs come and go on it.

use crate::directory::Scratch;
use crate::program::Programs;
use crate::server::Server;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A data directory with two loopback ports that belong to it.
pub struct Place {
    scratch: Scratch,
    client_port: u16,
    peer_port: u16,
}

impl Place {
    /// A new one, with no member in it yet.
    pub fn new(name: &str) -> Self {
        let [client_port, peer_port] = free_ports();
        Self { scratch: Scratch::new(name), client_port, peer_port }
    }

    /// The data directory; the first start makes it.
    pub fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// The directory that holds the data directory and the logs.
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// Where clients connect, as `host:port`.
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// Where peers connect, as `host:port`.
    pub fn peer(&self) -> String {
        format!("127.0.0.1:{}", self.peer_port)
    }

    /// The command that starts `program` here, before `extra` flags.
    pub fn command(&self, program: &Path, extra: &[&str]) -> Command {
        self.command_on(program, &self.data(), extra)
    }

    /// The same on another data directory, with the addresses of this place.
    pub fn command_on(&self, program: &Path, data: &Path, extra: &[&str]) -> Command {
        let (client, peer) = (format!("http://{}", self.endpoint()), format!("http://{}", self.peer()));
        let mut command = Command::new(program);
        command.current_dir(self.path()).arg("--name=m1").arg(format!("--data-dir={}", data.display()));
        command.args([
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=m1={peer}"),
        ]);
        command.args(extra);
        command
    }

    /// Starts `program` here and waits until it serves clients.
    ///
    /// # Panics
    /// If it ends or takes too long.
    pub fn start(&self, program: &Path, extra: &[&str]) -> Server {
        Server::start(self.command(program, extra), self.path())
    }

    /// Starts `program` on a copy of the data directory, asks `probe` with `arguments`, and removes the copy.
    pub fn ask_on_copy(&self, programs: &Programs, program: &Path, questions: &[&[&str]]) -> Vec<String> {
        let copy = self.path().join("copy");
        crate::directory::copy(&self.data(), &copy);
        let server = Server::start(self.command_on(program, &copy, &[]), self.path());
        let endpoint = self.endpoint();
        let answers = questions
            .iter()
            .map(|question| programs.probe(&[question, &["--endpoint", endpoint.as_str()][..]].concat()))
            .collect();
        server.kill();
        std::fs::remove_dir_all(&copy).expect("a copy can be removed");
        answers
    }
}

/// Ports that nobody listens on at this moment, below those that the kernel gives to outgoing connections: a port must
/// still be free when the next program starts here.
fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id() * 61; // two runs side by side begin at different ports
    std::array::from_fn(|_| {
        (0..PORTS.len())
            .map(|_| PORTS.start + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start))
            .filter_map(|port| u16::try_from(port).ok())
            .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .expect("one of the ports is free")
    })
}

const PORTS: std::ops::Range<u32> = 12_000..30_000;
