//! A server with a few methods, and a client that sees every header.
#![allow(dead_code, missing_docs)]

pub mod raw;

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use grpc::{
    Code, Context, Limits, Listener, NetPool, Server, Services, SocketOptions, Status, Waiters, text_error,
};
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use prost::Message;
use proto::etcdserverpb::{PutRequest, PutResponse, RangeRequest, RangeResponse, ResponseHeader};

/// A pool that serves [`services`] on a free port.
pub struct Fixture {
    pub server: Server,
    pub address: SocketAddr,
    pub pool: NetPool,
}

pub fn start(limits: Limits) -> Fixture {
    let pool = NetPool::start(NonZeroUsize::new(2).unwrap(), "net").unwrap();
    let (listener, address) = listen();
    let server = pool.serve(vec![listener], limits, |_| Rc::new(services())).unwrap();
    Fixture { server, address, pool }
}

pub fn listen() -> (Listener, SocketAddr) {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap(), SocketOptions::default()).unwrap();
    let address = listener.tcp_address().unwrap();
    (listener, address)
}

/// Put answers with the length of the value as revision; an empty key is an error. Range of `ready` answers at once,
/// of `later` after other tasks ran, of anything else never.
pub fn services() -> Services {
    services_with(&Waiters::new())
}

/// The same, with the place where calls wait that are never answered.
pub fn services_with(waiters: &Waiters<()>) -> Services {
    let mut services = Services::new();
    let put = |request: PutRequest, _: Context| async move {
        if request.key.is_empty() {
            return Err(Status::new(Code::InvalidArgument, "etcdserver: key is not provided \u{2014} 100%"));
        }
        let revision = i64::try_from(request.value.len()).unwrap();
        let header = ResponseHeader { revision, ..Default::default() };
        Ok(PutResponse { header: Some(header), prev_kv: None })
    };
    services.unary(KV, "Put", put);
    let waiters = waiters.clone();
    services.unary(KV, "Range", move |request: RangeRequest, context: Context| {
        let waiters = waiters.clone();
        async move {
            match &request.key[..] {
                b"ready" => {}
                b"later" => {
                    tokio::task::yield_now().await;
                    tokio::task::yield_now().await;
                }
                b"count" => {
                    let waiting = i64::try_from(waiters.len()).unwrap();
                    return Ok(RangeResponse { count: waiting, ..Default::default() });
                }
                _ => waiters.register().1.await,
            }
            let more = context.metadata("hasleader") == Some("true");
            let value = Bytes::from(vec![b'v'; usize::try_from(request.limit).unwrap()]);
            let kv = proto::mvccpb::KeyValue { value, ..Default::default() };
            Ok::<_, Status>(RangeResponse { kvs: vec![kv], more, ..Default::default() })
        }
    });
    services.stream(KV, "RangeStream");
    services.http(|request, peer| async move {
        match request.uri().path() {
            "/version" => http::Response::new(Bytes::from_static(b"{\"etcdserver\":\"3.7.1\"}").into()),
            "/peer" => http::Response::new(Bytes::from(peer.address.unwrap().to_string()).into()),
            _ => text_error(404, "404 page not found"),
        }
    });
    services
}

/// What came back from a call.
#[derive(Debug)]
pub struct Answer {
    pub http_status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// Code and text, wherever they are.
    pub fn status(&self) -> (u32, String) {
        let headers = self.trailers.as_ref().unwrap_or(&self.headers);
        let text = |name| headers.get(name).map_or("", |value| value.to_str().unwrap());
        (text("grpc-status").parse().expect("an answer has a status"), text("grpc-message").to_owned())
    }

    pub fn message<M: Message + Default>(&self) -> M {
        assert_eq!(self.status(), (0, String::new()));
        assert_eq!(
            usize::try_from(u32::from_be_bytes(self.body[1..5].try_into().unwrap())).unwrap() + 5,
            self.body.len()
        );
        M::decode(&self.body[5..]).unwrap()
    }
}

pub type Client = SendRequest<Bytes>;

/// Runs `test` beside a connection to `address`.
pub fn connected<F: Future<Output = ()>>(address: SocketAddr, test: impl FnOnce(Client) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limited = async {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 24).initial_connection_window_size(1 << 24);
        builder.initial_max_send_streams(100_000).max_concurrent_reset_streams(100_000);
        let (client, connection) = builder.handshake(socket).await.unwrap();
        let connection = tokio::spawn(connection);
        test(client).await;
        connection.abort();
    };
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), limited).await.expect("test hangs")
    });
}

pub fn request(method: &str) -> http::request::Builder {
    Request::post(format!("http://localhost/{KV}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

pub fn encode(message: &impl Message) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut body).unwrap();
    body.freeze()
}

/// Sends `body`, whatever it is, and reads everything that comes back.
pub async fn exchange(
    client: &Client,
    request: http::request::Builder,
    body: Bytes,
) -> Result<Answer, h2::Error> {
    let mut client = client.clone().ready().await?;
    let (response, mut stream) = client.send_request(request.body(()).unwrap(), false)?;
    stream.send_data(body, true)?;
    receive(response).await
}

pub async fn receive(response: h2::client::ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut stream) = response.await?.into_parts();
    let mut body = BytesMut::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let trailers = stream.trailers().await?;
    Ok(Answer { http_status: head.status.as_u16(), headers: head.headers, body: body.freeze(), trailers })
}

pub async fn put(client: &Client, key: &'static str, value: Bytes) -> Answer {
    let put = PutRequest { key: Bytes::from_static(key.as_bytes()), value, ..Default::default() };
    exchange(client, request("Put"), encode(&put)).await.unwrap()
}

pub fn range(key: &'static str, limit: i64) -> Bytes {
    encode(&RangeRequest { key: Bytes::from_static(key.as_bytes()), limit, ..Default::default() })
}

pub const KV: &str = "etcdserverpb.KV";
