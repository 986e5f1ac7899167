//! tensorflow.serving.PredictionService.

use super::inference::{Classify, MultiInference, Regress};
use super::metadata::GetModelMetadata;
use super::predict::Predict;

super::service!("tensorflow.serving.PredictionService", {
    "Predict" => Predict,
    "Classify" => Classify,
    "Regress" => Regress,
    "MultiInference" => MultiInference,
    "GetModelMetadata" => GetModelMetadata,
});
