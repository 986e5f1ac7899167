//! What Classify and Regress answer, out of the tensors that a signature has put out.

use crate::error::{Error, Result};
use crate::messages::{Class, ClassificationResult, Classifications, Regression, RegressionResult};
use crate::tensorflow::{DataType, Tensor};

fn dtype_name(tensor: &Tensor) -> &'static str {
    tensor.dtype().map_or("unknown", DataType::name)
}

/// Check one output of a classification and return its number of columns.
fn check_classification(batch: usize, name: &str, tensor: &Tensor, dtype: DataType) -> Result<usize> {
    let dims = tensor.dims();
    let [rows, columns] = dims[..] else {
        return Err(Error::invalid(format!(
            "Expected Tensor shape: [batch_size num_classes] but got {}",
            shape(&dims)
        )));
    };
    if rows as usize != batch {
        return Err(Error::invalid(format!("Expected {name} output batch size of {batch}. Got: {rows}")));
    }
    if tensor.dtype() != Some(dtype) {
        let expected = dtype.proto_name();
        return Err(Error::invalid(format!("Expected {name} Tensor of {expected}. Got: {}", dtype_name(tensor))));
    }
    Ok(columns as usize)
}

/// The classes of each of `batch` examples: their labels, their scores, or both.
pub fn classifications(
    batch: usize,
    classes: Option<&Tensor>,
    scores: Option<&Tensor>,
) -> Result<ClassificationResult> {
    let class_columns =
        classes.map(|tensor| check_classification(batch, "classes", tensor, DataType::String)).transpose()?;
    let score_columns =
        scores.map(|tensor| check_classification(batch, "scores", tensor, DataType::Float)).transpose()?;
    if let (Some(classes), Some(scores)) = (class_columns, score_columns)
        && classes != scores
    {
        return Err(Error::invalid(format!(
            "Tensors class and score should match in dim_size(1). Got {classes} vs. {scores}"
        )));
    }
    let columns = class_columns.or(score_columns).unwrap_or_default();
    let labels: Vec<_> = classes.map(|tensor| tensor.strings().map(<[u8]>::to_vec).collect()).unwrap_or_default();
    let scores = scores.map(floats).unwrap_or_default();
    let class = |index: usize| Class {
        label: labels.get(index).cloned().unwrap_or_default(),
        score: scores.get(index).copied().unwrap_or_default(),
    };
    let rows = (0..batch)
        .map(|row| Classifications { classes: (row * columns..(row + 1) * columns).map(class).collect() })
        .collect();
    Ok(ClassificationResult { classifications: rows })
}

/// The value of each of `batch` examples.
pub fn regressions(batch: usize, tensor: &Tensor) -> Result<RegressionResult> {
    let dims = tensor.dims();
    if !matches!(dims[..], [_] | [_, 1]) {
        return Err(Error::invalid(format!(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {}",
            shape(&dims)
        )));
    }
    if dims[0] as usize != batch {
        let rows = dims[0];
        return Err(Error::invalid(format!("Input batch size did not match output batch size: {batch} vs. {rows}")));
    }
    if tensor.dtype() != Some(DataType::Float) {
        return Err(Error::invalid(format!("Expected output Tensor of DT_FLOAT.  Got: {}", dtype_name(tensor))));
    }
    Ok(RegressionResult { regressions: floats(tensor).into_iter().map(|value| Regression { value }).collect() })
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.bytes().chunks_exact(4).map(|word| f32::from_ne_bytes([word[0], word[1], word[2], word[3]])).collect()
}

fn shape(dims: &[i64]) -> String {
    let dims: Vec<_> = dims.iter().map(i64::to_string).collect();
    format!("[{}]", dims.join(","))
}
