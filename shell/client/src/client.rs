//! The calls.

use crate::endpoint::{ConnectionOptions, Endpoint};
use crate::error::{Error, Result};
use http::uri::PathAndQuery;
use prost::Message;
use proto::etcdserverpb as pb;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use types::ETCD_VERSION;

/// Whom to call, and within which bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses of members; see [`Endpoint::parse`].
    pub endpoints: Vec<String>,
    /// Bound of one attempt to connect.
    pub dial_timeout: Duration,
    /// Bound of one call, connecting included; `None` waits as long as it takes.
    pub call_timeout: Option<Duration>,
    /// Time between pings on a connection with a call in progress; below ten seconds it acts as ten.
    pub keepalive_time: Duration,
    /// How long an answer to a ping may take before the connection is given up.
    pub keepalive_timeout: Duration,
    /// Largest request in bytes.
    pub send_bytes_max: usize,
    /// Largest answer in bytes.
    pub receive_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoints: vec!["127.0.0.1:2379".to_owned()],
            dial_timeout: Duration::from_secs(2),
            call_timeout: Some(Duration::from_secs(5)),
            keepalive_time: Duration::from_secs(2),
            keepalive_timeout: Duration::from_secs(6),
            send_bytes_max: 2 << 20,
            receive_bytes_max: (1 << 31) - 1,
        }
    }
}

/// A client of one cluster. One call at a time.
#[derive(Debug)]
pub struct Client {
    config: Config,
    endpoints: Vec<Endpoint>,
    channel: Option<Channel>,
}

/// A method of the API, and whether a call of it may be sent twice.
#[derive(Clone, Copy)]
struct Method {
    path: &'static str,
    is_repeatable: bool,
}

const fn read(path: &'static str) -> Method {
    Method { path, is_repeatable: true }
}

const fn write(path: &'static str) -> Method {
    Method { path, is_repeatable: false }
}

const RANGE: Method = read("/etcdserverpb.KV/Range");
const PUT: Method = write("/etcdserverpb.KV/Put");
const DELETE_RANGE: Method = write("/etcdserverpb.KV/DeleteRange");
const TXN: Method = write("/etcdserverpb.KV/Txn");
const COMPACT: Method = write("/etcdserverpb.KV/Compact");
const MEMBER_LIST: Method = read("/etcdserverpb.Cluster/MemberList");
const ALARM: Method = write("/etcdserverpb.Maintenance/Alarm");
const STATUS: Method = read("/etcdserverpb.Maintenance/Status");
const HASH_KV: Method = read("/etcdserverpb.Maintenance/HashKV");

/// Pause between rounds of attempts to connect, and before a read is sent again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Bound of the times one read is sent.
const ATTEMPTS_MAX: usize = 100;

impl Client {
    /// Makes a client. Nothing is connected before the first call.
    ///
    /// # Errors
    /// [`Error::NoEndpoints`], [`Error::BadEndpoint`], [`Error::TlsNotImplemented`].
    pub fn new(config: Config) -> Result<Self> {
        let endpoints =
            config.endpoints.iter().map(|text| Endpoint::parse(text)).collect::<Result<Vec<_>>>()?;
        if endpoints.is_empty() {
            return Err(Error::NoEndpoints);
        }
        Ok(Self { config, endpoints, channel: None })
    }

    /// Reads a range of keys.
    pub async fn range(&mut self, request: pb::RangeRequest) -> Result<pb::RangeResponse> {
        self.call(RANGE, request).await
    }

    /// Writes a key.
    pub async fn put(&mut self, request: pb::PutRequest) -> Result<pb::PutResponse> {
        self.call(PUT, request).await
    }

    /// Deletes a range of keys.
    pub async fn delete_range(&mut self, request: pb::DeleteRangeRequest) -> Result<pb::DeleteRangeResponse> {
        self.call(DELETE_RANGE, request).await
    }

    /// Compares and then reads and writes, atomically.
    pub async fn txn(&mut self, request: pb::TxnRequest) -> Result<pb::TxnResponse> {
        let writes = |ops: &[pb::RequestOp]| ops.iter().any(|op| !is_range(op));
        let is_repeatable = !writes(&request.success) && !writes(&request.failure);
        self.call(Method { is_repeatable, ..TXN }, request).await
    }

    /// Drops history below a revision.
    pub async fn compact(&mut self, request: pb::CompactionRequest) -> Result<pb::CompactionResponse> {
        self.call(COMPACT, request).await
    }

    /// Lists the members of the cluster.
    pub async fn member_list(&mut self, request: pb::MemberListRequest) -> Result<pb::MemberListResponse> {
        self.call(MEMBER_LIST, request).await
    }

    /// Lists, raises or disarms alarms.
    pub async fn alarm(&mut self, request: pb::AlarmRequest) -> Result<pb::AlarmResponse> {
        self.call(ALARM, request).await
    }

    /// Asks a member how it is.
    pub async fn status(&mut self) -> Result<pb::StatusResponse> {
        self.call(STATUS, pb::StatusRequest {}).await
    }

    /// Asks a member for the hash of its keys up to a revision.
    pub async fn hash_kv(&mut self, request: pb::HashKvRequest) -> Result<pb::HashKvResponse> {
        self.call(HASH_KV, request).await
    }

    async fn call<Q, R>(&mut self, method: Method, request: Q) -> Result<R>
    where
        Q: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        let size = request.encoded_len();
        if size > self.config.send_bytes_max {
            let limit = self.config.send_bytes_max;
            let message = format!("trying to send message larger than max ({size} vs. {limit})");
            return Err(Error::Status { code: Code::ResourceExhausted, message });
        }
        let deadline = self.config.call_timeout.map(|timeout| Instant::now() + timeout);
        let attempts = self.attempts(method, request, deadline);
        match deadline {
            Some(deadline) => timeout_at(deadline, attempts).await.unwrap_or(Err(Error::DeadlineExceeded)),
            None => attempts.await,
        }
    }

    async fn attempts<Q, R>(&mut self, method: Method, request: Q, deadline: Option<Instant>) -> Result<R>
    where
        Q: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        for attempt in 1.. {
            let channel = self.connected().await;
            let error = match self.send(channel, method, request.clone(), deadline).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let is_unavailable = matches!(error, Error::Status { code: Code::Unavailable, .. });
            if is_unavailable {
                self.channel = None;
            }
            if !is_unavailable || !method.is_repeatable || attempt >= ATTEMPTS_MAX {
                return Err(error);
            }
            sleep(RECONNECT_PAUSE).await;
        }
        unreachable!("the attempts are counted up to a bound")
    }

    async fn send<Q, R>(
        &self,
        channel: Channel,
        method: Method,
        message: Q,
        deadline: Option<Instant>,
    ) -> Result<R>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let mut request = Request::new(message);
        // The server counts requests by what the client calls itself.
        let version = MetadataValue::try_from(ETCD_VERSION.to_string()).expect("digits and dots are ASCII");
        request.metadata_mut().insert("client-api-version", version);
        if let Some(deadline) = deadline {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        let mut grpc =
            tonic::client::Grpc::new(channel).max_decoding_message_size(self.config.receive_bytes_max);
        grpc.ready()
            .await
            .map_err(|error| Error::Status { code: Code::Unavailable, message: error.to_string() })?;
        let codec = ProstCodec::<Q, R>::default();
        match grpc.unary(request, PathAndQuery::from_static(method.path), codec).await {
            Ok(response) => Ok(response.into_inner()),
            // Caller, transport and server watch the same deadline: whoever sees it pass first, it is one event.
            Err(status) if is_timeout(&status) && deadline.is_some() => Err(Error::DeadlineExceeded),
            Err(status) => Err(status.into()),
        }
    }

    /// The connection in use, or the first that any endpoint grants. Tries for ever: the caller bounds it.
    async fn connected(&mut self) -> Channel {
        loop {
            if let Some(channel) = &self.channel {
                return channel.clone();
            }
            let options = ConnectionOptions {
                dial_timeout: self.config.dial_timeout,
                keepalive_time: self.config.keepalive_time,
                keepalive_timeout: self.config.keepalive_timeout,
            };
            let mut dials = JoinSet::new();
            for endpoint in self.endpoints.clone() {
                dials.spawn(async move { endpoint.connect(options).await });
            }
            while let Some(outcome) = dials.join_next().await {
                if let Ok(Ok(channel)) = outcome {
                    self.channel = Some(channel);
                    break;
                }
            }
            if self.channel.is_none() {
                sleep(RECONNECT_PAUSE).await;
            }
        }
    }
}

fn is_timeout(status: &Status) -> bool {
    match status.code() {
        Code::DeadlineExceeded => true,
        // The words of the transport's own timer.
        Code::Cancelled => status.message() == "Timeout expired",
        _ => false,
    }
}

fn is_range(op: &pb::RequestOp) -> bool {
    matches!(op.request, Some(pb::request_op::Request::RequestRange(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn unreachable_config() -> Config {
        let call_timeout = Some(Duration::from_millis(30));
        Config { endpoints: vec!["unix:/nonexistent/socket".to_owned()], call_timeout, ..Config::default() }
    }

    #[test]
    fn a_call_that_nobody_answers_ends_with_its_time() {
        let mut client = Client::new(unreachable_config()).unwrap();
        let error = block_on(client.put(pb::PutRequest::default())).unwrap_err();
        assert_eq!(error.to_string(), "context deadline exceeded");
    }

    #[test]
    fn a_request_above_the_limit_is_not_sent() {
        let mut client = Client::new(Config { send_bytes_max: 10, ..unreachable_config() }).unwrap();
        let request =
            pb::PutRequest { key: "aaaaaaaaa".into(), value: "bbbbbbbbbb".into(), ..Default::default() };
        assert_eq!(
            block_on(client.put(request)).unwrap_err().to_string(),
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max (23 vs. 10)"
        );
    }

    #[test]
    fn without_endpoints_there_is_no_client() {
        let error = Client::new(Config { endpoints: Vec::new(), ..Config::default() }).unwrap_err();
        assert_eq!(error, Error::NoEndpoints);
    }
}
