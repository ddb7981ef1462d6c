//! gRPC over one HTTP/2 connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::activity::{Activity, OpenCall, Outgoing};
use crate::call::{GRPC_ENCODING, MessageLimits, Responder, UnaryCall};
use crate::connection::Limits;
use crate::drain::{Follower, Phase};
use crate::gzip::Encoding;
use crate::keepalive::{Keepalive, KeepalivePolicy, Stall};
use crate::meter::{Meter, PingPolicy};
use crate::pool::Counters;
use crate::services::{self, Kind, Peer, Services};
use crate::status::{Code, Status, quote};
use crate::timeout;
use crate::wire::Wire;

/// What a client that speaks HTTP/2 sends first. Source: RFC 9113, section 3.4.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves gRPC on `io`, whose preface was read already, until either side ends.
pub(crate) async fn serve<IO: AsyncRead + AsyncWrite + Unpin + 'static>(
    io: IO,
    services: Rc<Services>,
    limits: &Limits,
    peer: Rc<Peer>,
    follower: Follower,
    counters: Arc<Counters>,
) {
    let activity = Activity::new(limits, counters);
    let meter = Meter::new(PingPolicy { interval_min: limits.ping_interval_min }, Instant::now());
    let wire = Wire::new(io, PREFACE, meter, activity.clone());
    let connection = match handshake(&wire, limits, &follower).await {
        Ok(Some(connection)) => connection,
        Ok(None) => return,
        Err(error) => return tracing::debug!(%error, "http2 handshake failed"),
    };
    let mut driver = Driver {
        keepalive: None,
        stall: Stall::new(limits.keepalive_timeout),
        ended: None,
        connection,
        wire: wire.clone(),
        services,
        message_max: limits.message_received_max,
        peer,
        activity,
        follower,
        is_told: false,
    };
    let policy = KeepalivePolicy { interval: limits.keepalive_interval, timeout: limits.keepalive_timeout };
    driver.keepalive = driver.connection.ping_pong().map(|ping_pong| Keepalive::new(policy, ping_pong));
    poll_fn(|cx| driver.follower_registered(cx)).await;
    if let Err(error) = poll_fn(|cx| driver.poll(cx)).await {
        tracing::debug!(%error, "http2 connection ended");
    }
    if let Some(violation) = wire.violation() {
        driver.services.count_violation();
        tracing::warn!(peer = ?driver.peer.address, ?violation, "closed a connection that sent too much");
        wire.refuse(violation).await;
    }
}

/// Sends our settings. `None` if the server stops meanwhile.
async fn handshake<IO: AsyncRead + AsyncWrite + Unpin>(
    wire: &Wire<IO>,
    limits: &Limits,
    follower: &Follower,
) -> Result<Option<Connection<Wire<IO>, Outgoing>>, Ended> {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .data_frame_budget(UNREAD_FRAMES_MAX * 256)
        // The meter bounds floods by rate; these guards count over a connection's life and would end honest ones.
        .max_pending_accept_reset_streams(usize::MAX)
        .max_local_error_reset_streams(None);
    if limits.concurrent_streams_max < u32::MAX {
        builder.max_concurrent_streams(limits.concurrent_streams_max);
    }
    let mut handshake = pin!(builder.handshake(wire.clone()));
    poll_fn(|cx| {
        if follower.phase() > Phase::Serving {
            return Poll::Ready(Ok(None));
        }
        let connection = handshake.as_mut().poll(cx).map_ok(Some).map_err(Ended::from);
        let _unwritten_waits = wire.poll_write_gathered(cx)?;
        connection
    })
    .await
}

/// Drives one connection; one task.
struct Driver<IO> {
    connection: Connection<Wire<IO>, Outgoing>,
    wire: Wire<IO>,
    services: Rc<Services>,
    message_max: usize,
    peer: Rc<Peer>,
    activity: Rc<Activity>,
    follower: Follower,
    /// Whether the client was told that the server drains.
    is_told: bool,
    keepalive: Option<Keepalive>,
    stall: Stall,
    /// How the machine has ended; what is gathered still goes out.
    ended: Option<Result<(), h2::Error>>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Driver<IO> {
    fn follower_registered(&self, cx: &Context<'_>) -> Poll<()> {
        self.follower.register(cx);
        Poll::Ready(())
    }

    /// Reads what there is, starts calls, answers those that need not wait, and writes once.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        match self.follower.phase() {
            Phase::Closing => return Poll::Ready(Ok(())),
            Phase::Draining if !self.is_told => {
                self.is_told = true;
                self.connection.graceful_shutdown();
            }
            _ => {}
        }
        let machine = if self.ended.is_none() { self.poll_machine(cx) } else { Machine::Rests };
        let written = self.wire.poll_write_gathered(cx).map_err(Ended::from)?;
        if self.wire.violation().is_some() {
            return Poll::Ready(Ok(()));
        }
        if written.is_ready()
            && let Some(ended) = self.ended.take()
        {
            return Poll::Ready(ended.map_err(Ended::from));
        }
        if machine == Machine::Rests && self.wire.machine_waits() {
            cx.waker().wake_by_ref();
        }
        if self.stall.poll_dead(cx, self.wire.stuck_at()).is_ready() {
            return Poll::Ready(Err(Ended::Stuck));
        }
        if let Some(keepalive) = &mut self.keepalive
            && keepalive.poll_dead(cx, self.wire.last_sign()).is_ready()
        {
            return Poll::Ready(Err(Ended::Silent));
        }
        Poll::Pending
    }

    /// Lets the machine read and write, and starts the calls it has read.
    fn poll_machine(&mut self, cx: &mut Context<'_>) -> Machine {
        for _ in 0..CALLS_PER_POLL_MAX {
            match self.connection.poll_accept(cx) {
                Poll::Pending => return Machine::Rests,
                Poll::Ready(Some(Ok((request, stream)))) => self.start(request, stream),
                Poll::Ready(ended) => {
                    self.ended = Some(ended.transpose().map(drop));
                    return Machine::Rests;
                }
            }
        }
        // More are waiting; other connections of this thread come first.
        cx.waker().wake_by_ref();
        Machine::IsBusy
    }

    /// Starts a call: checks in the order of grpc-go, runs it, and gives it a task if it has to wait.
    fn start(&self, request: http::Request<RecvStream>, stream: SendResponse<Outgoing>) {
        let (head, body) = request.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE);
        let Some(echoed) = content_type_echoed(content_type) else {
            let text = format!("invalid gRPC request content-type {}", quote(bytes_of(content_type)));
            let responder = self.responder(stream, GRPC);
            let status = Status::new(Code::InvalidArgument, text);
            return responder.refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, &status);
        };
        let responder = self.responder(stream, echoed);
        let deadline = match deadline(&head.headers) {
            Ok(deadline) => deadline,
            Err(status) => return responder.refusal(StatusCode::BAD_REQUEST, &status),
        };
        if head.method != Method::POST {
            let method = quote(head.method.as_str().as_bytes());
            let text = format!("Received a HEADERS frame with :method {method} which should be POST");
            let status = Status::new(Code::Internal, text);
            return responder.refusal(StatusCode::METHOD_NOT_ALLOWED, &status);
        }
        if deadline.is_some_and(|deadline| deadline.is_past) {
            return responder.status(&Status::deadline_exceeded());
        }
        let method = match self.find(head.uri.path()) {
            Ok(method) => method.clone(),
            Err(status) => return responder.status(&status),
        };
        let encoding = match Encoding::announced(head.headers.get(GRPC_ENCODING)) {
            Ok(encoding) => encoding,
            Err(status) => return responder.unknown_encoding(&status),
        };
        let context = services::Context {
            headers: head.headers,
            deadline: deadline.map(|deadline| deadline.at),
            peer: self.peer.clone(),
        };
        let message = MessageLimits { encoding, bytes_max: self.message_max };
        let mut call = UnaryCall::new(method, body, responder, context, message, self.activity.clone());
        // Most requests have arrived whole by now, and many handlers need not wait: no task for those. What this poll
        // registers is void, because the task that takes over polls anew.
        if call.poll_run(&mut Context::from_waker(Waker::noop())).is_pending() {
            tokio::task::spawn_local(call);
        }
    }

    fn find(&self, path: &str) -> Result<&Rc<services::Method>, Status> {
        let method = self.services.find(path)?;
        if let Kind::Stream = method.kind {
            let name = path.rsplit('/').next().unwrap_or_default();
            return Err(Status::new(Code::Unimplemented, format!("method {name} is not implemented yet")));
        }
        Ok(method)
    }

    fn responder(&self, stream: SendResponse<Outgoing>, content_type: HeaderValue) -> Responder {
        Responder::new(stream, content_type, OpenCall::new(self.activity.clone()))
    }
}

/// How a poll of the HTTP/2 machine ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Machine {
    /// It has done all it can for the moment.
    Rests,
    /// It has read more calls than were started.
    IsBusy,
}

/// Why a connection ended that did not end in order.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("protocol")]
    Protocol(#[from] h2::Error),
    #[error("write")]
    Write(#[from] io::Error),
    #[error("no answer to a keep-alive ping")]
    Silent,
    #[error("client does not read")]
    Stuck,
}

/// The content type of the response to a request of `content_type`: the same, so that a subtype comes back. `None` for
/// what is not gRPC.
fn content_type_echoed(content_type: Option<&HeaderValue>) -> Option<HeaderValue> {
    let subtype = content_type?.as_bytes().strip_prefix(GRPC.as_bytes())?;
    match subtype {
        [] | [b'+' | b';'] => Some(GRPC),
        b"+proto" | b";proto" => Some(GRPC_PROTO),
        [b'+' | b';', rest @ ..] => HeaderValue::from_bytes(&[GRPC.as_bytes(), b"+", rest].concat()).ok(),
        _ => None,
    }
}

fn bytes_of(value: Option<&HeaderValue>) -> &[u8] {
    value.map(HeaderValue::as_bytes).unwrap_or_default()
}

/// A caller's deadline.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    is_past: bool,
}

/// The deadline in the headers; a timeout beyond the clock's range is none.
fn deadline(headers: &HeaderMap) -> Result<Option<Deadline>, Status> {
    let Some(value) = headers.get(GRPC_TIMEOUT) else {
        return Ok(None);
    };
    let timeout = timeout::parse(value.as_bytes())?;
    let at = Instant::now().checked_add(timeout);
    Ok(at.map(|at| Deadline { at, is_past: timeout.is_zero() }))
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_PROTO: HeaderValue = HeaderValue::from_static("application/grpc+proto");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What a client may send that no handler has read, over all its streams; it waits when there is more.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 20;
/// Tiny DATA frames of a connection that no handler has read: each holds memory beside its bytes. Tens of thousands at
/// once are honest. h2 counts 256 for a frame less its bytes.
const UNREAD_FRAMES_MAX: usize = 256 * 1024;
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// As in Go.
const HEADER_LIST_BYTES_MAX: u32 = 16 << 20;
/// Calls started before other connections of the thread get their turn.
const CALLS_PER_POLL_MAX: usize = 256;
