//! Lines of the access log for gRPC calls.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tonic::body::Body;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};

use super::serialized::{Parts, Serialized};
use crate::access_log::{Line, Notes, Subject};
use crate::error::Code;
use crate::serving::Serving;

/// Begin the line of a call, if there is a log, and let `serving` note what is found out about it.
pub fn begin<B>(serving: &mut Serving, peer: Option<SocketAddr>, request: &http::Request<B>) -> Option<Box<Line>> {
    let log = serving.access_log.as_ref()?;
    let line = log.begin(Subject { protocol: "grpc", method: request.uri().path().to_owned(), path: None, peer });
    serving.notes = line.notes();
    Some(line)
}

/// Write the line of a call that is answered.
pub fn end(line: Line, response: &http::Response<Body>) {
    // An error comes in the headers; a reply says OK in the trailers, after its message.
    let failed = Status::from_header_map(response.headers()).filter(|status| status.code() != tonic::Code::Ok);
    line.end(failed.map_or("OK", |status| Code::from_number(status.code() as i32).name()), None);
}

/// A handler whose messages are measured, and whose replies become `Serialized`.
pub struct Noted<H>(pub H, pub Notes);

impl<H> UnaryService<Bytes> for Noted<H>
where
    H: UnaryService<Bytes>,
    H::Response: Into<Serialized>,
    H::Future: Unpin,
{
    type Response = Serialized;
    type Future = NotedReply<H::Future>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        self.1.received(request.get_ref().len());
        NotedReply(self.0.call(request), self.1.clone())
    }
}

/// The reply of a `Noted` handler. A large one is `Parts` among its extensions, which `finish` makes its body.
pub struct NotedReply<F>(F, Notes);

impl<R, F> Future for NotedReply<F>
where
    R: Into<Serialized>,
    F: Future<Output = Result<Response<R>, Status>> + Unpin,
{
    type Output = Result<Response<Serialized>, Status>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut reply = ready!(Pin::new(&mut self.0).poll(context)).map(|reply| reply.map(Into::into));
        if let Ok(reply) = &mut reply {
            self.1.sent(reply.get_ref().len());
            // tonic would copy them into one buffer.
            if let Some(parts) = reply.get_mut().take_parts() {
                reply.extensions_mut().insert(parts);
            }
        }
        Poll::Ready(reply)
    }
}

/// Send a large reply in its parts.
pub fn finish(mut response: http::Response<Body>) -> http::Response<Body> {
    if let Some(parts) = response.extensions_mut().remove::<Parts>() {
        *response.body_mut() = parts.into_body();
    }
    response
}
