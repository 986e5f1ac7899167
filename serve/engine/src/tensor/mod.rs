//! Tensors as clients send and receive them: TensorProto over gRPC, JSON over REST.

pub mod decode_json;
pub mod decode_proto;
pub mod elements;
pub mod encode_json;
pub mod encode_number;
pub mod encode_proto;
pub mod numbers;
mod proto_field;
mod rows;

/// TensorFlow's own limit on the rank of a tensor (`TensorShape::MaxDimensions`); it ends the process beyond it.
const MAX_RANK: usize = 254;
