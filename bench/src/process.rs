//! What the kernel knows about a process, and servers as child processes.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

/// A process that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pid(i32);

impl Pid {
    pub(crate) fn new(pid: i32) -> anyhow::Result<Pid> {
        let pid = Pid(pid);
        cpu_seconds(pid)?;
        Ok(pid)
    }

    pub(crate) fn own() -> Pid {
        Pid(rustix::process::getpid().as_raw_pid())
    }
}

/// Processor time a process and its threads have used, in user and kernel mode.
pub(crate) fn cpu_seconds(pid: Pid) -> anyhow::Result<f64> {
    let path = format!("/proc/{}/stat", pid.0);
    let stat = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The name, second field, is in parentheses and may hold anything; utime and stime are fields 14 and 15.
    let fields = stat.rsplit_once(')').context("no name in stat")?.1;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    let [user, system] = ticks[..] else { bail!("{path} is too short") };
    Ok((user + system) / rustix::param::clock_ticks_per_second() as f64)
}

/// Memory of a process that is in RAM.
pub(crate) fn resident_bytes(pid: Pid) -> anyhow::Result<f64> {
    let path = format!("/proc/{}/statm", pid.0);
    let statm = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let pages: f64 = statm.split_whitespace().nth(1).context("statm is too short")?.parse()?;
    Ok(pages * rustix::param::page_size() as f64)
}

/// A server with a data directory of its own. Dropping it kills the process and removes the directory.
pub(crate) struct Server {
    child: Child,
    pub(crate) client: SocketAddr,
    dir: PathBuf,
}

impl Server {
    /// Starts `program` on free loopback ports and an empty directory under `parent`.
    pub(crate) fn start(program: &Path, parent: &Path) -> anyhow::Result<Server> {
        let [client, peer] = free_ports()?;
        let dir = parent.join(format!("bench-{}", client.port()));
        std::fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        let log = File::create(dir.join("log"))?;
        let (client_url, peer_url) = (format!("http://{client}"), format!("http://{peer}"));
        let child = Command::new(program)
            .args(["--name", "bench", "--data-dir"])
            .arg(dir.join("data"))
            .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("bench={peer_url}")])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Server { child, client, dir })
    }

    pub(crate) fn pid(&self) -> anyhow::Result<Pid> {
        Pid::new(i32::try_from(self.child.id())?)
    }

    /// Fails if the process has ended, with the end of its log.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default();
            bail!("server ended with {status}: {last}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, and a directory that stays is only untidy.
        let _killed = self.child.kill();
        let _status = self.child.wait();
        let _removed = std::fs::remove_dir_all(&self.dir);
    }
}

/// Two ports that nobody uses at the moment.
fn free_ports() -> anyhow::Result<[SocketAddr; 2]> {
    let held = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok([held[0].local_addr()?, held[1].local_addr()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_has_memory_and_a_processor_time_that_grows() {
        let before = cpu_seconds(Pid::own()).unwrap();
        while cpu_seconds(Pid::own()).unwrap() == before {}
        assert!(resident_bytes(Pid::own()).unwrap() > 100_000.0);
    }
}
