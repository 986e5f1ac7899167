//! A serialized reply, whose large tensors stay where they are until it is written.

use bytes::BufMut;

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

    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        self.write(&mut out);
        out
    }
}

impl From<Vec<u8>> for Serialized {
    fn from(bytes: Vec<u8>) -> Serialized {
        Serialized { bytes, tensors: Vec::new() }
    }
}
