//! One unary call: from its first DATA to its trailers.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, ready};

use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::Sleep;

use crate::activity::{Activity, OpenCall, Outgoing, Partial, Unsent};
use crate::frame::{Assembler, Frame};
use crate::gzip::{self, Encoding};
use crate::services::{Context, Kind, LocalFuture, Method};
use crate::status::{Code, GRPC_STATUS, Status};

/// The sending half of a call's stream, which ends with a status however the call goes.
pub(crate) struct Responder {
    stream: SendResponse<Outgoing>,
    content_type: HeaderValue,
    encoding: Encoding,
    call: OpenCall,
}

impl Responder {
    pub(crate) fn new(
        stream: SendResponse<Outgoing>,
        content_type: HeaderValue,
        call: OpenCall,
    ) -> Responder {
        Responder { stream, content_type, encoding: Encoding::Identity, call }
    }

    /// Headers, one DATA frame, trailers.
    fn message(self, frame: Frame) {
        note_departure(self.send_message(frame));
    }

    fn send_message(mut self, frame: Frame) -> Result<(), h2::Error> {
        let mut head = self.head(StatusCode::OK);
        if self.encoding == Encoding::Gzip {
            head.headers_mut().insert(GRPC_ENCODING, GZIP);
        }
        let mut data = self.stream.send_response(head, false)?;
        data.send_data(Outgoing::new(frame.into_bytes(), self.call), false)?;
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(GRPC_STATUS, Code::Ok.header_value());
        data.send_trailers(trailers)
    }

    /// A response of headers only, which carry the status.
    pub(crate) fn status(self, status: &Status) {
        self.refusal(StatusCode::OK, status);
    }

    /// As [`Responder::status`], for a request in an encoding that we cannot read: says which we can.
    pub(crate) fn unknown_encoding(mut self, status: &Status) {
        let mut head = self.head(StatusCode::OK);
        head.headers_mut().insert(GRPC_ACCEPT_ENCODING, GZIP);
        status.write_to(head.headers_mut());
        note_departure(self.stream.send_response(head, true).map(drop));
    }

    /// As [`Responder::status`], for requests that are no gRPC and get an HTTP status too.
    pub(crate) fn refusal(mut self, http_status: StatusCode, status: &Status) {
        let mut head = self.head(http_status);
        status.write_to(head.headers_mut());
        note_departure(self.stream.send_response(head, true).map(drop));
    }

    fn head(&self, http_status: StatusCode) -> http::Response<()> {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        let mut head = http::Response::new(());
        *head.status_mut() = http_status;
        *head.headers_mut() = headers;
        head
    }
}

/// An error only means that the client is gone.
fn note_departure(result: Result<(), h2::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "client left before its response");
    }
}

/// What the request of a call may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageLimits {
    pub(crate) encoding: Encoding,
    /// Largest message, in bytes, compressed or not.
    pub(crate) bytes_max: usize,
}

/// A unary call in progress. As a future it runs until the call has ended, for whatever reason.
pub(crate) struct UnaryCall {
    method: Rc<Method>,
    body: RecvStream,
    /// Taken when the call is answered.
    responder: Option<Responder>,
    stage: Stage,
    deadline: Option<tokio::time::Instant>,
    /// Exists once a call with a deadline has to wait.
    timer: Option<Pin<Box<Sleep>>>,
    activity: Rc<Activity>,
}

enum Stage {
    Receiving { assembler: Assembler, partial: Partial, context: Option<Context> },
    Running(LocalFuture<Result<Frame, Status>>),
}

/// The client cancelled, or its connection is gone: nobody reads an answer.
struct Cancelled;

impl UnaryCall {
    pub(crate) fn new(
        method: Rc<Method>,
        body: RecvStream,
        mut responder: Responder,
        context: Context,
        message: MessageLimits,
        activity: Rc<Activity>,
    ) -> UnaryCall {
        responder.encoding = message.encoding;
        method.stats.count_started();
        UnaryCall {
            method,
            body,
            deadline: context.deadline.map(tokio::time::Instant::from_std),
            responder: Some(responder),
            stage: Stage::Receiving {
                assembler: Assembler::new(message.bytes_max, message.encoding),
                partial: Partial::new(activity.clone()),
                context: Some(context),
            },
            timer: None,
            activity,
        }
    }

    /// Receives and runs as far as possible. Once this is ready the call has ended.
    pub(crate) fn poll_run(&mut self, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let outcome = match ready!(self.poll_outcome(cx)) {
            Ok(outcome) => outcome,
            Err(Cancelled) => {
                self.method.stats.count_handled(Code::Cancelled);
                return Poll::Ready(());
            }
        };
        self.answer(outcome);
        Poll::Ready(())
    }

    fn answer(&mut self, outcome: Result<Frame, Status>) {
        let code = outcome.as_ref().map_or_else(|status| status.code, |_| Code::Ok);
        self.method.stats.count_handled(code);
        if let Some(responder) = self.responder.take() {
            match outcome {
                Ok(frame) => responder.message(frame),
                Err(status) => responder.status(&status),
            }
        }
    }

    fn poll_outcome(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Result<Result<Frame, Status>, Cancelled>> {
        ready!(self.activity.poll_room(cx));
        loop {
            let (assembler, partial, context) = match &mut self.stage {
                Stage::Running(handler) => return handler.as_mut().poll(cx).map(Ok),
                Stage::Receiving { assembler, partial, context } => (assembler, partial, context),
            };
            let message = match ready!(self.body.poll_data(cx)) {
                None => return Poll::Ready(Ok(Err(assembler.ended()))),
                Some(Err(_)) => return Poll::Ready(Err(Cancelled)),
                Some(Ok(piece)) => {
                    let piece_bytes = piece.len();
                    match assembler.push(piece) {
                        Err(status) => return Poll::Ready(Ok(Err(status))),
                        // The window of a stream that has served its purpose needs no refill.
                        Ok(Some(message)) => message,
                        Ok(None) => {
                            if let Err(status) = partial.grow_to(assembler.held_bytes()) {
                                return Poll::Ready(Ok(Err(status)));
                            }
                            // Fails only for more than was received.
                            let _released = self.body.flow_control().release_capacity(piece_bytes);
                            continue;
                        }
                    }
                }
            };
            let context = context.take().expect("a call receives one message");
            let Kind::Unary(handler) = &self.method.kind else {
                return Poll::Ready(Ok(Err(Status::new(
                    Code::Unimplemented,
                    "streaming is not implemented yet",
                ))));
            };
            let answer = handler(message, context);
            self.stage = Stage::Running(match self.responder.as_ref().map(|responder| responder.encoding) {
                Some(Encoding::Gzip) => Box::pin(compressed(answer, self.activity.clone())),
                _ => answer,
            });
        }
    }
}

/// What `handler` answers, compressed. It counts as waiting for the client in the meantime.
async fn compressed(
    handler: LocalFuture<Result<Frame, Status>>,
    activity: Rc<Activity>,
) -> Result<Frame, Status> {
    let frame = handler.await?;
    let _unsent = Unsent::new(activity, frame.message().len());
    gzip::compress(frame).await
}

impl Future for UnaryCall {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let call = self.get_mut();
        if call.poll_run(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(responder) = &mut call.responder else {
            return Poll::Ready(());
        };
        if responder.stream.poll_reset(cx).is_ready() {
            call.method.stats.count_handled(Code::Cancelled);
            return Poll::Ready(());
        }
        if let Some(deadline) = call.deadline {
            let timer = call.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if timer.as_mut().poll(cx).is_ready() {
                call.answer(Err(Status::deadline_exceeded()));
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

/// The header that says how the messages of a call are encoded.
pub(crate) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
