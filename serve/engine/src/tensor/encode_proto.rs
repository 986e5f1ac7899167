//! Tensor to TensorProto, straight into the reply: every element in its typed field, the shape always present.

use super::proto_field::{DTYPE, Encoding, TENSOR_CONTENT, TENSOR_SHAPE, value_field};
use crate::error::{Error, Result};
use crate::tensorflow::{DataType, Tensor};
use crate::wire::{delimited_len, varint_len, write_bytes, write_delimited_head, write_varint, write_varint_field};

/// A tensor with the sizes that its length prefixes need, measured once.
pub struct Encoder<'a> {
    tensor: &'a Tensor,
    dtype: DataType,
    dims: Vec<i64>,
    field: u32,
    encoding: Encoding,
    shape_len: usize,
    /// Payload of the packed field; for strings the sum of the whole fields.
    values_len: usize,
}

impl<'a> Encoder<'a> {
    /// Measure `tensor`; an error for types that have no field in a TensorProto that a client could read.
    ///
    /// With `as_content` numbers become one run of bytes in `tensor_content`; strings never do.
    pub fn new(tensor: &'a Tensor, as_content: bool) -> Result<Encoder<'a>> {
        let unknown = || Error::new(crate::error::Code::Unimplemented, "an output's type cannot be sent to a client");
        let dtype = tensor.dtype().ok_or_else(unknown)?;
        let (field, encoding) = match value_field(dtype).ok_or_else(unknown)? {
            typed @ (_, Encoding::Strings) => typed,
            _ if as_content => (TENSOR_CONTENT, Encoding::Bytes),
            typed => typed,
        };
        let dims = tensor.dims();
        let shape_len = dims.iter().map(|dim| delimited_len(2, dim_len(*dim))).sum();
        let values_len = match encoding {
            Encoding::Fixed { .. } | Encoding::Bytes => tensor.bytes().len(),
            Encoding::Varint => varints(tensor.bytes(), dtype).map(varint_len).sum(),
            Encoding::Strings => tensor.strings().map(|string| delimited_len(field, string.len())).sum(),
        };
        Ok(Encoder { tensor, dtype, dims, field, encoding, shape_len, values_len })
    }

    /// Bytes that `write` will write.
    pub fn len(&self) -> usize {
        let values = match self.encoding {
            _ if self.values_len == 0 => 0,
            Encoding::Strings => self.values_len,
            _ => delimited_len(self.field, self.values_len),
        };
        1 + varint_len(self.dtype as u64) + delimited_len(TENSOR_SHAPE, self.shape_len) + values
    }

    /// Whether the tensor's own bytes end what is written, and are at least `many`.
    pub fn ends_in_bytes(&self, many: usize) -> bool {
        matches!(self.encoding, Encoding::Fixed { .. } | Encoding::Bytes) && self.values_len >= many
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_head(out);
        match self.encoding {
            Encoding::Strings => self.tensor.strings().for_each(|string| write_bytes(out, self.field, string)),
            Encoding::Fixed { .. } | Encoding::Bytes => out.extend_from_slice(self.tensor.bytes()),
            Encoding::Varint => varints(self.tensor.bytes(), self.dtype).for_each(|number| write_varint(out, number)),
        }
    }

    /// Write all but the values.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        write_varint_field(out, DTYPE, self.dtype as u64);
        write_delimited_head(out, TENSOR_SHAPE, self.shape_len);
        for dim in &self.dims {
            write_delimited_head(out, 2, dim_len(*dim));
            if *dim != 0 {
                write_varint_field(out, 1, *dim as u64);
            }
        }
        // Each string is a field of its own.
        if self.values_len > 0 && self.encoding != Encoding::Strings {
            write_delimited_head(out, self.field, self.values_len);
        }
    }
}

/// The payload of one `TensorShapeProto.Dim`; a size of zero is proto3's default and not written.
fn dim_len(dim: i64) -> usize {
    if dim == 0 { 0 } else { 1 + varint_len(dim as u64) }
}

/// The elements as the varints that stand on the wire: signed ones extended to 64 bits, as int32 and int64 fields are.
fn varints(bytes: &[u8], dtype: DataType) -> impl Iterator<Item = u64> {
    use DataType::*;
    let signed = matches!(dtype, Int64 | Int32 | Int16 | Int8 | Qint32 | Qint16 | Qint8 | Int4 | Int2);
    let size = dtype.size();
    bytes.chunks_exact(size).map(move |element| {
        let mut word = [0u8; 8];
        word[..size].copy_from_slice(element);
        let number = u64::from_le_bytes(word);
        let unused = 64 - 8 * size as u32;
        if signed { ((number << unused) as i64 >> unused) as u64 } else { number }
    })
}
