//! `tensorflow.serving.Input`: the examples of Classify, Regress and MultiInference, still serialized.

use crate::error::{Error, Result};
use crate::tensorflow::Tensor;
use crate::wire::Fields;

/// Read an `Input` and return the string tensor `[batch]` that is fed: one serialized tf.Example an element.
///
/// A context is put before each example: the bytes of two serialized messages in a row are the merged message, in which
/// the example's features win over equal ones of the context.
pub fn read_input(message: &[u8]) -> Result<Tensor> {
    let mut examples: Vec<&[u8]> = Vec::new();
    let mut context: &[u8] = &[];
    for field in Fields::new(message) {
        let (number, list) = field?;
        if number == 1 || number == 2 {
            for field in Fields::new(list.bytes()?) {
                match field? {
                    (1, example) => examples.push(example.bytes()?),
                    (2, value) if number == 2 => context = value.bytes()?,
                    _ => {}
                }
            }
        }
    }
    if context.is_empty() {
        return to_tensor(&examples);
    }
    let merged: Vec<_> = examples.iter().map(|example| [context, example].concat()).collect();
    to_tensor(&merged)
}

/// The tensor of some serialized examples; none at all is an error.
pub fn to_tensor<S: AsRef<[u8]>>(examples: &[S]) -> Result<Tensor> {
    if examples.is_empty() {
        return Err(Error::invalid("Input is empty."));
    }
    Tensor::from_strings(&[examples.len() as i64], examples)
}
