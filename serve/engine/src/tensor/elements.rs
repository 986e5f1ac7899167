//! JSON scalars as elements of a tensor of one dtype.

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

use super::numbers::{double, integer, single};
use crate::error::{Code, Error, Result};
use crate::json::{Event, Number, Parser, Scalar, Text};
use crate::tensorflow::{DataType, Tensor};

/// Standard alphabet, padding optional.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The elements read so far.
pub struct Elements {
    dtype: DataType,
    numbers: Vec<u8>,
    strings: Vec<Vec<u8>>,
}

impl Elements {
    pub fn new(dtype: DataType) -> Elements {
        Elements { dtype, numbers: Vec::new(), strings: Vec::new() }
    }

    pub fn len(&self) -> usize {
        if self.dtype == DataType::String { self.strings.len() } else { self.numbers.len() / self.dtype.size().max(1) }
    }

    pub fn into_tensor(self, dims: &[i64]) -> Result<Tensor> {
        // Rows add a dimension to those that were read.
        if dims.len() > super::MAX_RANK {
            return Err(too_many_dimensions());
        }
        match self.dtype {
            DataType::String => Tensor::from_strings(dims, &self.strings),
            dtype => Tensor::from_bytes(dtype, dims, &self.numbers),
        }
    }

    /// Append one value, whose own text is `text` (for messages). No conversion between kinds: `1` is a fine float, `1.0`
    /// is no integer, `"1"` is no number.
    pub fn push<'t>(&mut self, scalar: Scalar, text: impl FnOnce() -> &'t [u8]) -> Result<()> {
        use DataType::*;
        let pushed = match (self.dtype, scalar) {
            (Float | Double | Int32 | Int16 | Int8 | Uint8 | Int64 | Uint32 | Uint64, Scalar::Number(number)) => {
                self.push_number(Number { text: number.as_bytes(), digits: None })
            }
            (Bool, Scalar::Bool(value)) => {
                self.numbers.push(u8::from(value));
                true
            }
            (String, Scalar::String(value)) => {
                self.strings.push(value.bytes().into_owned());
                true
            }
            (Float | Double | Int32 | Int16 | Int8 | Uint8 | Int64 | Uint32 | Uint64 | Bool | String, _) => false,
            _ => return Err(self.unsupported(text())),
        };
        if pushed { Ok(()) } else { Err(self.wrong_type(kind(Event::Scalar(scalar)), text())) }
    }

    /// Append the values that come next in the list that `parser` is in, as long as they are numbers, or lists of numbers
    /// nested to `shape`; returns how many. What has another form, or is no number of this dtype, is left to `push`.
    pub fn push_plain(&mut self, parser: &mut Parser, shape: &[i64]) -> usize {
        let before = self.numbers.len();
        let count = match self.dtype {
            DataType::String | DataType::Bool => 0,
            // The usual one has a loop of its own.
            DataType::Float => parser
                .plain_values(shape, |number| single(number).map(|value| self.extend(&value.to_le_bytes())).is_some()),
            _ => parser.plain_values(shape, |number| self.push_number(number)),
        };
        let size = shape.iter().product::<i64>() as usize;
        self.numbers.truncate(before + count * size * self.dtype.size());
        count
    }

    /// Append a number as it was written; false if the dtype has no such number.
    fn push_number(&mut self, number: Number) -> bool {
        use DataType::*;
        match self.dtype {
            Float => single(number).map(|value| self.extend(&value.to_le_bytes())),
            Double => double(number).map(|value| self.extend(&value.to_le_bytes())),
            Int32 | Int16 | Int8 | Uint8 => integer(number).map(|value: i32| {
                // Cut to width without a check, as upstream.
                self.extend(&value.to_le_bytes()[..self.dtype.size()]);
            }),
            Int64 => integer(number).map(|value: i64| self.extend(&value.to_le_bytes())),
            Uint32 => integer(number).map(|value: u32| self.extend(&value.to_le_bytes())),
            Uint64 => integer(number).map(|value: u64| self.extend(&value.to_le_bytes())),
            _ => None,
        }
        .is_some()
    }

    /// Append what stands in the object that `parser` has just entered: `{"b64": "..."}` in a string tensor.
    pub fn push_object(&mut self, parser: &mut Parser, start: usize) -> Result<()> {
        let base64 = read_b64_object(parser)?;
        let text = parser.text_since(start);
        match (self.dtype, base64) {
            (DataType::String, Some(base64)) => {
                let bytes = BASE64.decode(base64.bytes()).map_err(|_| Error::invalid("Unable to base64 decode"))?;
                self.strings.push(bytes);
                Ok(())
            }
            (DataType::String, None) => {
                Err(Error::invalid(format!("JSON Value: {} not formatted correctly for base64 data", quote(text))))
            }
            _ => Err(self.wrong_type("Object", text)),
        }
    }

    // Inline, where the length is known.
    #[inline(always)]
    fn extend(&mut self, bytes: &[u8]) {
        self.numbers.extend_from_slice(bytes);
    }

    fn wrong_type(&self, kind: &str, text: &[u8]) -> Error {
        Error::invalid(format!(
            "JSON Value: {} Type: {kind} is not of expected type: {}",
            quote(text),
            self.dtype.name()
        ))
    }

    fn unsupported(&self, text: &[u8]) -> Error {
        Error::new(
            Code::Unimplemented,
            format!("Conversion of JSON Value: {} to type: {}", quote(text), self.dtype.name()),
        )
    }
}

pub fn too_many_dimensions() -> Error {
    Error::invalid(format!("a tensor has at most {} dimensions", super::MAX_RANK))
}

/// Read to the end of the object that was just entered. None: it is not exactly `{"b64": string}`.
fn read_b64_object<'a>(parser: &mut Parser<'a>) -> Result<Option<Text<'a>>> {
    let first = parser.next()?;
    let mut base64 = None;
    let Event::Key(key) = first else { return Ok(None) };
    let value = parser.next()?;
    if let (true, Event::Scalar(Scalar::String(text))) = (key.is("b64"), value) {
        base64 = Some(text);
    }
    parser.skip_rest(value)?;
    loop {
        match parser.next()? {
            Event::EndObject => return Ok(base64),
            event => {
                base64 = None;
                parser.skip_rest(event)?;
            }
        }
    }
}

/// The bytes of the `{"b64": ...}` that `parser` has just entered; None if it is anything else.
pub fn read_b64(parser: &mut Parser) -> Result<Option<Vec<u8>>> {
    Ok(read_b64_object(parser)?.and_then(|base64| BASE64.decode(base64.bytes()).ok()))
}

/// Whether the value at the parser, whose first event is `first`, is `{"b64": string}` and so counts as a scalar.
pub fn is_b64_object(parser: &Parser, first: Event) -> bool {
    first == Event::StartObject && matches!(read_b64_object(&mut parser.clone()), Ok(Some(_)))
}

/// The kind of a value as upstream's messages call it.
pub fn kind(event: Event) -> &'static str {
    match event {
        Event::StartObject | Event::EndObject => "Object",
        Event::StartArray | Event::EndArray => "Array",
        Event::Scalar(Scalar::Null) | Event::End => "Null",
        Event::Scalar(Scalar::Bool(true)) => "True",
        Event::Scalar(Scalar::Bool(false)) => "False",
        Event::Scalar(Scalar::Number(_)) => "Number",
        Event::Scalar(Scalar::String(_)) | Event::Key(_) => "String",
    }
}

/// A value's text for a message, cut at 256 bytes.
pub fn quote(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(256)]).into_owned()
}

#[cfg(test)]
mod tests;
