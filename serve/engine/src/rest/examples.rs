//! The examples of a REST classify or regress request: JSON objects to serialized tf.Examples.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::json::{Event, Parser, Scalar};
use crate::request_body::Members;
use crate::tensor::elements::{kind, quote, read_b64};
use crate::tensor::numbers;
use crate::wire::{varint_len, write_bytes, write_delimited_head, write_varint};

/// The body of a classify or regress request.
pub struct Examples {
    pub signature: String,
    /// One serialized tf.Example each; the context's bytes stand before each one's own.
    pub serialized: Vec<Vec<u8>>,
}

/// Read the body of a request to `method` (for messages). The whole document must be sound.
pub fn parse(text: &[u8], method: &str) -> Result<Examples> {
    let Members { signature, values: [context, examples], text } = Members::parse(text, ["context", "examples"])?;
    let examples = examples.ok_or_else(|| {
        Error::invalid(format!(
            "JSON Value: {} When method is {method}, key 'examples' is expected and was not found",
            quote(text)
        ))
    })?;
    let context = context.map(read_example).transpose()?.unwrap_or_default();
    Ok(Examples { signature, serialized: read_list(examples, &context)? })
}

fn read_list(text: &[u8], context: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut parser = Parser::new(text);
    if parser.next()? != Event::StartArray {
        return Err(Error::invalid("Expecting 'examples' value to be an list/array"));
    }
    let mut examples = Vec::new();
    loop {
        let (start, first) = (parser.position(), parser.next()?);
        if first == Event::EndArray {
            break;
        }
        parser.skip_rest(first)?;
        let example = read_example(parser.value_since(start))?;
        examples.push([context, &example].concat());
    }
    if examples.is_empty() {
        return Err(Error::invalid("'examples' value is an empty array"));
    }
    Ok(examples)
}

/// One object `{feature: value | [values]}` to a serialized `Example { features = 1 { feature = 1 map } }`.
fn read_example(text: &[u8]) -> Result<Vec<u8>> {
    let mut parser = Parser::new(text);
    let first = parser.next()?;
    if first != Event::StartObject {
        return Err(Error::invalid(format!("Example must be JSON object but got JSON {}", kind(first))));
    }
    let mut features = Vec::new();
    while let Event::Key(key) = parser.next()? {
        let name = key.bytes();
        let feature = read_feature(&mut parser, &name)?.serialize();
        let mut entry = Vec::new();
        write_bytes(&mut entry, 1, &name);
        write_bytes(&mut entry, 2, &feature);
        write_bytes(&mut features, 1, &entry);
    }
    let mut example = Vec::new();
    write_bytes(&mut example, 1, &features);
    Ok(example)
}

/// The values of a feature so far; the first one says of which kind all are.
enum Feature<'a> {
    Empty,
    Bytes(Vec<Cow<'a, [u8]>>),
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

fn read_feature<'a>(parser: &mut Parser<'a>, name: &[u8]) -> Result<Feature<'a>> {
    let mut feature = Feature::Empty;
    let first = parser.next()?;
    if first != Event::StartArray {
        feature.push(parser, first, name)?;
        return Ok(feature);
    }
    loop {
        match parser.next()? {
            Event::EndArray => return Ok(feature),
            value => feature.push(parser, value, name)?,
        }
    }
}

impl<'a> Feature<'a> {
    fn push(&mut self, parser: &mut Parser<'a>, value: Event<'a>, name: &[u8]) -> Result<()> {
        let name = || String::from_utf8_lossy(name).into_owned();
        match value {
            Event::Scalar(Scalar::String(text)) => self.push_bytes(text.bytes(), &name),
            Event::Scalar(Scalar::Bool(value)) => self.push_integer(i64::from(value), &name),
            Event::Scalar(Scalar::Number(number)) if is_decimal(number) => self.push_float(number, &name),
            Event::Scalar(Scalar::Number(number)) => match number.parse() {
                Ok(integer) => self.push_integer(integer, &name),
                Err(_) if number.parse::<u64>().is_ok() => {
                    Err(Error::invalid(format!("Feature: {} has uint64_t element. Only int64_t is supported.", name())))
                }
                // Beyond 64 bits a JSON parser reads a double.
                Err(_) => self.push_float(number, &name),
            },
            Event::StartObject => match read_b64(parser)? {
                Some(bytes) => self.push_bytes(Cow::Owned(bytes), &name),
                None => Err(unexpected(&name(), value)),
            },
            _ => Err(unexpected(&name(), value)),
        }
    }

    fn push_bytes(&mut self, bytes: Cow<'a, [u8]>, name: &dyn Fn() -> String) -> Result<()> {
        match self {
            Feature::Bytes(values) => values.push(bytes),
            Feature::Empty => *self = Feature::Bytes(vec![bytes]),
            _ => return Err(self.mixed(name)),
        }
        Ok(())
    }

    fn push_integer(&mut self, integer: i64, name: &dyn Fn() -> String) -> Result<()> {
        match self {
            Feature::Integers(values) => values.push(integer),
            Feature::Empty => *self = Feature::Integers(vec![integer]),
            _ => return Err(self.mixed(name)),
        }
        Ok(())
    }

    fn push_float(&mut self, number: &str, name: &dyn Fn() -> String) -> Result<()> {
        let value = numbers::parse(number.as_bytes()).unwrap_or(f64::NAN) as f32;
        match self {
            Feature::Floats(values) => values.push(value),
            Feature::Empty => *self = Feature::Floats(vec![value]),
            _ => return Err(self.mixed(name)),
        }
        Ok(())
    }

    fn mixed(&self, name: &dyn Fn() -> String) -> Error {
        let so_far = match self {
            Feature::Bytes(_) | Feature::Empty => "bytes",
            Feature::Floats(_) => "float",
            Feature::Integers(_) => "int64",
        };
        Error::invalid(format!("Unexpected element type in feature: {} expecting type: {so_far}", name()))
    }

    /// `Feature { oneof { bytes_list = 1; float_list = 2; int64_list = 3 } }`, each `{ repeated value = 1 }`.
    fn serialize(&self) -> Vec<u8> {
        let mut list = Vec::new();
        let field = match self {
            Feature::Empty => return Vec::new(),
            Feature::Bytes(values) => {
                values.iter().for_each(|value| write_bytes(&mut list, 1, value));
                1
            }
            Feature::Floats(values) => {
                write_delimited_head(&mut list, 1, 4 * values.len());
                values.iter().for_each(|value| list.extend_from_slice(&value.to_le_bytes()));
                2
            }
            Feature::Integers(values) => {
                write_delimited_head(&mut list, 1, values.iter().map(|value| varint_len(*value as u64)).sum());
                values.iter().for_each(|value| write_varint(&mut list, *value as u64));
                3
            }
        };
        let mut feature = Vec::new();
        write_bytes(&mut feature, field, &list);
        feature
    }
}

fn unexpected(name: &str, value: Event) -> Error {
    Error::invalid(format!("Feature: {name} has element with unexpected JSON type: {}", kind(value)))
}

/// Written with a point or an exponent, or no number at all: a float feature.
fn is_decimal(number: &str) -> bool {
    number.contains(['.', 'e', 'E', 'N', 'I'])
}
