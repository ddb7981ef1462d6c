//! A server that does nothing, to measure what a request costs before anything is done for it.
//!
//! `null ADDRESS THREADS [direct|thread]`: Range answers one 256-byte value at once; Put answers at once (`direct`), or
//! the way a real put goes (`thread`): through another thread that answers in batches.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use grpc::{Context, Limits, Listener, Mailbox, MailboxReceiver, NetPool, Outbox, Received, Services};
use grpc::{SocketOptions, Status, Ticket, Waiters, mailbox};
use parking_lot::Mutex;
use proto::etcdserverpb::{PutRequest, PutResponse, RangeRequest, RangeResponse, ResponseHeader};
use proto::mvccpb::KeyValue;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A put on its way: which net thread waits for it, under which ticket.
struct Proposal {
    thread: usize,
    ticket: Ticket,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().ok_or("missing address")?.parse()?;
    let threads: NonZeroUsize = arguments.next().ok_or("missing threads")?.parse()?;
    let through_thread = arguments.next().is_some_and(|word| word == "thread");
    let pool = NetPool::start(threads, "net")?;
    let (proposals, proposed) = mailbox();
    let (completions, receivers): (Vec<_>, Vec<_>) = (0..threads.get()).map(|_| mailbox()).unzip();
    let receivers = Arc::new(Mutex::new(receivers.into_iter().map(Some).collect::<Vec<_>>()));
    std::thread::spawn(move || answer_in_batches(proposed, &completions));
    let services = move |thread: usize| {
        let waiters = Waiters::new();
        let receiver = receivers.lock()[thread].take().expect("each thread serves once");
        tokio::task::spawn_local(complete(receiver, waiters.clone()));
        let proposals = proposals.clone();
        // The process ends with the thread that answers.
        let outbox = Outbox::start(move |batch| drop(proposals.push_batch(batch)));
        Rc::new(services(thread, through_thread.then_some(outbox), waiters))
    };
    let listener = Listener::tcp(address, SocketOptions::default())?;
    let _server = pool.serve(vec![listener], Limits::default(), services)?;
    loop {
        std::thread::park();
    }
}

fn services(thread: usize, proposals: Option<Outbox<Proposal>>, waiters: Waiters<i64>) -> Services {
    let mut services = Services::new();
    let value = Bytes::from(vec![b'v'; 256]);
    services.unary("etcdserverpb.KV", "Range", move |request: RangeRequest, _: Context| {
        let kv = KeyValue { key: request.key, value: value.clone(), version: 1, ..Default::default() };
        let response = RangeResponse { header: Some(header(1)), kvs: vec![kv], count: 1, more: false };
        std::future::ready(Ok::<_, Status>(response))
    });
    services.unary("etcdserverpb.KV", "Put", move |_: PutRequest, _: Context| {
        let (proposals, waiters) = (proposals.clone(), waiters.clone());
        async move {
            let mut revision = 1;
            if let Some(proposals) = proposals {
                let (ticket, waiting) = waiters.register();
                proposals.push(Proposal { thread, ticket });
                revision = waiting.await;
            }
            Ok::<_, Status>(PutResponse { header: Some(header(revision)), prev_kv: None })
        }
    });
    services
}

fn header(revision: i64) -> ResponseHeader {
    ResponseHeader {
        cluster_id: 14_841_639_068_965_178_418,
        member_id: 10_276_657_743_932_975_437,
        revision,
        raft_term: 2,
    }
}

async fn complete(mut receiver: MailboxReceiver<(Ticket, i64)>, waiters: Waiters<i64>) {
    while let Some(batch) = receiver.next_batch().await {
        for (ticket, revision) in batch {
            // A call that was cancelled needs no answer.
            let _cancelled = waiters.complete(ticket, revision);
        }
    }
}

/// Takes all proposals there are and answers each net thread with one batch.
fn answer_in_batches(mut proposed: MailboxReceiver<Proposal>, completions: &[Mailbox<(Ticket, i64)>]) {
    let mut revision = 1;
    while let Received::Batch(batch) = proposed.wait(None) {
        let mut answers: Vec<_> = completions.iter().map(|_| Vec::new()).collect();
        for Proposal { thread, ticket } in batch {
            revision += 1;
            answers[thread].push((ticket, revision));
        }
        for (mailbox, answers) in completions.iter().zip(answers) {
            // The process ends with its net threads.
            let _gone = mailbox.push_batch(answers);
        }
    }
}
