//! JSON scalars as elements of a tensor of one dtype.

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

use crate::error::{Code, Error, Result};
use crate::json::{Event, Parser, Scalar};
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
                self.push_number(number.as_bytes())
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

    /// Append the plain numbers that come next in the list that `parser` is in; returns how many. What is no number of
    /// this dtype is left to `push`.
    pub fn push_plain_numbers(&mut self, parser: &mut Parser) -> usize {
        parser.plain_numbers(|number| self.push_number(number))
    }

    /// Append a number as it was written; false if the dtype has no such number.
    fn push_number(&mut self, number: &[u8]) -> bool {
        use DataType::*;
        match self.dtype {
            // Through double, as upstream: the double rounds, the float may become infinite.
            Float => float(number).map(|value| self.extend(&(value as f32).to_le_bytes())),
            Double => float(number).map(|value| self.extend(&value.to_le_bytes())),
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
        let decoded = read_b64_object(parser)?;
        let text = parser.text_since(start);
        match (self.dtype, decoded) {
            (DataType::String, Some(Some(bytes))) => {
                self.strings.push(bytes);
                Ok(())
            }
            (DataType::String, Some(None)) => Err(Error::invalid("Unable to base64 decode")),
            (DataType::String, None) => {
                Err(Error::invalid(format!("JSON Value: {} not formatted correctly for base64 data", quote(text))))
            }
            _ => Err(self.wrong_type("Object", text)),
        }
    }

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

/// Read to the end of the object that was just entered. None: it is not exactly `{"b64": string}`; Some(None): it is, but
/// the string is no base64.
fn read_b64_object(parser: &mut Parser) -> Result<Option<Option<Vec<u8>>>> {
    let first = parser.next()?;
    let mut decoded = None;
    let Event::Key(key) = first else { return Ok(None) };
    let value = parser.next()?;
    if let (true, Event::Scalar(Scalar::String(text))) = (key.is("b64"), value) {
        decoded = Some(BASE64.decode(text.bytes()).ok());
    }
    parser.skip_rest(value)?;
    loop {
        match parser.next()? {
            Event::EndObject => return Ok(decoded),
            event => {
                decoded = None;
                parser.skip_rest(event)?;
            }
        }
    }
}

/// The bytes of the `{"b64": ...}` that `parser` has just entered; None if it is anything else.
pub fn read_b64(parser: &mut Parser) -> Result<Option<Vec<u8>>> {
    Ok(read_b64_object(parser)?.flatten())
}

/// Whether the value at the parser, whose first event is `first`, is `{"b64": string}` and so counts as a scalar.
pub fn is_b64_object(parser: &Parser, first: Event) -> bool {
    first == Event::StartObject && matches!(read_b64_object(&mut parser.clone()), Ok(Some(_)))
}

/// A JSON number as double, NaN and infinities included.
pub fn float(number: &[u8]) -> Option<f64> {
    match number {
        b"Infinity" | b"Inf" => Some(f64::INFINITY),
        b"-Infinity" | b"-Inf" => Some(f64::NEG_INFINITY),
        b"NaN" | b"-NaN" => Some(f64::NAN),
        number => fast_float2::parse(number).ok(),
    }
}

fn integer<N: std::str::FromStr>(number: &[u8]) -> Option<N> {
    std::str::from_utf8(number).ok()?.parse().ok()
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
