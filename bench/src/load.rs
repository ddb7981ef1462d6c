//! Closed-loop load: a number of clients, each with one call in flight, on connections they share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::{PutRequest, RangeRequest};
use stdx::prng::Prng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use crate::frames::{self, Event, Headers};
use crate::process::{Pid, cpu_seconds};
use crate::{Data, Shape};

/// What clients call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Put,
    /// Linearizable.
    Get,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Put => "put",
            Kind::Get => "get",
        })
    }
}

/// A load to be run against one server.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    kind: Kind,
    endpoint: SocketAddr,
    clients: usize,
    connections: usize,
    ops: u64,
    value: Bytes,
    key_space: u64,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) ops: u64,
    pub(crate) elapsed: Duration,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// None if the server's process is not known.
    pub(crate) server_cpu_us: Option<f64>,
    pub(crate) loader_cpu_us: f64,
}

impl Measured {
    pub(crate) fn per_second(&self) -> f64 {
        self.ops as f64 / self.elapsed.as_secs_f64()
    }
}

impl Load {
    pub(crate) fn new(kind: Kind, endpoint: SocketAddr, shape: &Shape, data: &Data) -> anyhow::Result<Load> {
        ensure!(
            shape.connections > 0 && shape.clients >= shape.connections,
            "fewer clients than connections"
        );
        ensure!(shape.ops > 0 && data.key_space > 0, "nothing to do");
        ensure!(
            data.value_size <= VALUE_BYTES_MAX,
            "values larger than {VALUE_BYTES_MAX} bytes are not supported"
        );
        let per_connection = shape.clients.div_ceil(shape.connections);
        ensure!(per_connection <= STREAMS_MAX, "more than {STREAMS_MAX} clients on a connection");
        let mut prng = Prng::new(1);
        let value = (0..data.value_size).map(|_| prng.next_u64().to_le_bytes()[0]).collect::<Vec<_>>().into();
        Ok(Load {
            kind,
            endpoint,
            clients: shape.clients,
            connections: shape.connections,
            ops: shape.ops,
            value,
            key_space: data.key_space,
        })
    }

    /// Puts every key once.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        let order = Order::Sequential;
        let fill = Load { kind: Kind::Put, ops: self.key_space, ..self.clone() };
        fill.drive(&runtime()?, fill.ops, order).map(drop)
    }

    /// Runs a tenth of the calls to warm up, then all of them, measured.
    pub(crate) fn run(&self, server: Option<Pid>) -> anyhow::Result<Measured> {
        let runtime = runtime()?;
        self.drive(&runtime, (self.ops / 10).max(1), Order::Random(2))?;
        let cpu = |pid: Option<Pid>| pid.map(cpu_seconds).transpose();
        let (server_before, loader_before) = (cpu(server)?, cpu_seconds(Pid::own())?);
        let begin = Instant::now();
        let mut latencies_us = self.drive(&runtime, self.ops, Order::Random(3))?;
        let elapsed = begin.elapsed();
        let (server_after, loader_after) = (cpu(server)?, cpu_seconds(Pid::own())?);
        let per_op_us = |seconds: f64| seconds * 1e6 / self.ops as f64;
        latencies_us.sort_unstable();
        Ok(Measured {
            ops: self.ops,
            elapsed,
            p50_ms: percentile_ms(&latencies_us, 50),
            p99_ms: percentile_ms(&latencies_us, 99),
            server_cpu_us: server_after.zip(server_before).map(|(after, before)| per_op_us(after - before)),
            loader_cpu_us: per_op_us(loader_after - loader_before),
        })
    }

    /// Makes `ops` calls; their latencies in microseconds.
    fn drive(&self, runtime: &LocalRuntime, ops: u64, order: Order) -> anyhow::Result<Vec<u32>> {
        let work = Rc::new(Work {
            left: Cell::new(ops),
            next_key: Cell::new(0),
            prng: RefCell::new(match order {
                Order::Sequential => None,
                Order::Random(seed) => Some(Prng::new(seed)),
            }),
            latencies_us: RefCell::new(Vec::with_capacity(usize::try_from(ops)?)),
        });
        runtime.block_on(async {
            let mut connections = Vec::new();
            for index in 0..self.connections {
                // The first connections take what does not divide.
                let clients =
                    self.clients / self.connections + usize::from(index < self.clients % self.connections);
                let connection = Connection::open(self.clone(), work.clone()).await?;
                connections.push(tokio::task::spawn_local(connection.run(clients)));
            }
            for connection in connections {
                connection.await??;
            }
            anyhow::Ok(())
        })?;
        let latencies_us = work.latencies_us.take();
        ensure!(
            latencies_us.len() as u64 == ops,
            "{} of {ops} calls failed",
            ops - latencies_us.len() as u64
        );
        Ok(latencies_us)
    }
}

/// Makes one linearizable read; for waiting until a server serves.
pub(crate) fn read_once(endpoint: SocketAddr) -> anyhow::Result<()> {
    let load = Load {
        kind: Kind::Get,
        endpoint,
        clients: 1,
        connections: 1,
        ops: 1,
        value: Bytes::new(),
        key_space: 1,
    };
    load.drive(&runtime()?, 1, Order::Sequential).map(drop)
}

fn runtime() -> anyhow::Result<LocalRuntime> {
    Ok(Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?)
}

/// The value below which `percent` of the sorted latencies lie.
fn percentile_ms(sorted_us: &[u32], percent: usize) -> f64 {
    let at = (sorted_us.len() * percent / 100).min(sorted_us.len().saturating_sub(1));
    sorted_us.get(at).map_or(0.0, |&us| f64::from(us) / 1000.0)
}

/// Which keys are called.
#[derive(Clone, Copy, Debug)]
enum Order {
    Sequential,
    /// By a seed.
    Random(u64),
}

/// What all clients share.
struct Work {
    left: Cell<u64>,
    next_key: Cell<u64>,
    /// None for keys in order.
    prng: RefCell<Option<Prng>>,
    latencies_us: RefCell<Vec<u32>>,
}

impl Work {
    /// Takes one call, as the number of its key. `None` when all are taken.
    fn take(&self, key_space: u64) -> Option<u64> {
        let left = self.left.get().checked_sub(1)?;
        self.left.set(left);
        let key = match &mut *self.prng.borrow_mut() {
            Some(prng) => prng.next_u64(),
            None => self.next_key.replace(self.next_key.get() + 1),
        };
        Some(key % key_space)
    }
}

/// One connection with its clients.
struct Connection {
    load: Load,
    work: Rc<Work>,
    socket: TcpStream,
    headers: Headers,
    next_stream_id: u32,
    calls: HashMap<u32, Call>,
    /// Bytes of DATA that may be sent.
    window_bytes: u64,
    /// Bytes of DATA received since the window was widened last.
    received_bytes: u32,
    message: Vec<u8>,
    out: Vec<u8>,
    /// Clients that wait for the window.
    blocked: usize,
}

struct Call {
    begin: Instant,
    has_message: bool,
}

impl Connection {
    async fn open(load: Load, work: Rc<Work>) -> anyhow::Result<Connection> {
        let socket = TcpStream::connect(load.endpoint).await.context("connect")?;
        socket.set_nodelay(true)?;
        let path = match load.kind {
            Kind::Put => "/etcdserverpb.KV/Put",
            Kind::Get => "/etcdserverpb.KV/Range",
        };
        let headers = Headers::new(path, &load.endpoint.to_string())?;
        let mut out = Vec::new();
        frames::open(&mut out);
        Ok(Connection {
            load,
            work,
            socket,
            headers,
            next_stream_id: 1,
            calls: HashMap::new(),
            window_bytes: u64::from(frames::WINDOW_BYTES_DEFAULT),
            received_bytes: 0,
            message: Vec::new(),
            out,
            blocked: 0,
        })
    }

    async fn run(mut self, clients: usize) -> anyhow::Result<()> {
        for _ in 0..clients {
            self.begin();
        }
        let mut input = Vec::with_capacity(INPUT_BYTES);
        loop {
            self.socket.write_all(&self.out).await?;
            self.out.clear();
            if self.calls.is_empty() && self.blocked == 0 {
                return Ok(());
            }
            ensure!(self.socket.read_buf(&mut input).await? > 0, "server closed a connection");
            let mut taken = 0;
            while let Some((length, event)) = frames::next(&input[taken..], &mut self.out)? {
                taken += length;
                self.handle(event)?;
            }
            input.drain(..taken);
            if self.received_bytes > WIDEN_AT_BYTES {
                frames::window_update(&mut self.out, std::mem::take(&mut self.received_bytes));
            }
        }
    }

    /// Begins a client's next call, if there is one.
    fn begin(&mut self) {
        if self.window_bytes < WINDOW_RESERVE_BYTES {
            self.blocked += 1;
            return;
        }
        let Some(key) = self.work.take(self.load.key_space) else {
            return;
        };
        self.encode(key);
        let stream_id = self.next_stream_id;
        self.next_stream_id += 2;
        self.headers.call(&mut self.out, stream_id, &self.message);
        self.window_bytes -= self.message.len() as u64 + 5;
        self.calls.insert(stream_id, Call { begin: Instant::now(), has_message: false });
    }

    fn encode(&mut self, key: u64) {
        let key = Bytes::from(format!("bench/key-{key:012}"));
        self.message.clear();
        let encoded = match self.load.kind {
            Kind::Put => {
                let value = self.load.value.clone();
                PutRequest { key, value, ..Default::default() }.encode(&mut self.message)
            }
            Kind::Get => RangeRequest { key, ..Default::default() }.encode(&mut self.message),
        };
        encoded.expect("a vector grows");
    }

    fn handle(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Data { stream_id, bytes, is_end } => {
                self.received_bytes += bytes;
                self.calls.get_mut(&stream_id).context("data for no call")?.has_message = true;
                if is_end {
                    self.end(stream_id)?;
                }
            }
            Event::Headers { stream_id, is_end: true } => self.end(stream_id)?,
            Event::Window { bytes } => {
                self.window_bytes += u64::from(bytes);
                for _ in 0..std::mem::take(&mut self.blocked) {
                    self.begin();
                }
            }
            Event::Headers { .. } | Event::Nothing => {}
        }
        Ok(())
    }

    fn end(&mut self, stream_id: u32) -> anyhow::Result<()> {
        let call = self.calls.remove(&stream_id).context("end of no call")?;
        if call.has_message {
            let us = u32::try_from(call.begin.elapsed().as_micros()).unwrap_or(u32::MAX);
            self.work.latencies_us.borrow_mut().push(us);
        }
        self.begin();
        Ok(())
    }
}

/// So that a call fits into a fresh window beside its envelope.
const VALUE_BYTES_MAX: usize = 32 * 1024;
const WINDOW_RESERVE_BYTES: u64 = 33 * 1024;
/// Far below what servers allow by default.
const STREAMS_MAX: usize = 10_000;
const INPUT_BYTES: usize = 64 * 1024;
const WIDEN_AT_BYTES: u32 = 1 << 28;

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use grpc::{Code, Limits, Listener, NetPool, Services, SocketOptions, Status};
    use proto::etcdserverpb::PutResponse;

    use super::*;

    /// Runs a load against a server that refuses every put of a key whose number `refused` accepts.
    fn run_against(refused: fn(u64) -> bool, clients: usize, connections: usize) -> anyhow::Result<Measured> {
        let pool = NetPool::start(NonZeroUsize::MIN, "net")?;
        let listener = Listener::tcp("127.0.0.1:0".parse()?, SocketOptions::default())?;
        let endpoint = listener.tcp_address().context("bound")?;
        let services = move |_| {
            let mut services = Services::new();
            services.unary("etcdserverpb.KV", "Put", move |request: PutRequest, _| async move {
                let key: u64 = std::str::from_utf8(&request.key[10..]).unwrap().parse().unwrap();
                assert_eq!(request.value.len(), 3000);
                if refused(key) {
                    Err(Status::new(Code::Aborted, "refused"))
                } else {
                    Ok(PutResponse::default())
                }
            });
            Rc::new(services)
        };
        let _server = pool.serve(vec![listener], Limits::default(), services)?;
        let shape = Shape { clients, connections, ops: 1000 };
        Load::new(Kind::Put, endpoint, &shape, &Data { value_size: 3000, key_space: 100 })?.run(None)
    }

    #[test]
    fn every_call_is_made_and_measured() {
        for (clients, connections) in [(1, 1), (7, 3), (500, 1)] {
            let measured = run_against(|_| false, clients, connections).unwrap();
            assert_eq!(measured.ops, 1000);
            assert!(measured.p99_ms >= measured.p50_ms && measured.p50_ms > 0.0, "{measured:?}");
        }
    }

    #[test]
    fn failed_calls_fail_the_run() {
        let error = run_against(|key| key == 7, 10, 2).unwrap_err().to_string();
        assert!(error.contains("of 100 calls failed") || error.contains("of 1000 calls failed"), "{error}");
    }

    #[test]
    fn percentile_is_a_value_that_was_measured() {
        let sorted: Vec<u32> = (1..=1000).map(|ms| ms * 1000).collect();
        assert_eq!(percentile_ms(&sorted, 50), 501.0);
        assert_eq!(percentile_ms(&sorted, 99), 991.0);
        assert_eq!(percentile_ms(&sorted[..1], 99), 1.0);
        assert_eq!(percentile_ms(&[], 50), 0.0);
    }
}
