//! Starting and stopping.

use crate::backend_thread::{self, BackendQueue};
use crate::member_thread::{self, Driver, Notice};
use crate::options::{Address, Options};
use etcdhttp::Cors;
use grpc::{Listener, Mailbox, NetPool, Protocols, Server, Services, SocketOptions, Waiters, mailbox};
use node::BootInfo;
use os::RealDisk;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use types::RequestIds;
use v3rpc::{Completion, Local, Member, ToNode};
use vfs::{Disk, Job};

/// Why a member does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("listen tcp {address}: bind: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said, as Go's programs print it.
        reason: String,
    },
    /// The data directory.
    #[error(transparent)]
    Boot(#[from] node::BootError),
    /// Threads.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// The network.
    #[error(transparent)]
    Net(#[from] grpc::Error),
    /// The member ended before it was ready.
    #[error("{0}")]
    Failed(String),
    /// It was stopped before it was ready.
    #[error("server stopped")]
    Stopped,
}

/// How a member ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In order, with everything durable.
    Stopped,
    /// Because log or backend are in doubt; one line that says why.
    Failed(String),
}

/// A member that runs. May be shared: one thread waits for its end while another stops it.
pub struct Running {
    member: Arc<Member>,
    info: BootInfo,
    notices: Mutex<Receiver<Notice>>,
    early_end: Mutex<Option<Ended>>,
    net: NetPool,
    clients: Mutex<Option<Server>>,
    backend: Arc<BackendQueue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pending: Mutex<Option<Pending>>,
}

/// What is needed to serve clients once the member is ready.
struct Pending {
    listeners: Vec<Listener>,
    limits: grpc::Limits,
    cors: Arc<Cors>,
}

/// Listens, boots, and starts the threads. Clients are served from [`Running::serve_clients`] on.
///
/// # Errors
/// [`StartError`]; the data directory is unchanged if an address is taken or the directory is refused.
pub fn start(options: Options) -> Result<Running, StartError> {
    let clients = listen(&options.client_addresses, &options)?;
    let peers = listen(&options.peer_addresses, &options)?;
    let disk: Arc<dyn Disk> =
        Arc::new(if options.never_sync { RealDisk::without_syncs() } else { RealDisk::new() });
    let boot = options.boot.clone();
    let now_ms = boot.now_ms;
    let booted = {
        let disk = disk.clone();
        vfs::drive(&*disk.clone(), Job::new(move |cx| async move { node::boot(&cx, disk, boot).await }))?
    };
    let ids = RequestIds::for_clients(booted.info.member, now_ms);
    let member = Arc::new(Member::new(booted.info.member, booted.info.cluster, options.limits.clone(), ids));
    let net = NetPool::start(options.net_threads, "net")?;
    let backend = Arc::new(BackendQueue::default());
    let (notices, received) = channel();
    let mailboxes = open_mailboxes(&net);
    let threads = vec![
        backend_thread::spawn(
            booted.writer,
            backend.clone(),
            member.clone(),
            disk.clone(),
            options.compaction_pause,
        )?,
        member_thread::spawn(Driver {
            node: booted.member,
            member: member.clone(),
            disk,
            backend: backend.clone(),
            mailboxes,
            notices,
        })?,
    ];
    serve_peers(&net, peers, &member)?;
    let limits = grpc::Limits {
        message_received_max: options.limits.request_bytes_max + MESSAGE_OVERHEAD_BYTES,
        concurrent_streams_max: options.concurrent_streams_max,
        ping_interval_min: options.ping_interval_min,
        ..grpc::Limits::default()
    };
    net.refuse_tls(clients.refused)?;
    Ok(Running {
        member,
        info: booted.info,
        notices: Mutex::new(received),
        early_end: Mutex::new(None),
        net,
        clients: Mutex::new(None),
        backend,
        threads: Mutex::new(threads),
        pending: Mutex::new(Some(Pending { listeners: clients.plain, limits, cors: Arc::new(options.cors) })),
    })
}

impl Running {
    /// What was found at the start.
    pub fn info(&self) -> &BootInfo {
        &self.info
    }

    /// The member, for views and requests.
    pub fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// Waits until the member leads, knows itself and its cluster's version.
    ///
    /// # Errors
    /// [`StartError::Failed`], [`StartError::Stopped`] if it ends before; [`Running::wait_ended`] sees that too.
    pub fn wait_ready(&self) -> Result<(), StartError> {
        let notice = self.notices.lock().recv();
        let ended = match notice {
            Ok(Notice::Ready) => return Ok(()),
            Ok(Notice::Ended(ended)) => ended,
            Err(_) => Ended::Failed("the member's thread is gone".into()),
        };
        *self.early_end.lock() = Some(ended.clone());
        match ended {
            Ended::Failed(reason) => Err(StartError::Failed(reason)),
            Ended::Stopped => Err(StartError::Stopped),
        }
    }

    /// Serves clients from now on.
    ///
    /// # Errors
    /// [`StartError::Net`].
    pub fn serve_clients(&self) -> Result<(), StartError> {
        let Some(pending) = self.pending.lock().take() else { return Ok(()) };
        let (member, cors) = (self.member.clone(), pending.cors);
        let services = move |thread: usize| {
            let waiters = WAITERS.with_borrow(Clone::clone);
            let local = Rc::new(Local::new(member.clone(), thread, waiters));
            let mut services = Services::new();
            v3rpc::register(&mut services, &local);
            let cors = cors.clone();
            services.http(move |request, _| etcdhttp::handle_client(request, local.clone(), cors.clone()));
            services
        };
        let server = self.net.serve(pending.listeners, pending.limits, services)?;
        *self.clients.lock() = Some(server);
        Ok(())
    }

    /// Stops in order: clients first, whose calls in flight get up to `grace`, then log and backend. Returns once the
    /// clients are gone; [`Running::wait_ended`] sees the end.
    pub fn shut_down(&self, grace: Duration) {
        let clients = self.clients.lock().take();
        if let Some(clients) = clients {
            clients.shutdown(grace).wait();
        }
        self.member.proposer.push(ToNode::Stop);
    }

    /// Waits for the end of the member, asked for or not.
    pub fn wait_ended(&self) -> Ended {
        let ended = loop {
            if let Some(ended) = self.early_end.lock().take() {
                break ended;
            }
            match self.notices.lock().recv() {
                Ok(Notice::Ended(ended)) => break ended,
                Ok(Notice::Ready) => {}
                Err(_) => break Ended::Failed("the member's thread is gone".into()),
            }
        };
        self.backend.stop();
        for thread in self.threads.lock().drain(..) {
            // A panic was printed by its thread.
            let _ = thread.join();
        }
        ended
    }
}

thread_local! {
    /// The handlers that wait on this net thread; a pool's threads belong to one member.
    static WAITERS: RefCell<Waiters<Outcome>> = RefCell::default();
}

type Outcome = Result<apply::Answer, node::Failure>;

/// Opens a mailbox on each net thread and completes there whatever arrives.
fn open_mailboxes(net: &NetPool) -> Vec<Mailbox<Completion>> {
    let open = |thread: usize| {
        let (sender, mut receiver) = mailbox::<Completion>();
        net.run_on(thread, move || {
            let waiters = WAITERS.with_borrow(Clone::clone);
            tokio::task::spawn_local(async move {
                while let Some(batch) = receiver.next_batch().await {
                    for (ticket, result) in batch {
                        // A call that was cancelled or ran out of time does not wait any more.
                        let _ = waiters.complete(ticket, result);
                    }
                }
            });
        });
        sender
    };
    (0..net.threads()).map(open).collect()
}

struct Listeners {
    plain: Vec<Listener>,
    refused: Vec<Listener>,
}

fn listen(addresses: &[Address], options: &Options) -> Result<Listeners, StartError> {
    let socket = SocketOptions { reuse_port: options.reuse_port };
    let mut listeners = Listeners { plain: Vec::new(), refused: Vec::new() };
    for address in addresses {
        let (target, listener) = match address {
            Address::Tcp(address) => (&mut listeners.plain, Listener::tcp(*address, socket)),
            Address::Unix(path) => (&mut listeners.plain, Listener::unix(path)),
            Address::RefuseTls(address) => (&mut listeners.refused, Listener::tcp(*address, socket)),
        };
        let name = || match address {
            Address::Tcp(address) | Address::RefuseTls(address) => address.to_string(),
            Address::Unix(path) => path.display().to_string(),
        };
        target.push(
            listener.map_err(|error| StartError::Listen { address: name(), reason: os::words(&error) })?,
        );
    }
    Ok(listeners)
}

fn serve_peers(net: &NetPool, peers: Listeners, member: &Arc<Member>) -> Result<(), StartError> {
    let member = member.clone();
    let limits = grpc::Limits { protocols: Protocols::HttpOnly, ..grpc::Limits::default() };
    net.serve(peers.plain, limits, move |_| {
        let member = member.clone();
        let mut services = Services::new();
        services.http(move |request, _| std::future::ready(etcdhttp::handle_peer(&request, &member)));
        services
    })?;
    net.refuse_tls(peers.refused)?;
    Ok(())
}

/// What a message may be longer than the largest proposal, as in etcd.
const MESSAGE_OVERHEAD_BYTES: usize = 512 << 10;
