//! The row format: `instances` is a list of items, each one value or one object of named values.

use super::decode_json::read_nested;
use super::elements::{Elements, is_b64_object};
use crate::error::{Error, Result};
use crate::json::{Event, Parser};
use crate::signature::Signature;
use crate::tensorflow::Tensor;

/// The rows of one input as far as they are read.
struct Column {
    elements: Elements,
    /// Shape and number of values of the first row, which every other row must have.
    first: Option<(Vec<i64>, usize)>,
}

impl Column {
    /// Append the value that begins with the event `first` at `start`.
    fn push_row<'a>(&mut self, parser: &mut Parser<'a>, start: usize, first: Event<'a>) -> Result<()> {
        let before = self.elements.len();
        let dims = read_nested(parser, start, first, &mut self.elements)?;
        let size = self.elements.len() - before;
        let (first_dims, first_size) = self.first.get_or_insert_with(|| (dims.clone(), size));
        if size != *first_size {
            return Err(Error::invalid(format!("Expecting tensor size: {first_size} but got: {size}")));
        }
        if dims != *first_dims {
            return Err(Error::invalid(format!("Expecting shape {} but got: {}", shape(first_dims), shape(&dims))));
        }
        Ok(())
    }

    /// Append the rows that come next as long as they are plain numbers in the shape of the first one; returns how many.
    fn push_plain_rows(&mut self, parser: &mut Parser) -> usize {
        self.first.as_ref().map_or(0, |(dims, _)| self.elements.push_plain(parser, dims))
    }
}

fn shape(dims: &[i64]) -> String {
    let dims: Vec<_> = dims.iter().map(i64::to_string).collect();
    format!("[{}]", dims.join(","))
}

/// Decode the value of `instances`, which comes next.
pub fn decode(parser: &mut Parser, signature: &Signature) -> Result<Vec<Tensor>> {
    if parser.next()? != Event::StartArray {
        return Err(Error::invalid("Expecting 'instances' to be an list/array"));
    }
    let mut columns: Vec<_> =
        signature.inputs.iter().map(|port| Column { elements: Elements::new(port.dtype), first: None }).collect();
    let mut rows = 0usize;
    let mut named = None;
    loop {
        let (start, first) = (parser.position(), parser.next()?);
        if first == Event::EndArray {
            break;
        }
        let is_object = first == Event::StartObject && !is_b64_object(parser, first);
        match *named.get_or_insert(is_object) {
            true if !is_object => return Err(mixed("object", "list", rows)),
            true => push_named_row(parser, &mut columns, signature, rows)?,
            false if is_object => return Err(mixed("value/list", "object", rows)),
            false => {
                let [column] = &mut columns[..] else { return Err(needs_objects()) };
                column.push_row(parser, start, first).map_err(|error| in_row(rows, None, &error))?;
                rows += column.push_plain_rows(parser);
            }
        }
        rows += 1;
    }
    if rows == 0 {
        return Err(Error::invalid("No values in 'instances' array"));
    }
    columns.into_iter().map(|column| into_tensor(column, rows)).collect()
}

fn into_tensor(column: Column, rows: usize) -> Result<Tensor> {
    let mut dims = vec![rows as i64];
    dims.extend(column.first.map(|(dims, _)| dims).unwrap_or_default());
    column.elements.into_tensor(&dims)
}

/// One item `{input name: value, ...}` that the parser has just entered: exactly the inputs, each once.
fn push_named_row(parser: &mut Parser, columns: &mut [Column], signature: &Signature, row: usize) -> Result<()> {
    let mut seen = vec![false; columns.len()];
    while let Event::Key(key) = parser.next()? {
        let name = key.to_text();
        let (start, first) = (parser.position(), parser.next()?);
        let index = signature.inputs.iter().position(|port| port.alias == name).ok_or_else(|| {
            let error = Error::invalid(format!("JSON object: does not have named input: {name}"));
            in_row(row, None, &error)
        })?;
        if std::mem::replace(&mut seen[index], true) {
            parser.skip_rest(first)?;
            continue;
        }
        columns[index].push_row(parser, start, first).map_err(|error| in_row(row, Some(&name), &error))?;
    }
    if seen.contains(&false) {
        let names: Vec<_> = signature.inputs.iter().map(|port| port.alias.as_str()).collect();
        let error = Error::invalid(format!("JSON object: keys must be equal to: {}", names.join(",")));
        return Err(in_row(row, None, &error));
    }
    Ok(())
}

fn in_row(row: usize, key: Option<&str>, error: &Error) -> Error {
    let key = key.map(|key| format!(" key: {key}")).unwrap_or_default();
    Error::invalid(format!("Failed to process element: {row}{key} of 'instances' list. Error: {error}"))
}

fn mixed(expected: &str, got: &str, row: usize) -> Error {
    Error::invalid(format!("Expecting {expected} but got {got} at item {row} of input list"))
}

fn needs_objects() -> Error {
    Error::invalid(
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map",
    )
}
