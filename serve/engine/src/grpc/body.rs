//! The body of a reply.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use hyper::body::Frame;
use tonic::Status;

/// A message of our own, or whatever one of tonic's services answers.
pub enum Body {
    Message(Message),
    Tonic(tonic::body::Body),
}

/// A message in its parts, and then the status of a call that has succeeded.
pub struct Message {
    parts: IntoIter<Bytes>,
    has_ended: bool,
}

impl Message {
    pub fn new(parts: Vec<Bytes>) -> Message {
        Message { parts: parts.into_iter(), has_ended: false }
    }

    fn next(&mut self) -> Option<Frame<Bytes>> {
        if let Some(part) = self.parts.next() {
            return Some(Frame::data(part));
        }
        if std::mem::replace(&mut self.has_ended, true) {
            return None;
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
        Some(Frame::trailers(trailers))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            Body::Message(message) => Poll::Ready(message.next().map(Ok)),
            Body::Tonic(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Message(message) => message.has_ended,
            Body::Tonic(body) => body.is_end_stream(),
        }
    }
}
