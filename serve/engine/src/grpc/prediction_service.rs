//! tensorflow.serving.PredictionService.

use super::inference::{classify, multi_inference, regress};
use super::metadata::get_model_metadata;
use super::predict::predict;

super::unary::service!("tensorflow.serving.PredictionService", {
    "Predict" => predict,
    "Classify" => classify,
    "Regress" => regress,
    "MultiInference" => multi_inference,
    "GetModelMetadata" => get_model_metadata,
});
