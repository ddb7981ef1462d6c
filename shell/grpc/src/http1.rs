//! Plain HTTP/1 on the same port.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Limits;
use crate::drain::{Follower, Phase};
use crate::services::{Peer, Services};

/// A request; its body is read by the handler.
pub type HttpRequest = http::Request<Incoming>;
/// A response with its whole body.
pub type HttpResponse = http::Response<Full<Bytes>>;

/// An error page as Go's net/http writes it: the text, a newline, and no guessing of types.
///
/// `status` is an HTTP status code; one that is out of range becomes 500.
pub fn text_error(status: u16, text: &str) -> HttpResponse {
    let mut response = http::Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(NOSNIFF, HeaderValue::from_static("nosniff"));
    response
}

/// Serves HTTP/1 on `io`, of which `first` was read already, until either side ends.
pub(crate) async fn serve<IO: AsyncRead + AsyncWrite + Unpin + 'static>(
    io: IO,
    first: Vec<u8>,
    services: Rc<Services>,
    limits: &Limits,
    peer: Rc<Peer>,
    follower: Follower,
) {
    let service = service_fn(move |request: HttpRequest| {
        let response = services.answer_http(request, peer.clone());
        async move { Ok::<_, Infallible>(response.await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.read_header_timeout)
            .half_close(true)
            // As Go writes names; scripts that grep for them expect it.
            .title_case_headers(true)
            .serve_connection(TokioIo::new(Rewind { first, io }), service)
    );
    let mut is_told = false;
    let ended = std::future::poll_fn(|cx| {
        match follower.phase() {
            Phase::Closing => return Poll::Ready(Ok(())),
            Phase::Draining if !is_told => {
                is_told = true;
                connection.as_mut().graceful_shutdown();
            }
            _ => {}
        }
        follower.register(cx);
        connection.as_mut().poll(cx)
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "http connection ended");
    }
}

/// A stream whose first bytes were read and are given again.
struct Rewind<IO> {
    first: Vec<u8>,
    io: IO,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Rewind<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let count = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..count]);
        self.first.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Rewind<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

const NOSNIFF: HeaderName = header::X_CONTENT_TYPE_OPTIONS;
