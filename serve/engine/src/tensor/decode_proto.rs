//! TensorProto to tensor, straight from the network buffer.
//!
//! The rules, where TensorFlow's own `Tensor::FromProto` is odd: fewer values than elements repeat the last one, none at
//! all mean zeros, surplus values are dropped, values in another dtype's field do not count, small integers are cut to
//! width; `tensor_content` wins and must match byte for byte, unless the shape has no elements; an absent shape is
//! a scalar's, and `unknown_rank` says nothing (so that it makes a scalar where it stands alone).

use bytes::Bytes;

use super::MAX_RANK;
use super::proto_field::{DTYPE, Encoding, TENSOR_CONTENT, TENSOR_SHAPE, value_field};
use crate::error::{Error, Result};
use crate::tensorflow::{DataType, Tensor, element_count};
use crate::wire::{Fields, Value, malformed, read_varint};

/// A tensor whose values are not all on the wire (repeated or left out) may not grow beyond this many bytes: a request
/// of a few bytes must not be able to claim the machine's memory.
const MAX_IMPLIED_BYTES: usize = 256 << 20;

/// Decode a serialized TensorProto. A large tensor shares the memory of the `buffer` in which it stands, if there is one.
pub fn decode(message: &[u8], buffer: Option<&Bytes>) -> Result<Tensor> {
    let head = Head::read(message)?;
    let count = element_count(&head.dims)?;
    if count == 0 {
        return empty(&head);
    }
    if let Some(content) = head.content {
        return from_content(&head, count, content, buffer);
    }
    let (field, encoding) = value_field(head.dtype)
        .ok_or_else(|| Error::invalid(format!("tensors of type {} cannot be sent", head.dtype.name())))?;
    match encoding {
        Encoding::Strings => from_string_values(&head, count, message, field),
        Encoding::Fixed { width } => from_fixed_values(&head, count, message, field, width, buffer),
        Encoding::Varint => from_varints(&head, count, message, field),
        Encoding::Bytes => {
            let mut values: &[u8] = &[];
            for value in values_of(message, field) {
                values = value?.bytes()?;
            }
            from_native(&head, count, values.to_vec())
        }
    }
}

/// What stands before a TensorProto's values.
struct Head<'a> {
    dtype: DataType,
    dims: Vec<i64>,
    content: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    fn read(message: &'a [u8]) -> Result<Head<'a>> {
        let (mut number, mut dims, mut content) = (0, Vec::new(), None);
        for field in Fields::new(message) {
            match field? {
                (DTYPE, value) => number = value.varint()? as i32,
                (TENSOR_SHAPE, value) => read_shape(value.bytes()?, &mut dims)?,
                (TENSOR_CONTENT, value) => content = Some(value.bytes()?).filter(|bytes| !bytes.is_empty()),
                _ => {}
            }
        }
        let dtype = DataType::from_number(number)
            .ok_or_else(|| Error::invalid(format!("dtype {number} is no type that can be sent")))?;
        Ok(Head { dtype, dims, content })
    }
}

fn read_shape(message: &[u8], dims: &mut Vec<i64>) -> Result<()> {
    for field in Fields::new(message) {
        if let (2, dim) = field? {
            let mut size = 0;
            for field in Fields::new(dim.bytes()?) {
                if let (1, value) = field? {
                    size = value.varint()? as i64;
                }
            }
            dims.push(size);
        }
    }
    if dims.len() > MAX_RANK {
        return Err(Error::invalid(format!("a tensor has at most {MAX_RANK} dimensions, not {}", dims.len())));
    }
    Ok(())
}

fn values_of(message: &[u8], wanted: u32) -> impl Iterator<Item = Result<Value<'_>>> {
    Fields::new(message).filter_map(move |field| match field {
        Ok((number, value)) => (number == wanted).then_some(Ok(value)),
        Err(error) => Some(Err(error)),
    })
}

/// Nothing is read for a tensor without elements, not even a `tensor_content` that has some.
fn empty(head: &Head) -> Result<Tensor> {
    // Operations loop, or keep tables, over the other dimensions. One of 2^40 makes some throw a C++ exception, which
    // nothing between here and TensorFlow can catch: the process would end.
    let others: u128 = head.dims.iter().filter(|dim| **dim > 0).fold(1, |size, dim| size.saturating_mul(*dim as u128));
    if others > (MAX_IMPLIED_BYTES / size_of::<i64>()) as u128 {
        return Err(Error::invalid(format!("shape {:?} has no elements, but too large dimensions", head.dims)));
    }
    if head.dtype == DataType::String {
        return Tensor::from_strings::<&[u8]>(&head.dims, &[]);
    }
    Tensor::zeroed(head.dtype, &head.dims)
}

/// A tensor of these bytes, which stand in `buffer` if there is one.
fn from_run(head: &Head, bytes: &[u8], buffer: Option<&Bytes>) -> Result<Tensor> {
    match buffer {
        Some(buffer) => Tensor::from_shared(head.dtype, &head.dims, buffer.slice_ref(bytes)),
        None => Tensor::from_bytes(head.dtype, &head.dims, bytes),
    }
}

fn from_content(head: &Head, count: usize, content: &[u8], buffer: Option<&Bytes>) -> Result<Tensor> {
    if head.dtype == DataType::String {
        return Tensor::from_strings(&head.dims, &split_strings(content, count)?);
    }
    if head.dtype.size() == 0 || count.checked_mul(head.dtype.size()) != Some(content.len()) {
        return Err(Error::invalid(format!(
            "tensor_content has {} bytes, a {} tensor of shape {:?} another number",
            content.len(),
            head.dtype.name(),
            head.dims
        )));
    }
    if head.dtype == DataType::Bool {
        // Any other byte than 0 and 1 is no bool to C++.
        let bytes: Vec<u8> = content.iter().map(|byte| u8::from(*byte != 0)).collect();
        return Tensor::from_bytes(head.dtype, &head.dims, &bytes);
    }
    from_run(head, content, buffer)
}

/// Strings in `tensor_content`: the varint lengths of all, then the bytes of all.
fn split_strings(content: &[u8], count: usize) -> Result<Vec<&[u8]>> {
    if count > content.len() {
        return Err(malformed());
    }
    let mut rest = content;
    let lengths: Vec<_> = (0..count).map(|_| read_varint(&mut rest).ok_or_else(malformed)).collect::<Result<_>>()?;
    let mut strings = Vec::with_capacity(count);
    for length in lengths {
        let length = usize::try_from(length).map_err(|_| malformed())?;
        let (string, tail) = rest.split_at_checked(length).ok_or_else(malformed)?;
        strings.push(string);
        rest = tail;
    }
    if rest.is_empty() { Ok(strings) } else { Err(malformed()) }
}

fn from_string_values(head: &Head, count: usize, message: &[u8], field: u32) -> Result<Tensor> {
    let mut strings: Vec<&[u8]> = Vec::new();
    for value in values_of(message, field) {
        strings.push(value?.bytes()?);
    }
    // 24 bytes an element in memory, whatever the string.
    check_implied(strings.len() < count, count, 24)?;
    strings.resize(count, strings.last().copied().unwrap_or_default());
    Tensor::from_strings(&head.dims, &strings)
}

fn from_fixed_values(
    head: &Head,
    count: usize,
    message: &[u8],
    field: u32,
    width: usize,
    buffer: Option<&Bytes>,
) -> Result<Tensor> {
    let mut packed: &[u8] = &[];
    let mut runs = 0;
    for value in values_of(message, field) {
        runs += 1;
        packed = value?.bytes().unwrap_or_default();
    }
    // The usual case: one packed run that has every element.
    if runs == 1 && cfg!(target_endian = "little") && Some(packed.len()) == count.checked_mul(head.dtype.size()) {
        return from_run(head, packed, buffer);
    }
    let mut values = Vec::new();
    for value in values_of(message, field) {
        match value? {
            Value::Bytes(packed) if packed.len() % width == 0 => values.extend_from_slice(packed),
            Value::Fixed32(word) if width == 4 => values.extend_from_slice(&word),
            Value::Fixed64(word) if width == 8 => values.extend_from_slice(&word),
            _ => return Err(malformed()),
        }
    }
    // The odd half of a complex number at the end does not count.
    values.truncate(values.len() / head.dtype.size() * head.dtype.size());
    from_native(head, count, values)
}

fn from_varints(head: &Head, count: usize, message: &[u8], field: u32) -> Result<Tensor> {
    let size = head.dtype.size();
    let mut values = Vec::new();
    let mut push = |number: u64| {
        let number = if head.dtype == DataType::Bool { u64::from(number != 0) } else { number };
        values.extend_from_slice(&number.to_le_bytes()[..size]);
    };
    for value in values_of(message, field) {
        match value? {
            Value::Varint(number) => push(number),
            Value::Bytes(mut packed) => {
                while !packed.is_empty() {
                    push(read_varint(&mut packed).ok_or_else(malformed)?);
                }
            }
            _ => return Err(malformed()),
        }
    }
    from_native(head, count, values)
}

/// Little-endian elements to a tensor: cut the surplus, repeat the last element or zero.
fn from_native(head: &Head, count: usize, mut values: Vec<u8>) -> Result<Tensor> {
    let size = head.dtype.size();
    let present = values.len() / size;
    check_implied(present < count, count, size)?;
    if present == 0 {
        return Tensor::zeroed(head.dtype, &head.dims);
    }
    values.truncate(count * size);
    let last = values[values.len().saturating_sub(size)..].to_vec();
    for _ in present..count {
        values.extend_from_slice(&last);
    }
    Tensor::from_bytes(head.dtype, &head.dims, &values)
}

fn check_implied(implied: bool, count: usize, size: usize) -> Result<()> {
    if implied && count.checked_mul(size).is_none_or(|bytes| bytes > MAX_IMPLIED_BYTES) {
        return Err(Error::invalid(format!("a tensor of {count} elements must be sent with all its values")));
    }
    Ok(())
}
