//! Tensors to the JSON of a REST predict reply.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::encode_number::write_number;
use crate::error::{Error, Result};
use crate::json::write_string;
use crate::tensorflow::{DataType, Tensor};

/// Row format: `{"predictions": [...]}`, one item a row: the bare value of a single output, else an object.
pub fn rows(outputs: &[(&str, &Tensor)]) -> Result<Vec<u8>> {
    let columns: Vec<_> = outputs.iter().map(|(name, tensor)| Column::new(name, tensor)).collect::<Result<_>>()?;
    let rows = common_rows(&columns)?;
    let mut out = b"{\n    \"predictions\": [".to_vec();
    for row in 0..rows {
        if row > 0 {
            out.extend_from_slice(b", ");
        }
        if let [column] = &columns[..] {
            column.write_row(&mut out, row, rows);
            continue;
        }
        out.push(b'{');
        for (index, column) in columns.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",\n            " } else { b"\n            " });
            write_string(&mut out, column.name.as_bytes());
            out.extend_from_slice(b": ");
            column.write_row(&mut out, row, rows);
        }
        out.extend_from_slice(b"\n        }");
    }
    out.extend_from_slice(b"]\n}");
    Ok(out)
}

/// Columnar format: `{"outputs": value}` with one output, else `{"outputs": {name: value}}`.
pub fn columns(outputs: &[(&str, &Tensor)]) -> Result<Vec<u8>> {
    let columns: Vec<_> = outputs.iter().map(|(name, tensor)| Column::new(name, tensor)).collect::<Result<_>>()?;
    let mut out = b"{\n    \"outputs\": ".to_vec();
    if let [column] = &columns[..] {
        column.write_all(&mut out);
    } else {
        out.push(b'{');
        for (index, column) in columns.iter().enumerate() {
            out.extend_from_slice(if index > 0 { b",\n        " } else { b"\n        " });
            write_string(&mut out, column.name.as_bytes());
            out.extend_from_slice(b": ");
            column.write_all(&mut out);
        }
        out.extend_from_slice(b"\n    }");
    }
    out.extend_from_slice(b"\n}");
    Ok(out)
}

/// All outputs of a row reply have the same number of rows.
fn common_rows(columns: &[Column]) -> Result<usize> {
    let mut rows = None;
    for column in columns {
        let name = column.name;
        let count = *column
            .dims
            .first()
            .ok_or_else(|| Error::invalid(format!("Tensor name: {name} has no shape information ")))?;
        let expected = *rows.get_or_insert(count);
        if count != expected {
            return Err(Error::invalid(format!(
                "Tensor name: {name} has inconsistent batch size: {count} expecting: {expected}"
            )));
        }
    }
    Ok(rows.unwrap_or_default())
}

struct Column<'a> {
    name: &'a str,
    dims: Vec<usize>,
    elements: Elements<'a>,
}

enum Elements<'a> {
    Numbers { dtype: DataType, bytes: &'a [u8] },
    Strings { strings: Vec<&'a [u8]>, base64: bool },
}

impl<'a> Column<'a> {
    fn new(name: &'a str, tensor: &'a Tensor) -> Result<Column<'a>> {
        use DataType::*;
        let dims = tensor.dims().into_iter().map(|dim| usize::try_from(dim).unwrap_or_default()).collect();
        let elements = match tensor.dtype() {
            // Upstream's convention: an output that holds bytes, not text, says so by its name.
            Some(String) => Elements::Strings { strings: tensor.strings().collect(), base64: name.ends_with("_bytes") },
            Some(dtype @ (Float | Double | Int32 | Int16 | Int8 | Uint8 | Int64 | Uint32 | Uint64 | Bool)) => {
                Elements::Numbers { dtype, bytes: tensor.bytes() }
            }
            other => {
                let other = other.map_or("unknown", DataType::name);
                return Err(Error::invalid(format!("Failed to write JSON value for tensor type: {other}")));
            }
        };
        Ok(Column { name, dims, elements })
    }

    fn len(&self) -> usize {
        match &self.elements {
            Elements::Numbers { dtype, bytes } => bytes.len() / dtype.size(),
            Elements::Strings { strings, .. } => strings.len(),
        }
    }

    fn write_all(&self, out: &mut Vec<u8>) {
        self.write_nested(out, &self.dims, 0, self.len());
    }

    fn write_row(&self, out: &mut Vec<u8>, row: usize, rows: usize) {
        let size = self.len() / rows;
        self.write_nested(out, &self.dims[1..], row * size, size);
    }

    /// The `count` elements from `start` on as nested lists of shape `dims`.
    fn write_nested(&self, out: &mut Vec<u8>, dims: &[usize], start: usize, count: usize) {
        let Some((dim, inner)) = dims.split_first() else { return self.write_element(out, start) };
        out.push(b'[');
        for index in 0..*dim {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            let size = count / dim;
            self.write_nested(out, inner, start + index * size, size);
        }
        out.push(b']');
    }

    fn write_element(&self, out: &mut Vec<u8>, index: usize) {
        match &self.elements {
            Elements::Strings { strings, base64: false } => write_string(out, strings[index]),
            Elements::Strings { strings, base64: true } => {
                out.extend_from_slice(b"{\"b64\": \"");
                out.extend_from_slice(STANDARD.encode(strings[index]).as_bytes());
                out.extend_from_slice(b"\"}");
            }
            Elements::Numbers { dtype, bytes } => {
                let size = dtype.size();
                write_number(out, *dtype, &bytes[index * size..(index + 1) * size]);
            }
        }
    }
}
