//! The values that a signature has for inputs which a request leaves out, as proto JSON with every field printed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message;

use super::json_writer::Writer;
use crate::messages::TensorShape;
use crate::tensor::encode_number::write_number;
use crate::tensorflow::DataType;

/// tensorflow/core/framework/tensor.proto without the fields of resources and variants, which no signature can feed.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    tensor_shape: Option<TensorShape>,
    #[prost(int32, tag = "3")]
    version_number: i32,
    #[prost(bytes = "bytes", tag = "4")]
    tensor_content: Bytes,
    #[prost(float, repeated, tag = "5")]
    float_val: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    double_val: Vec<f64>,
    #[prost(int32, repeated, tag = "7")]
    int_val: Vec<i32>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    string_val: Vec<Bytes>,
    #[prost(float, repeated, tag = "9")]
    scomplex_val: Vec<f32>,
    #[prost(int64, repeated, tag = "10")]
    int64_val: Vec<i64>,
    #[prost(bool, repeated, tag = "11")]
    bool_val: Vec<bool>,
    #[prost(double, repeated, tag = "12")]
    dcomplex_val: Vec<f64>,
    #[prost(int32, repeated, tag = "13")]
    half_val: Vec<i32>,
    #[prost(uint32, repeated, tag = "16")]
    uint32_val: Vec<u32>,
    #[prost(uint64, repeated, tag = "17")]
    uint64_val: Vec<u64>,
    #[prost(bytes = "bytes", tag = "18")]
    float8_val: Bytes,
}

impl TensorProto {
    /// Write the fields of an object.
    pub fn write(&self, json: &mut Writer) {
        json.key("dtype").string(DataType::from_number(self.dtype).map_or("DT_INVALID", DataType::proto_name));
        if let Some(shape) = &self.tensor_shape {
            json.key("tensor_shape").object(|json| tensor_shape(json, shape));
        }
        json.key("version_number").raw(self.version_number);
        json.key("tensor_content").string(&STANDARD.encode(&self.tensor_content));
        json.key("half_val").array(&self.half_val, Writer::raw);
        json.key("float_val").array(&self.float_val, single);
        json.key("double_val").array(&self.double_val, double);
        json.key("int_val").array(&self.int_val, Writer::raw);
        json.key("string_val").array(&self.string_val, |json, bytes| json.string(&STANDARD.encode(bytes)));
        json.key("scomplex_val").array(&self.scomplex_val, single);
        json.key("int64_val").array(&self.int64_val, |json, number| json.string(&number.to_string()));
        json.key("bool_val").array(&self.bool_val, Writer::raw);
        json.key("dcomplex_val").array(&self.dcomplex_val, double);
        for nothing in ["resource_handle_val", "variant_val"] {
            json.key(nothing).array([(); 0], |_, ()| {});
        }
        json.key("uint32_val").array(&self.uint32_val, Writer::raw);
        json.key("uint64_val").array(&self.uint64_val, |json, number| json.string(&number.to_string()));
        json.key("float8_val").string(&STANDARD.encode(&self.float8_val));
    }
}

/// Write the fields of a TensorShapeProto.
pub fn tensor_shape(json: &mut Writer, shape: &TensorShape) {
    json.key("dim").array(&shape.dim, |json, dim| {
        json.object(|json| {
            json.key("size").string(&dim.size.to_string());
            json.key("name").string(&dim.name);
        });
    });
    json.key("unknown_rank").raw(shape.unknown_rank);
}

fn single(json: &mut Writer, number: &f32) {
    float(json, DataType::Float, number.is_finite(), &number.to_ne_bytes());
}

fn double(json: &mut Writer, number: &f64) {
    float(json, DataType::Double, number.is_finite(), &number.to_ne_bytes());
}

/// Proto JSON has NaN and the infinities as strings.
fn float(json: &mut Writer, dtype: DataType, is_finite: bool, element: &[u8]) {
    let mut text = Vec::new();
    write_number(&mut text, dtype, element);
    let text = String::from_utf8_lossy(&text);
    if is_finite { json.raw(text) } else { json.string(&text) }
}
