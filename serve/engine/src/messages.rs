//! The protocol buffer messages that are rare enough to be built in memory: signatures, status, metadata, warm-up.
//!
//! Field numbers are those of tensorflow/core/protobuf/meta_graph.proto, tensorflow/core/framework/tensor_shape.proto
//! and tensorflow_serving/apis/*.proto; fields that the engine does not read are left out. Messages that it only passes
//! on are `bytes`, which the wire does not tell from a message.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct MetaGraphDef {
    #[prost(btree_map = "string, message", tag = "5")]
    pub signature_def: BTreeMap<String, SignatureDef>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SignatureDef {
    #[prost(btree_map = "string, message", tag = "1")]
    pub inputs: BTreeMap<String, TensorInfo>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub outputs: BTreeMap<String, TensorInfo>,
    #[prost(string, tag = "3")]
    pub method_name: String,
    /// Serialized TensorProtos.
    #[prost(btree_map = "string, bytes", tag = "4")]
    pub defaults: BTreeMap<String, Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "4")]
    pub coo_sparse: Option<CooSparse>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub composite_tensor: Option<Bytes>,
    #[prost(int32, tag = "2")]
    pub dtype: i32,
    #[prost(message, optional, tag = "3")]
    pub tensor_shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CooSparse {
    #[prost(string, tag = "1")]
    pub values_tensor_name: String,
    #[prost(string, tag = "2")]
    pub indices_tensor_name: String,
    #[prost(string, tag = "3")]
    pub dense_shape_tensor_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub dim: Vec<Dim>,
    #[prost(bool, tag = "3")]
    pub unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Dim {
    #[prost(int64, tag = "1")]
    pub size: i64,
    #[prost(string, tag = "2")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelSpec {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub version: Option<Int64Value>,
    #[prost(string, optional, tag = "4")]
    pub version_label: Option<String>,
    #[prost(string, tag = "3")]
    pub signature_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Int64Value {
    #[prost(int64, tag = "1")]
    pub value: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetModelMetadataRequest {
    #[prost(message, optional, tag = "1")]
    pub model_spec: Option<ModelSpec>,
    #[prost(string, repeated, tag = "2")]
    pub metadata_field: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetModelMetadataResponse {
    #[prost(message, optional, tag = "1")]
    pub model_spec: Option<ModelSpec>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub metadata: BTreeMap<String, Any>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetModelStatusRequest {
    #[prost(message, optional, tag = "1")]
    pub model_spec: Option<ModelSpec>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetModelStatusResponse {
    #[prost(message, repeated, tag = "1")]
    pub model_version_status: Vec<ModelVersionStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelVersionStatus {
    #[prost(int64, tag = "1")]
    pub version: i64,
    #[prost(int32, tag = "2")]
    pub state: i32,
    #[prost(message, optional, tag = "3")]
    pub status: Option<StatusProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct StatusProto {
    #[prost(int32, tag = "1")]
    pub error_code: i32,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExamplesRequest {
    #[prost(message, optional, tag = "1")]
    pub model_spec: Option<ModelSpec>,
    /// A serialized `Input`.
    #[prost(bytes = "bytes", tag = "2")]
    pub input: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct ClassificationResponse {
    #[prost(message, optional, tag = "2")]
    pub model_spec: Option<ModelSpec>,
    #[prost(message, optional, tag = "1")]
    pub result: Option<ClassificationResult>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ClassificationResult {
    #[prost(message, repeated, tag = "1")]
    pub classifications: Vec<Classifications>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Classifications {
    #[prost(message, repeated, tag = "1")]
    pub classes: Vec<Class>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Class {
    /// `string` in the proto; a model's labels are bytes, which pass as they are.
    #[prost(bytes = "vec", tag = "1")]
    pub label: Vec<u8>,
    #[prost(float, tag = "2")]
    pub score: f32,
}

#[derive(Clone, PartialEq, Message)]
pub struct RegressionResponse {
    #[prost(message, optional, tag = "2")]
    pub model_spec: Option<ModelSpec>,
    #[prost(message, optional, tag = "1")]
    pub result: Option<RegressionResult>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RegressionResult {
    #[prost(message, repeated, tag = "1")]
    pub regressions: Vec<Regression>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Regression {
    #[prost(float, tag = "1")]
    pub value: f32,
}

#[derive(Clone, PartialEq, Message)]
pub struct MultiInferenceRequest {
    #[prost(message, repeated, tag = "1")]
    pub tasks: Vec<InferenceTask>,
    /// A serialized `Input`.
    #[prost(bytes = "bytes", tag = "2")]
    pub input: Bytes,
}

impl MultiInferenceRequest {
    /// The same request to a model of another name.
    pub fn for_model(mut self, name: &str) -> MultiInferenceRequest {
        for task in &mut self.tasks {
            task.model_spec.get_or_insert_default().name = name.to_owned();
        }
        self
    }
}

#[derive(Clone, PartialEq, Message)]
pub struct InferenceTask {
    #[prost(message, optional, tag = "1")]
    pub model_spec: Option<ModelSpec>,
    #[prost(string, tag = "2")]
    pub method_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct MultiInferenceResponse {
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<InferenceResult>,
}

#[derive(Clone, PartialEq, Message)]
pub struct InferenceResult {
    #[prost(message, optional, tag = "1")]
    pub model_spec: Option<ModelSpec>,
    #[prost(message, optional, tag = "2")]
    pub classification_result: Option<ClassificationResult>,
    #[prost(message, optional, tag = "3")]
    pub regression_result: Option<RegressionResult>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SessionRunRequest {
    #[prost(message, optional, tag = "1")]
    pub model_spec: Option<ModelSpec>,
    #[prost(message, repeated, tag = "2")]
    pub feed: Vec<NamedTensor>,
    #[prost(string, repeated, tag = "3")]
    pub fetch: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub target: Vec<String>,
    /// Whether the names above are those of a signature's inputs and outputs.
    #[prost(bool, tag = "6")]
    pub tensor_name_is_alias: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct SessionRunResponse {
    #[prost(message, repeated, tag = "1")]
    pub tensor: Vec<NamedTensor>,
    #[prost(message, optional, tag = "3")]
    pub model_spec: Option<ModelSpec>,
}

#[derive(Clone, PartialEq, Message)]
pub struct NamedTensor {
    #[prost(string, tag = "1")]
    pub name: String,
    /// A serialized TensorProto.
    #[prost(bytes = "bytes", tag = "2")]
    pub tensor: Bytes,
}
