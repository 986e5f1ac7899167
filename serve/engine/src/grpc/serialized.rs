//! A serialized reply, whose large tensors stay where they are until they are sent.

use bytes::{BufMut, Bytes};

use super::message::PREFIX_BYTES;
use crate::error::{Code, Error, Result};
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

    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        let mut from = 0;
        for (to, tensor) in &self.tensors {
            out.extend_from_slice(&self.bytes[from..*to]);
            out.extend_from_slice(tensor.bytes());
            from = *to;
        }
        out.extend_from_slice(&self.bytes[from..]);
        out
    }

    /// As the parts of a gRPC message, tensors as they are.
    pub fn into_parts(self) -> Result<Vec<Bytes>> {
        let length = u32::try_from(self.len()).map_err(|_| {
            let message = format!("the reply has {} bytes, more than a gRPC message can have", self.len());
            Error::new(Code::ResourceExhausted, message)
        })?;
        let mut bytes = Vec::with_capacity(PREFIX_BYTES + self.bytes.len());
        bytes.put_u8(0); // not compressed
        bytes.put_u32(length);
        bytes.extend_from_slice(&self.bytes);
        let mut bytes = Bytes::from(bytes);
        let (mut parts, mut position) = (Vec::with_capacity(2 * self.tensors.len() + 1), 0);
        for (to, tensor) in self.tensors {
            parts.push(bytes.split_to(PREFIX_BYTES + to - position));
            position = PREFIX_BYTES + to;
            parts.push(Bytes::from_owner(TensorBytes(tensor)));
        }
        parts.push(bytes);
        parts.retain(|part| !part.is_empty());
        Ok(parts)
    }
}

struct TensorBytes(Tensor);

impl AsRef<[u8]> for TensorBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl From<Vec<u8>> for Serialized {
    fn from(bytes: Vec<u8>) -> Serialized {
        Serialized { bytes, tensors: Vec::new() }
    }
}
