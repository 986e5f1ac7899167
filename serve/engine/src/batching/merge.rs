//! Tensors merged along dimension 0, and cut apart again.

use super::blocks::Block;
use crate::error::{Code, Error, Result};
use crate::tensorflow::{DataType, Tensor, element_count};

/// What padding may make of a batch. Beyond it the process would rather run out of memory than serve anybody.
const MOST_PADDED_VALUES: usize = 1 << 29;

/// Some rows of a tensor.
#[derive(Clone, Copy)]
pub struct Rows<'t> {
    pub tensor: &'t Tensor,
    pub first: usize,
    pub count: usize,
}

impl<'t> Rows<'t> {
    /// The values, if they are numbers.
    fn bytes(&self) -> &'t [u8] {
        let all = self.tensor.bytes();
        let row_len = all.len() / self.tensor.first_dim().unwrap_or(1).max(1) as usize;
        &all[self.first * row_len..(self.first + self.count) * row_len]
    }
}

/// Why tensors do not fit together.
#[derive(Debug)]
pub enum Misfit {
    /// The one of this index and no other is at fault.
    One(usize, Error),
    /// None is more at fault than another.
    All(Error),
}

/// Put rows of several tensors of one dtype and rank into one tensor.
///
/// With `pad` the dimensions after the first become those of the largest, else they must be equal. `extra` copies of the
/// last part's first row come at the end. `name` is the tensor's in messages.
pub fn merge(name: &str, parts: &[Rows], extra: usize, pad: bool) -> std::result::Result<Tensor, Misfit> {
    if let Some(merged) = merge_alike(parts, extra) {
        return merged.map_err(Misfit::All);
    }
    let shapes: Vec<_> = parts.iter().map(|part| part.tensor.dims()).collect();
    let inner = common_shape(name, &shapes, pad)?;
    let rows = parts.iter().map(|part| part.count).sum::<usize>() + extra;
    let dims = [&[rows as i64][..], &inner].concat();
    let is_larger = extra > 0 || shapes.iter().any(|shape| shape[1..] != inner);
    if is_larger && element_count(&dims).map_err(Misfit::All)? > MOST_PADDED_VALUES {
        let message = format!("Tensors with name '{name}' would be padded to shape {dims:?}, which is too large");
        return Err(Misfit::All(Error::new(Code::ResourceExhausted, message)));
    }
    let merged = match parts.first().and_then(|part| part.tensor.dtype()) {
        Some(DataType::String) => {
            let strings: Vec<Vec<&[u8]>> = parts.iter().map(|part| part.tensor.strings().collect()).collect();
            let block = |(dims, elements)| Block { dims, elements, unit: 1 };
            let blocks = shapes.iter().map(Vec::as_slice).zip(strings.iter().map(Vec::as_slice)).map(block);
            Tensor::from_strings(&dims, &gather(parts, blocks.collect(), extra, &inner))
        }
        Some(dtype) if dtype.size() > 0 => {
            let bytes = parts.iter().map(|part| part.tensor.bytes());
            let block = |(dims, elements)| Block { dims, elements, unit: dtype.size() };
            let blocks = shapes.iter().map(Vec::as_slice).zip(bytes).map(block);
            Tensor::from_bytes(dtype, &dims, &gather(parts, blocks.collect(), extra, &inner))
        }
        _ => Err(unsupported(name)),
    };
    merged.map_err(Misfit::All)
}

/// The same for numbers whose rows have one shape: each value is copied once. None if this is something else.
fn merge_alike(parts: &[Rows], extra: usize) -> Option<Result<Tensor>> {
    let first = parts.first()?.tensor;
    let dtype = first.dtype().filter(|dtype| dtype.size() > 0)?;
    let mut dims = first.dims();
    if !parts.iter().all(|part| part.tensor.has_row_shape(&dims[1..])) {
        return None;
    }
    // A part without rows has none to copy.
    let copied = if extra > 0 { parts.iter().rfind(|part| part.count > 0) } else { None };
    let copied = copied.map(|part| Rows { count: 1, ..*part });
    let rows = parts.iter().map(|part| part.count).sum::<usize>();
    dims[0] = (rows + if copied.is_some() { extra } else { 0 }) as i64;
    if extra > 0 && element_count(&dims).is_ok_and(|count| count > MOST_PADDED_VALUES) {
        return None;
    }
    let copies = copied.iter().flat_map(|row| std::iter::repeat_n(row, extra));
    Some(Tensor::from_slices(dtype, &dims, parts.iter().chain(copies).map(|part| part.bytes())))
}

/// `blocks` are the whole tensors of `parts`.
fn gather<T: Copy>(parts: &[Rows], blocks: Vec<Block<'_, T>>, extra: usize, inner: &[i64]) -> Vec<T> {
    let mut out = Vec::new();
    for (part, block) in parts.iter().zip(&blocks) {
        block.append_rows(part.first, part.count, inner, &mut out);
    }
    // A part without rows has none to copy.
    if let Some((part, block)) = parts.iter().zip(&blocks).rfind(|(part, _)| part.count > 0) {
        for _ in 0..extra {
            block.append_rows(part.first, 1, inner, &mut out);
        }
    }
    out
}

/// The dimensions after the first that all rows will have.
fn common_shape(name: &str, shapes: &[Vec<i64>], pad: bool) -> std::result::Result<Vec<i64>, Misfit> {
    let Some(first) = shapes.first() else { return Ok(Vec::new()) };
    if shapes.iter().all(|shape| shape[1..] == first[1..]) {
        return Ok(first[1..].to_vec());
    }
    if !pad {
        return Err(Misfit::All(Error::new(
            Code::FailedPrecondition,
            format!(
                "Tensors with name '{name}' from different tasks have different shapes and padding is turned off. Set \
                 pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal \
                 dimensions starting with the first dim."
            ),
        )));
    }
    if first.len() > 6 {
        return Err(Misfit::All(Error::invalid("Only tensors with rank from 1 to 6 can be padded.")));
    }
    if let Some(index) = shapes.iter().position(|shape| shape.contains(&0)) {
        return Err(Misfit::One(index, Error::invalid("Got empty tensor in batch of non-empty tensors.")));
    }
    Ok((1..first.len()).map(|axis| shapes.iter().map(|shape| shape[axis]).max().unwrap_or_default()).collect())
}

/// An error unless the output has `rows` rows.
pub fn check_rows(output: &Tensor, rows: usize) -> Result<()> {
    let message = match output.first_dim() {
        Some(dim) if dim as usize == rows => return Ok(()),
        Some(_) => {
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors"
        }
        None => "Batched output tensor has 0 dimensions",
    };
    Err(Error::new(Code::FailedPrecondition, message))
}

/// A tensor of some rows of another one, which must have them. `name` is the tensor's in messages.
pub fn slice<'n>(name: impl FnOnce() -> &'n str, rows: Rows) -> Result<Tensor> {
    let mut dims = rows.tensor.dims();
    dims[0] = rows.count as i64;
    match rows.tensor.dtype() {
        Some(DataType::String) => {
            let row_len = element_count(&dims[1..])?;
            let strings = rows.tensor.strings().skip(rows.first * row_len).take(rows.count * row_len);
            Tensor::from_strings(&dims, &strings.collect::<Vec<_>>())
        }
        Some(dtype) if dtype.size() > 0 => Tensor::from_bytes(dtype, &dims, rows.bytes()),
        _ => Err(unsupported(name())),
    }
}

fn unsupported(name: &str) -> Error {
    Error::new(Code::Unimplemented, format!("Tensors with name '{name}' are of a type that cannot be batched"))
}
