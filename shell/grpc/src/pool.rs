//! Threads that serve connections, each with a runtime of its own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::task::AbortHandle;

use crate::connection::{Limits, serve_counted};
use crate::drain::{Drain, Phase};
use crate::error::Error;
use crate::listen::{Listener, prepare_accepted};
use crate::mailbox::{Mailbox, MailboxReceiver, mailbox};
use crate::services::{Peer, Services};

/// N threads that share nothing but their mailboxes. Dropping the pool ends the threads and every connection.
#[derive(Debug)]
pub struct NetPool {
    threads: Vec<Thread>,
    /// Whose turn the next connection is.
    turn: Arc<AtomicUsize>,
    next_server: AtomicU64,
}

#[derive(Debug)]
struct Thread {
    commands: Mailbox<Command>,
    join: Option<JoinHandle<()>>,
}

impl NetPool {
    /// Starts `threads` threads named `name-0`, `name-1`, ...
    ///
    /// # Errors
    /// [`Error::Start`].
    pub fn start(threads: NonZeroUsize, name: &str) -> Result<NetPool, Error> {
        let threads = (0..threads.get()).map(|index| start_thread(index, format!("{name}-{index}")));
        let threads = threads.collect::<Result<_, _>>()?;
        Ok(NetPool { threads, turn: Arc::new(AtomicUsize::new(0)), next_server: AtomicU64::new(0) })
    }

    /// How many threads there are; they are numbered from 0.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Runs `work` on a thread, inside its runtime: it may spawn local tasks.
    ///
    /// # Panics
    /// If there is no thread `index`.
    pub fn run_on(&self, index: usize, work: impl FnOnce() + Send + 'static) {
        self.send(index, Command::Run(Box::new(work)));
    }

    /// Serves what `services` makes, on connections of all `listeners`. `services` is called once on each thread, with
    /// the thread's number, inside its runtime; it may make an `Rc` and keep a clone, to read counters.
    ///
    /// # Errors
    /// [`Error::Listen`] for a listener that is none.
    pub fn serve<S: Into<Rc<Services>>>(
        &self,
        listeners: Vec<Listener>,
        limits: Limits,
        services: impl Fn(usize) -> S + Send + Sync + 'static,
    ) -> Result<Server, Error> {
        let services = Box::new(move |thread| services(thread).into());
        self.open(listeners, Arc::new(Offer::Serve { limits, services }))
    }

    /// Accepts connections and closes them at once with a line in the log: for TLS that is not there yet.
    ///
    /// # Errors
    /// [`Error::Listen`] for a listener that is none.
    pub fn refuse_tls(&self, listeners: Vec<Listener>) -> Result<Server, Error> {
        self.open(listeners, Arc::new(Offer::RefuseTls))
    }

    fn open(&self, listeners: Vec<Listener>, offer: Arc<Offer>) -> Result<Server, Error> {
        let id = ServerId(self.next_server.fetch_add(1, Ordering::Relaxed));
        let counters = Arc::new(Counters::default());
        for (index, listener) in listeners.iter().enumerate() {
            check_nonblocking(listener).map_err(|source| Error::Listen {
                address: format!("{index}: {}", listener.name()),
                source,
            })?;
        }
        for index in 0..self.threads() {
            self.send(index, Command::Open { id, offer: offer.clone(), counters: counters.clone() });
        }
        let mailboxes: Arc<[Mailbox<Command>]> =
            self.threads.iter().map(|thread| thread.commands.clone()).collect();
        for (index, listener) in listeners.into_iter().enumerate() {
            let acceptor = Acceptor { id, mailboxes: mailboxes.clone(), turn: self.turn.clone() };
            self.send(index % self.threads(), Command::Accept { acceptor, listener });
        }
        Ok(Server { id, mailboxes, counters })
    }

    fn send(&self, index: usize, command: Command) {
        // A thread is gone only if it panicked, which ends the process.
        let _gone = self.threads[index].commands.push(command);
    }
}

impl Drop for NetPool {
    fn drop(&mut self) {
        for index in 0..self.threads() {
            self.send(index, Command::Stop);
        }
        for thread in &mut self.threads {
            if let Some(join) = thread.join.take() {
                // A panic was printed by its thread.
                let _panicked = join.join();
            }
        }
    }
}

/// What one [`NetPool::serve`] opened. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Server {
    id: ServerId,
    mailboxes: Arc<[Mailbox<Command>]>,
    counters: Arc<Counters>,
}

impl Server {
    /// Stops accepting, tells every connection, and closes those that still have calls in flight after `grace`.
    pub fn shutdown(&self, grace: Duration) -> Draining {
        let left = Arc::new((Mutex::new(self.mailboxes.len()), Condvar::new()));
        for mailbox in self.mailboxes.iter() {
            let done = Done(left.clone());
            // A thread that is gone has no connections; its part of the count ends with the command.
            let _gone = mailbox.push(Command::Drain { id: self.id, grace, done });
        }
        Draining { left }
    }

    /// Counters of all threads.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// A server that ends.
#[derive(Debug)]
pub struct Draining {
    left: Arc<(Mutex<usize>, Condvar)>,
}

impl Draining {
    /// Blocks until every connection has ended. Not for net threads.
    pub fn wait(self) {
        let (count, changed) = &*self.left;
        let mut count = count.lock();
        changed.wait_while(&mut count, |count| *count > 0);
    }
}

/// Counted over all threads.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections open now.
    pub open: AtomicU64,
    /// Connections closed at once because too many had not said what they speak.
    pub refused: AtomicU64,
    /// Bytes of requests that are not complete, held now; [`Limits::partial_bytes_max`] bounds it.
    pub partial_bytes: AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ServerId(u64);

enum Offer {
    Serve { limits: Limits, services: Box<dyn Fn(usize) -> Rc<Services> + Send + Sync> },
    RefuseTls,
}

enum Command {
    Run(Box<dyn FnOnce() + Send>),
    /// A server begins; comes before anything else about it.
    Open {
        id: ServerId,
        offer: Arc<Offer>,
        counters: Arc<Counters>,
    },
    Accept {
        acceptor: Acceptor,
        listener: Listener,
    },
    Connection {
        id: ServerId,
        socket: Socket,
    },
    Drain {
        id: ServerId,
        grace: Duration,
        done: Done,
    },
    Stop,
}

/// Counts one thread off when dropped.
struct Done(Arc<(Mutex<usize>, Condvar)>);

impl Drop for Done {
    fn drop(&mut self) {
        *self.0.0.lock() -= 1;
        self.0.1.notify_all();
    }
}

enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

fn check_nonblocking(listener: &Listener) -> io::Result<()> {
    match listener {
        Listener::Tcp(listener) => listener.set_nonblocking(true),
        Listener::Unix(listener) => listener.set_nonblocking(true),
    }
}

fn start_thread(index: usize, name: String) -> Result<Thread, Error> {
    let (commands, receiver) = mailbox();
    let (started, result) = std::sync::mpsc::sync_channel(1);
    let run = move || {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => {
                // The parent waits for this; if it is gone there is nobody to serve for.
                if started.send(Ok(())).is_ok() {
                    run_thread(&runtime, index, receiver);
                }
            }
            Err(error) => drop(started.send(Err(error))),
        }
    };
    let start = |source| Error::Start { name: name.clone(), source };
    let join = std::thread::Builder::new().name(name.clone()).spawn(run).map_err(start)?;
    match result.recv() {
        Ok(Ok(())) => Ok(Thread { commands, join: Some(join) }),
        Ok(Err(source)) => Err(start(source)),
        Err(_) => Err(start(io::Error::other("it ended at once"))),
    }
}

fn run_thread(runtime: &LocalRuntime, index: usize, mut commands: MailboxReceiver<Command>) {
    runtime.block_on(async {
        let mut servers = BTreeMap::new();
        while let Some(batch) = commands.next_batch().await {
            for command in batch {
                match command {
                    Command::Stop => return,
                    command => obey(command, index, &mut servers),
                }
            }
        }
    });
}

/// One server on one thread.
struct LocalServer {
    offer: Arc<Offer>,
    /// None for an offer that refuses.
    services: Option<Rc<Services>>,
    drain: Drain,
    counters: Arc<Counters>,
    /// Connections that have not said what they speak.
    undecided: Rc<Cell<usize>>,
    acceptors: Vec<AbortHandle>,
}

fn obey(command: Command, index: usize, servers: &mut BTreeMap<ServerId, LocalServer>) {
    match command {
        Command::Run(work) => work(),
        Command::Open { id, offer, counters } => {
            let services = match &*offer {
                Offer::Serve { services, .. } => Some(services(index)),
                Offer::RefuseTls => None,
            };
            let (drain, undecided) = (Drain::new(), Rc::default());
            servers.insert(
                id,
                LocalServer { offer, services, drain, counters, undecided, acceptors: Vec::new() },
            );
        }
        Command::Accept { acceptor, listener } => {
            if let Some(server) = servers.get_mut(&acceptor.id) {
                server.acceptors.push(tokio::task::spawn_local(acceptor.run(listener)).abort_handle());
            }
        }
        // A connection that arrives after the end is dropped with its socket.
        Command::Connection { id, socket } => {
            if let Some(server) = servers.get(&id) {
                server.connect(socket);
            }
        }
        Command::Drain { id, grace, done } => {
            if let Some(server) = servers.remove(&id) {
                server.end(grace, done);
            }
        }
        Command::Stop => {}
    }
}

impl LocalServer {
    fn connect(&self, socket: Socket) {
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        let prepared = match socket {
            Socket::Tcp(socket) => {
                let peer = Peer { address: socket.peer_addr().ok() };
                prepare_accepted(&socket)
                    .and_then(|()| tokio::net::TcpStream::from_std(socket))
                    .map(|socket| self.spawn(socket, peer))
            }
            Socket::Unix(socket) => {
                tokio::net::UnixStream::from_std(socket).map(|socket| self.spawn(socket, Peer::default()))
            }
        };
        if let Err(error) = prepared {
            tracing::debug!(%error, "accepted connection is gone");
        }
    }

    fn spawn<IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static>(&self, io: IO, peer: Peer) {
        let (Offer::Serve { limits, .. }, Some(services)) = (&*self.offer, &self.services) else {
            tracing::warn!(peer = ?peer.address, "refused a TLS handshake: TLS is not implemented yet");
            return;
        };
        if self.undecided.get() >= limits.undecided_max {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (services, offer) = (services.clone(), self.offer.clone());
        let undecided = CountedCell::new(self.undecided.clone());
        let open = CountedOpen::new(self.counters.clone());
        let follower = self.drain.follow();
        let counters = self.counters.clone();
        tokio::task::spawn_local(async move {
            let Offer::Serve { limits, .. } = &*offer else { return };
            serve_counted(io, services, limits, Rc::new(peer), follower, counters, undecided).await;
            drop(open);
        });
    }

    fn end(self, grace: Duration, done: Done) {
        self.acceptors.iter().for_each(AbortHandle::abort);
        self.drain.advance(Phase::Draining);
        tokio::task::spawn_local(async move {
            if tokio::time::timeout(grace, self.drain.emptied()).await.is_err() {
                self.drain.advance(Phase::Closing);
                self.drain.emptied().await;
            }
            drop(done);
        });
    }
}

/// Counts up while it lives, on one thread.
struct CountedCell(Rc<Cell<usize>>);

impl CountedCell {
    fn new(count: Rc<Cell<usize>>) -> CountedCell {
        count.set(count.get() + 1);
        CountedCell(count)
    }
}

impl Drop for CountedCell {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Counts an open connection while it lives.
struct CountedOpen(Arc<Counters>);

impl CountedOpen {
    fn new(counters: Arc<Counters>) -> CountedOpen {
        counters.open.fetch_add(1, Ordering::Relaxed);
        CountedOpen(counters)
    }
}

impl Drop for CountedOpen {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts from one listener and hands sockets to the threads in turn.
struct Acceptor {
    id: ServerId,
    mailboxes: Arc<[Mailbox<Command>]>,
    turn: Arc<AtomicUsize>,
}

impl Acceptor {
    async fn run(self, listener: Listener) {
        let listener = match Accepting::new(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "cannot listen"),
        };
        let mut pause = ACCEPT_PAUSE_MIN;
        loop {
            match listener.accept().await {
                Ok(socket) => {
                    pause = ACCEPT_PAUSE_MIN;
                    let thread = self.turn.fetch_add(1, Ordering::Relaxed) % self.mailboxes.len();
                    // A thread that is gone drops the socket, which closes it.
                    let _gone = self.mailboxes[thread].push(Command::Connection { id: self.id, socket });
                }
                // Out of file descriptors, most likely: as in Go, wait for some to be closed.
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
        }
    }
}

/// A listener on a thread's runtime.
enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Accepting {
    fn new(listener: Listener) -> io::Result<Accepting> {
        Ok(match listener {
            Listener::Tcp(listener) => Accepting::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Listener::Unix(listener) => Accepting::Unix(tokio::net::UnixListener::from_std(listener)?),
        })
    }

    async fn accept(&self) -> io::Result<Socket> {
        Ok(match self {
            Accepting::Tcp(listener) => Socket::Tcp(listener.accept().await?.0.into_std()?),
            Accepting::Unix(listener) => Socket::Unix(listener.accept().await?.0.into_std()?),
        })
    }
}

/// Threads beside each net thread, for answers that take long to compress; gone when idle.
const BLOCKING_THREADS_MAX: usize = 1;
/// Pauses after a failed accept double from the first to the second, as in Go.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(5);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
