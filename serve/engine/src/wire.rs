//! Protocol Buffers on the wire: just enough to read requests without building a message, and to write replies.
//!
//! The hot path reads `PredictRequest` and writes `PredictResponse` straight from and into network buffers, so that a
//! tensor's numbers are copied once; prost, which every other message goes through, would copy them element by element.

use crate::error::{Error, Result};

/// A field's value, as its wire type says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

impl<'a> Value<'a> {
    pub fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(malformed()),
        }
    }

    pub fn string(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed())
    }

    pub fn varint(self) -> Result<u64> {
        match self {
            Value::Varint(number) => Ok(number),
            _ => Err(malformed()),
        }
    }
}

/// What every violation of the wire format is reported as; callers add the message's name.
pub fn malformed() -> Error {
    Error::invalid("malformed protocol buffer")
}

/// The fields of one message, in the order of the wire. Ends after the first error.
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    fn read(&mut self) -> Option<(u32, Value<'a>)> {
        let key = read_varint(&mut self.rest)?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number))?;
        let value = match key & 7 {
            0 => Value::Varint(read_varint(&mut self.rest)?),
            1 => Value::Fixed64(self.take(8)?.try_into().ok()?),
            2 => {
                let length = usize::try_from(read_varint(&mut self.rest)?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(self.take(4)?.try_into().ok()?),
            _ => return None, // groups, which proto3 does not have, and unassigned wire types
        };
        Some((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read().ok_or_else(malformed);
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Where in a message the bytes of a field begin that is not all in `beginning`, but is the first such field in each
/// message of `path`, the numbers of the messages around it.
pub fn cut_off_at(beginning: &[u8], path: &[u32]) -> Option<usize> {
    let mut fields = Fields::new(beginning);
    let mut rest = beginning;
    while fields.read().is_some() {
        rest = fields.rest;
    }
    let key = read_varint(&mut rest)?;
    read_varint(&mut rest)?;
    let at = beginning.len() - rest.len();
    match path.split_first() {
        None => (key & 7 == 2).then_some(at),
        Some((number, inner)) if key == u64::from(number << 3 | 2) => Some(at + cut_off_at(rest, inner)?),
        Some(_) => None,
    }
}

/// Read one varint and move past it; None if it is cut off or longer than ten bytes.
pub fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for (index, byte) in rest.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return Some(number);
        }
    }
    None
}

/// Bytes that `write_varint` writes for this number.
pub fn varint_len(number: u64) -> usize {
    // Seven bits a byte, at least one byte.
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

pub fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The size of a length-delimited field with this number and payload.
pub fn delimited_len(field: u32, payload: usize) -> usize {
    varint_len(u64::from(field) << 3) + varint_len(payload as u64) + payload
}

/// Write the key and length of a length-delimited field; the payload is the caller's to write.
pub fn write_delimited_head(out: &mut Vec<u8>, field: u32, payload: usize) {
    write_varint(out, u64::from(field) << 3 | 2);
    write_varint(out, payload as u64);
}

pub fn write_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    write_delimited_head(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

pub fn write_varint_field(out: &mut Vec<u8>, field: u32, number: u64) {
    write_varint(out, u64::from(field) << 3);
    write_varint(out, number);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_varint_comes_back_and_has_the_length_foretold(number: u64) {
            let mut out = Vec::new();
            write_varint(&mut out, number);
            prop_assert_eq!(out.len(), varint_len(number));
            let mut rest = &out[..];
            prop_assert_eq!(read_varint(&mut rest), Some(number));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_end_in_fields_or_one_error(message: Vec<u8>) {
            let fields: Vec<_> = Fields::new(&message).collect();
            prop_assert!(fields.iter().rev().skip(1).all(|field| field.is_ok()));
        }

        #[test]
        fn delimited_fields_come_back(field in 1u32..1 << 29, payload: Vec<u8>) {
            let mut out = Vec::new();
            write_bytes(&mut out, field, &payload);
            prop_assert_eq!(out.len(), delimited_len(field, payload.len()));
            let read: Vec<_> = Fields::new(&out).map(|field| field.expect("well-formed")).collect();
            prop_assert_eq!(read, vec![(field, Value::Bytes(&payload))]);
        }
    }

    #[test]
    fn a_field_that_is_cut_off_is_found() {
        let (mut inner, mut message) = (Vec::new(), Vec::new());
        write_varint_field(&mut inner, 1, 300);
        write_bytes(&mut inner, 4, &[42; 1000]);
        write_bytes(&mut message, 1, b"whole");
        write_bytes(&mut message, 2, &inner);
        let at = message.iter().position(|byte| *byte == 42).expect("content");
        for length in [at, at + 1, at + 999] {
            assert_eq!(cut_off_at(&message[..length], &[2]), Some(at));
            assert_eq!(cut_off_at(&message[..length], &[3]), None);
        }
        for length in (0..at).chain([message.len()]) {
            assert_eq!(cut_off_at(&message[..length], &[2]), None);
        }
    }

    #[test]
    fn a_length_beyond_the_message_is_refused() {
        assert!(Fields::new(&[0x0a, 0x05, 1, 2]).next().expect("one item").is_err());
    }
}
