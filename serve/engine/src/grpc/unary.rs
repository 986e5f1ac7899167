//! Unary calls: the handlers of a service, and the way from a request of HTTP/2 to one of them and back.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use tonic::Status;

use super::body::{Body, Message};
use super::deadline::deadline;
use super::message::Limits;
use super::serialized::Serialized;
use crate::access_log::{Line, Subject};
use crate::error::{Code, Result};
use crate::serving::Serving;
use crate::unpacking::MAX_UNPACKED_BYTES;

/// Protobuf's own limit on a message, which is upstream's only one.
const MAX_MESSAGE_BYTES: usize = i32::MAX as usize;

/// A call's message, and when its client stops waiting.
pub struct Request {
    pub message: Bytes,
    pub deadline: Option<Instant>,
}

/// What a handler answers, in a box: every request has the room for the largest future of those that are in none.
pub type Reply<'a> = Pin<Box<dyn Future<Output = Result<Serialized>> + Send + 'a>>;

/// Declare the methods of a gRPC service, each answered by a function of a `&Serving` and a `Request`.
macro_rules! service {
    ($path:literal, { $($method:literal => $handler:path,)* }) => {
        /// What the paths of its methods begin with.
        pub const PATH: &str = concat!("/", $path);

        /// Answer a call of one of its methods.
        pub async fn answer(
            serving: &$crate::serving::Serving,
            peer: Option<std::net::SocketAddr>,
            request: http::Request<hyper::body::Incoming>,
        ) -> http::Response<$crate::grpc::body::Body> {
            let (serving, line) = $crate::grpc::unary::begin(serving, peer, request.uri().path());
            let (head, body) = request.into_parts();
            let reply = match head.uri.path() {
                $(concat!("/", $path, "/", $method) => {
                    match $crate::grpc::unary::read(&serving, &head.headers, body).await {
                        Ok(request) => $handler(&serving, request).await.map_err(tonic::Status::from),
                        Err(status) => Err(status),
                    }
                })*
                path => Err($crate::grpc::no_method(path)),
            };
            $crate::grpc::unary::end(&serving, line, reply)
        }
    };
}
pub(super) use service;

/// Begin the line of a call, if there is a log, and note on it what is found out.
pub fn begin(serving: &Serving, peer: Option<SocketAddr>, path: &str) -> (Serving, Option<Box<Line>>) {
    let mut serving = serving.clone();
    let subject = || Subject { protocol: "grpc", method: path.to_owned(), path: None, peer };
    let line = serving.access_log.as_ref().map(|log| log.begin(subject()));
    if let Some(line) = &line {
        serving.notes = line.notes();
    }
    (serving, line)
}

pub async fn read(
    serving: &Serving,
    headers: &HeaderMap,
    body: hyper::body::Incoming,
) -> std::result::Result<Request, Status> {
    let limit = serving.answering.max_message_bytes;
    let limits = Limits { as_sent: limit.unwrap_or(MAX_MESSAGE_BYTES), unpacked: limit.unwrap_or(MAX_UNPACKED_BYTES) };
    let message = super::message::read(headers, body, limits).await?;
    serving.notes.received(message.len());
    Ok(Request { message, deadline: deadline(headers) })
}

/// Turn what a handler has answered into a response, and write the line of the call.
pub fn end(
    serving: &Serving,
    line: Option<Box<Line>>,
    reply: std::result::Result<Serialized, Status>,
) -> Response<Body> {
    let reply = reply.and_then(|reply| {
        serving.notes.sent(reply.len());
        Ok(reply.into_parts()?)
    });
    if let Some(line) = line {
        let failed = reply.as_ref().err().map(|status| Code::from_number(status.code() as i32));
        line.end(failed.map_or("OK", Code::name), None);
    }
    match reply {
        Ok(parts) => {
            let mut response = Response::new(Body::Message(Message::new(parts)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            response
        }
        Err(status) => status.into_http().map(Body::Tonic),
    }
}
