//! The body of a REST predict request to tensors, in one pass over the bytes of each value.

use std::sync::Arc;

use super::elements::{Elements, is_b64_object, kind, quote, too_many_dimensions};
use crate::error::{Error, Result};
use crate::json::{Event, Parser, Scalar};
use crate::request_body::Members;
use crate::signature::Signature;
use crate::tensorflow::Tensor;

/// How inputs were sent, and so how outputs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `instances`: one item a row.
    Row,
    /// `inputs`: whole tensors.
    Columnar,
}

/// Read a body as clients send it in one pass: an object with one of `instances` and `inputs`, and no `signature_name` or
/// one before it. `find` gives the signature of a name that a request can use.
///
/// None for any other body and for one with a mistake: `Body` knows what is wrong with it, which may stand further down.
pub fn read_usual<'s>(
    text: &[u8],
    find: impl Fn(&str) -> Option<&'s Arc<Signature>>,
) -> Option<(&'s Arc<Signature>, Format, Vec<Tensor>)> {
    let mut parser = Parser::new(text);
    if parser.next().ok()? != Event::StartObject {
        return None;
    }
    let (mut name, mut found) = (None, None);
    while let Event::Key(key) = parser.next().ok()? {
        if key.is("signature_name") {
            match (parser.next().ok()?, &name, &found) {
                (Event::Scalar(Scalar::String(text)), None, None) => name = Some(text.to_text()),
                _ => return None,
            }
            continue;
        }
        let format =
            [("instances", Format::Row), ("inputs", Format::Columnar)].into_iter().find(|(name, _)| key.is(name));
        match (format, &found) {
            (Some((_, format)), None) => {
                let signature = find(name.as_deref().unwrap_or_default()).filter(|found| !found.inputs.is_empty())?;
                found = Some((signature, format, format.decode(&mut parser, signature).ok()?));
            }
            (Some(_), Some(_)) => return None,
            (None, _) => {
                let value = parser.next().ok()?;
                parser.skip_rest(value).ok()?;
            }
        }
    }
    found
}

impl Format {
    /// Decode the value that comes next.
    fn decode(self, parser: &mut Parser, signature: &Signature) -> Result<Vec<Tensor>> {
        match self {
            Format::Row => super::rows::decode(parser, signature),
            Format::Columnar => decode_columns(parser, signature),
        }
    }
}

/// A request body that is well-formed JSON, cut into the parts that matter.
pub struct Body<'a> {
    pub signature: String,
    instances: Option<&'a [u8]>,
    inputs: Option<&'a [u8]>,
}

impl<'a> Body<'a> {
    /// Scan the whole document. Other keys are ignored, whatever they hold.
    pub fn parse(text: &'a [u8]) -> Result<Body<'a>> {
        let Members { signature, values: [instances, inputs], .. } = Members::parse(text, ["instances", "inputs"])?;
        Ok(Body { signature, instances, inputs })
    }

    /// The tensors for the inputs of `signature`, in its order.
    pub fn tensors(&self, signature: &Signature) -> Result<(Format, Vec<Tensor>)> {
        if signature.inputs.is_empty() {
            let name = if self.signature.is_empty() { "DEFAULT" } else { &self.signature };
            return Err(Error::invalid(format!("Failed to get input map for signature: {name}")));
        }
        let (format, text) = match (self.instances, self.inputs) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
                ));
            }
            (Some(rows), None) => (Format::Row, rows),
            (None, Some(columns)) => (Format::Columnar, columns),
            (None, None) => return Err(Error::invalid("Missing 'inputs' or 'instances' key")),
        };
        Ok((format, format.decode(&mut Parser::new(text), signature)?))
    }
}

fn decode_columns(parser: &mut Parser, signature: &Signature) -> Result<Vec<Tensor>> {
    let (start, first) = (parser.position(), parser.next()?);
    let named = first == Event::StartObject && !(signature.inputs.len() == 1 && is_b64_object(parser, first));
    if !named {
        let [port] = &signature.inputs[..] else {
            return Err(Error::invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per \
                 tensorinfo_map",
            ));
        };
        let mut elements = Elements::new(port.dtype);
        let dims = read_nested(parser, start, first, &mut elements)?;
        return Ok(vec![elements.into_tensor(&dims)?]);
    }
    let mut tensors: Vec<Option<Tensor>> = signature.inputs.iter().map(|_| None).collect();
    while let Event::Key(key) = parser.next()? {
        let (start, value) = (parser.position(), parser.next()?);
        let wanted = signature.inputs.iter().position(|port| key.is(&port.alias));
        match wanted.filter(|index| tensors[*index].is_none()) {
            Some(index) => {
                let mut elements = Elements::new(signature.inputs[index].dtype);
                let dims = read_nested(parser, start, value, &mut elements)?;
                tensors[index] = Some(elements.into_tensor(&dims)?);
            }
            None => parser.skip_rest(value)?,
        }
    }
    let missing = |alias: &str| Error::invalid(format!("Missing named input: {alias} in 'inputs' object."));
    tensors
        .into_iter()
        .zip(&signature.inputs)
        .map(|(tensor, port)| tensor.ok_or_else(|| missing(&port.alias)))
        .collect()
}

/// A dimension before its first list has ended.
const UNKNOWN: i64 = -1;

/// Read the value that begins with the event `first` at `start` (scalar or nested lists), append its elements, and
/// return its shape.
///
/// The first elements, followed down, say what the shape is; every other list and value must fit it.
pub fn read_nested<'a>(
    parser: &mut Parser<'a>,
    mut start: usize,
    first: Event<'a>,
    elements: &mut Elements,
) -> Result<Vec<i64>> {
    let mut dims: Vec<i64> = Vec::new();
    let mut counts: Vec<i64> = Vec::new();
    let mut leaf_level = None;
    let mut event = first;
    loop {
        match event {
            Event::StartArray => {
                if leaf_level.is_some_and(|level| counts.len() >= level) {
                    parser.skip_rest(event)?;
                    return Err(unexpected_level(parser, start, counts.len()));
                }
                if let Some(count) = counts.last_mut() {
                    *count += 1;
                }
                counts.push(0);
                if counts.len() > dims.len() {
                    dims.push(UNKNOWN);
                }
                if dims.len() > super::MAX_RANK {
                    return Err(too_many_dimensions());
                }
            }
            Event::EndArray => {
                let count = counts.pop().unwrap_or_default();
                let level = counts.len();
                if dims[level] == UNKNOWN {
                    dims[level] = count;
                }
                let expected = dims[level];
                if count != expected {
                    return Err(Error::invalid(format!(
                        "Encountered list at unexpected size: {count} at level: {level} expected size: {expected}"
                    )));
                }
                if count == 0 {
                    leaf_level.get_or_insert(level + 1);
                }
            }
            _ => {
                let level = *leaf_level.get_or_insert(counts.len());
                if level != counts.len() {
                    parser.skip_rest(event)?;
                    return Err(Error::invalid(format!(
                        "JSON Value: {} found at incorrect level: {} in the JSON DOM. Expected at level: {level}",
                        quote(parser.value_since(start)),
                        counts.len()
                    )));
                }
                if let Some(count) = counts.last_mut() {
                    *count += 1;
                }
                match event {
                    Event::Scalar(scalar) => elements.push(scalar, || parser.value_since(start))?,
                    Event::StartObject => elements.push_object(parser, start)?,
                    _ => return Err(Error::internal(format!("a {} where a value must stand", kind(event)))),
                }
            }
        }
        if counts.is_empty() {
            return Ok(dims);
        }
        // What is within this list is closed, so its dimensions are known.
        let read = elements.push_plain(parser, &dims[counts.len()..]);
        if let Some(count) = counts.last_mut().filter(|_| read > 0) {
            leaf_level = Some(dims.len());
            *count += read as i64;
        }
        start = parser.position();
        event = parser.next()?;
    }
}

fn unexpected_level(parser: &Parser, start: usize, level: usize) -> Error {
    Error::invalid(format!("Encountered list at unexpected level: {level} Value: {}", quote(parser.value_since(start))))
}
