//! A serialized reply, whose large tensors stay where they are until they are sent.

use std::convert::Infallible;

use bytes::{BufMut, Bytes};
use http::{HeaderMap, HeaderValue};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tonic::Status;
use tonic::body::Body;

use crate::tensorflow::Tensor;

/// Bytes with the bytes of tensors in between.
#[derive(Default)]
pub struct Serialized {
    bytes: Vec<u8>,
    /// Where in `bytes` each one belongs, in ascending order.
    tensors: Vec<(usize, Tensor)>,
}

impl Serialized {
    pub fn new(bytes: Vec<u8>, tensors: Vec<(usize, Tensor)>) -> Serialized {
        Serialized { bytes, tensors }
    }

    pub fn len(&self) -> usize {
        self.bytes.len() + self.tensors.iter().map(|(_, tensor)| tensor.bytes().len()).sum::<usize>()
    }

    pub fn write(&self, out: &mut impl BufMut) {
        let mut from = 0;
        for (to, tensor) in &self.tensors {
            out.put_slice(&self.bytes[from..*to]);
            out.put_slice(tensor.bytes());
            from = *to;
        }
        out.put_slice(&self.bytes[from..]);
    }

    /// As the parts of a gRPC message, tensors as they are; nothing is left here then. None if there are no large tensors,
    /// or too many bytes for a message.
    pub fn take_parts(&mut self) -> Option<Parts> {
        let length = u32::try_from(self.len()).ok().filter(|_| !self.tensors.is_empty())?;
        let mut bytes = Vec::with_capacity(PREFIX_BYTES + self.bytes.len());
        bytes.put_u8(0); // not compressed
        bytes.put_u32(length);
        bytes.append(&mut self.bytes);
        let mut bytes = Bytes::from(bytes);
        let (mut parts, mut position) = (Vec::new(), 0);
        for (to, tensor) in std::mem::take(&mut self.tensors) {
            parts.push(bytes.split_to(PREFIX_BYTES + to - position));
            position = PREFIX_BYTES + to;
            parts.push(Bytes::from_owner(TensorBytes(tensor)));
        }
        parts.push(bytes);
        Some(Parts(parts))
    }

    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        self.write(&mut out);
        out
    }
}

/// What stands before a gRPC message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

struct TensorBytes(Tensor);

impl AsRef<[u8]> for TensorBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// A gRPC message in parts, which are sent without being copied into one.
#[derive(Clone)]
pub struct Parts(Vec<Bytes>);

impl Parts {
    /// The body of a reply that has succeeded.
    pub fn into_body(self) -> Body {
        let status = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from(tonic::Code::Ok as i32))]);
        let parts = self.0.into_iter().filter(|part| !part.is_empty()).map(Frame::data);
        let frames = parts.chain([Frame::trailers(status)]).map(Ok::<_, Infallible>);
        Body::new(StreamBody::new(tokio_stream::iter(frames)))
    }
}

impl From<Vec<u8>> for Serialized {
    fn from(bytes: Vec<u8>) -> Serialized {
        Serialized { bytes, tensors: Vec::new() }
    }
}
