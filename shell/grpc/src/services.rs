//! What a server offers: methods by path, and one function for plain HTTP.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;

use crate::frame::{Frame, Response};
use crate::http1::{HttpRequest, HttpResponse, text_error};
use crate::status::{Code, Status, quote};

/// A future that stays on its thread.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// The methods of one server on one thread. Handlers may hold `Rc`s: they never leave the thread.
pub struct Services {
    methods: HashMap<String, Rc<Method>>,
    /// Names of services, to tell an unknown method from an unknown service.
    names: BTreeSet<String>,
    http: HttpHandler,
    violations: Cell<u64>,
}

impl Services {
    /// No methods; plain HTTP answers 404.
    pub fn new() -> Services {
        let http: HttpHandler =
            Box::new(|_, _| Box::pin(std::future::ready(text_error(404, "404 page not found"))));
        Services { methods: HashMap::new(), names: BTreeSet::new(), http, violations: Cell::new(0) }
    }

    /// Adds a unary method: `/service/method` decodes a `Q`, calls `handler`, and sends what it answers.
    ///
    /// The handler's future is dropped when the caller cancels or the deadline passes.
    pub fn unary<Q, A, F>(&mut self, service: &str, method: &str, handler: impl Fn(Q, Context) -> F + 'static)
    where
        Q: prost::Message + Default,
        A: Response,
        F: Future<Output = Result<A, Status>> + 'static,
    {
        let unary: UnaryHandler = Box::new(move |message, context| match Q::decode(message) {
            Ok(request) => {
                let answer = handler(request, context);
                Box::pin(async move { answer.await?.into_frame() })
            }
            Err(_) => Box::pin(std::future::ready(Err(unmarshalling_failed()))),
        });
        self.insert(service, method, Kind::Unary(unary));
    }

    /// Adds a streaming method that answers UNIMPLEMENTED.
    pub fn stream(&mut self, service: &str, method: &str) {
        self.insert(service, method, Kind::Stream);
    }

    /// Sets what answers HTTP/1 requests on the same port.
    pub fn http<F>(&mut self, handler: impl Fn(HttpRequest, Rc<Peer>) -> F + 'static)
    where
        F: Future<Output = HttpResponse> + 'static,
    {
        self.http = Box::new(move |request, peer| Box::pin(handler(request, peer)));
    }

    /// Path and counters of every method, in no order.
    pub fn stats(&self) -> impl Iterator<Item = (&str, &MethodStats)> {
        self.methods.iter().map(|(path, method)| (path.as_str(), &method.stats))
    }

    /// Connections ended because the client sent too many pings or other control frames.
    pub fn violations(&self) -> u64 {
        self.violations.get()
    }

    pub(crate) fn count_violation(&self) {
        self.violations.set(self.violations.get() + 1);
    }

    /// The method of `path`.
    ///
    /// # Errors
    /// UNIMPLEMENTED in the words of grpc-go.
    pub(crate) fn find(&self, path: &str) -> Result<&Rc<Method>, Status> {
        self.methods.get(path).ok_or_else(|| self.unknown(path))
    }

    pub(crate) fn answer_http(&self, request: HttpRequest, peer: Rc<Peer>) -> LocalFuture<HttpResponse> {
        (self.http)(request, peer)
    }

    fn insert(&mut self, service: &str, method: &str, kind: Kind) {
        self.names.insert(service.to_owned());
        let method =
            Rc::new(Method { kind, stats: MethodStats::default(), path: format!("/{service}/{method}") });
        let previous = self.methods.insert(method.path.clone(), method);
        assert!(previous.is_none(), "a method is registered once");
    }

    fn unknown(&self, path: &str) -> Status {
        let split = path.strip_prefix('/').and_then(|names| names.rsplit_once('/'));
        let text = match split {
            None => format!("malformed method name: {}", quote(path.as_bytes())),
            Some((service, method)) if self.names.contains(service) => {
                format!("unknown method {method} for service {service}")
            }
            Some((service, _)) => format!("unknown service {service}"),
        };
        Status::new(Code::Unimplemented, text)
    }
}

impl Default for Services {
    fn default() -> Self {
        Services::new()
    }
}

/// What a handler knows of its call beside the request.
#[derive(Debug)]
pub struct Context {
    /// Request headers, gRPC's own included; names in lower case.
    pub headers: HeaderMap,
    /// When the caller stops waiting, if it said so.
    pub deadline: Option<Instant>,
    /// Who calls.
    pub peer: Rc<Peer>,
}

impl Context {
    /// The first value of a header, if it is text.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The other end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its address; none over a unix socket.
    pub address: Option<SocketAddr>,
}

/// Counters of one method on one thread.
#[derive(Debug, Default)]
pub struct MethodStats {
    started: Cell<u64>,
    handled: [Cell<u64>; Code::ALL.len()],
}

impl MethodStats {
    /// Calls started.
    pub fn started(&self) -> u64 {
        self.started.get()
    }

    /// Calls that ended with `code`.
    pub fn handled(&self, code: Code) -> u64 {
        self.handled[usize::from(code.number())].get()
    }

    pub(crate) fn count_started(&self) {
        self.started.set(self.started.get() + 1);
    }

    pub(crate) fn count_handled(&self, code: Code) {
        let counter = &self.handled[usize::from(code.number())];
        counter.set(counter.get() + 1);
    }
}

/// One method.
pub(crate) struct Method {
    pub(crate) kind: Kind,
    pub(crate) stats: MethodStats,
    path: String,
}

pub(crate) enum Kind {
    Unary(UnaryHandler),
    Stream,
}

type UnaryHandler = Box<dyn Fn(Bytes, Context) -> LocalFuture<Result<Frame, Status>>>;
type HttpHandler = Box<dyn Fn(HttpRequest, Rc<Peer>) -> LocalFuture<HttpResponse>>;

/// grpc-go appends what its decoder says, which for broken bytes is always this.
fn unmarshalling_failed() -> Status {
    let text = "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data";
    Status::new(Code::Internal, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_paths_are_named_as_in_go() {
        let mut services = Services::new();
        services.stream("etcdserverpb.KV", "RangeStream");
        for (path, text) in [
            ("/foo.Bar/Baz", "unknown service foo.Bar"),
            ("/etcdserverpb.KV/Nope", "unknown method Nope for service etcdserverpb.KV"),
            ("/nothing", "malformed method name: \"/nothing\""),
            ("*", "malformed method name: \"*\""),
        ] {
            let status = services.find(path).err().unwrap();
            assert_eq!(status, Status::new(Code::Unimplemented, text));
        }
        assert!(services.find("/etcdserverpb.KV/RangeStream").is_ok());
    }
}
