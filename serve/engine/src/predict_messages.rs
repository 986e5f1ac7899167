//! `PredictRequest` and `PredictResponse`, written straight from tensors with every length measured first.

use prost::Message;

use crate::error::Result;
use crate::grpc::serialized::Serialized;
use crate::messages::ModelSpec;
use crate::servable::Servable;
use crate::signature::{Port, Signature};
use crate::tensor::encode_proto::Encoder;
use crate::tensorflow::Tensor;
use crate::wire::{delimited_len, varint_len, write_bytes, write_delimited_head, write_varint_field};

/// From here on the bytes of a tensor are left to be copied once, into the buffer that is sent.
const MANY_BYTES: usize = 64 << 10;

/// Room for the ModelSpec of a reply, unless its names are long.
const ENOUGH_FOR_SPEC: usize = 128;

/// The entries of a `map<string, TensorProto>`.
struct Entries<'a> {
    field: u32,
    /// Alias, tensor, the tensor's length, the entry's length.
    entries: Vec<(&'a str, Encoder<'a>, usize, usize)>,
}

impl<'a> Entries<'a> {
    fn new(field: u32, tensors: impl Iterator<Item = (&'a Port, &'a Tensor)>, as_content: bool) -> Result<Entries<'a>> {
        let entry = |(port, tensor): (&'a Port, &'a Tensor)| {
            let encoder = Encoder::new(tensor, as_content)?;
            let tensor_len = encoder.len();
            let entry_len = delimited_len(1, port.alias.len()) + delimited_len(2, tensor_len);
            Ok((port.alias.as_str(), encoder, tensor_len, entry_len))
        };
        Ok(Entries { field, entries: tensors.map(entry).collect::<Result<_>>()? })
    }

    fn len(&self) -> usize {
        self.entries.iter().map(|entry| delimited_len(self.field, entry.3)).sum()
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.write_leaving_out(usize::MAX, out);
    }

    /// Write all but runs of at least `many` bytes; returns where they belong, and the index of each one's tensor.
    fn write_leaving_out(&self, many: usize, out: &mut Vec<u8>) -> Vec<(usize, usize)> {
        let mut left_out = Vec::new();
        for (index, (alias, encoder, tensor_len, entry_len)) in self.entries.iter().enumerate() {
            write_delimited_head(out, self.field, *entry_len);
            write_bytes(out, 1, alias.as_bytes());
            write_delimited_head(out, 2, *tensor_len);
            if encoder.ends_in_bytes(many) {
                encoder.write_head(out);
                left_out.push((out.len(), index));
            } else {
                encoder.write(out);
            }
        }
        left_out
    }
}

/// A serialized `PredictResponse { outputs = 1, model_spec = 2 }`; `outputs` are indices into those of the signature.
pub fn write_response(
    servable: &Servable,
    signature: &Signature,
    outputs: &[usize],
    tensors: &[Tensor],
    as_content: bool,
) -> Result<Vec<u8>> {
    let ports = outputs.iter().map(|index| &signature.outputs[*index]);
    let entries = Entries::new(1, ports.zip(tensors), as_content)?;
    let mut out = Vec::with_capacity(entries.len() + ENOUGH_FOR_SPEC);
    entries.write(&mut out);
    write_spec(&mut out, servable, signature);
    Ok(out)
}

/// The same with large tensors as they are.
pub fn serialize_response(
    servable: &Servable,
    signature: &Signature,
    outputs: &[usize],
    tensors: Vec<Tensor>,
    as_content: bool,
) -> Result<Serialized> {
    let mut out = Vec::new();
    let ports = outputs.iter().map(|index| &signature.outputs[*index]);
    let entries = Entries::new(1, ports.zip(&tensors), as_content)?;
    let is_small = |entry: &&(_, Encoder, _, usize)| !entry.1.ends_in_bytes(MANY_BYTES);
    out.reserve(entries.entries.iter().filter(is_small).map(|entry| entry.3).sum::<usize>() + ENOUGH_FOR_SPEC);
    let left_out = entries.write_leaving_out(MANY_BYTES, &mut out);
    write_spec(&mut out, servable, signature);
    if left_out.is_empty() {
        return Ok(out.into());
    }
    let mut tensors: Vec<_> = tensors.into_iter().map(Some).collect();
    let left_out = left_out.into_iter().filter_map(|(position, index)| Some((position, tensors[index].take()?)));
    Ok(Serialized::new(out, left_out.collect()))
}

/// Write `model_spec`.
fn write_spec(out: &mut Vec<u8>, servable: &Servable, signature: &Signature) {
    let spec_len = delimited_len(1, servable.model.len())
        + delimited_len(2, version_len(servable.version))
        + delimited_len(3, signature.name.len());
    write_delimited_head(out, 2, spec_len);
    write_bytes(out, 1, servable.model.as_bytes());
    write_delimited_head(out, 2, version_len(servable.version));
    write_varint_field(out, 1, servable.version as u64);
    write_bytes(out, 3, signature.name.as_bytes());
}

/// A serialized `PredictRequest { model_spec = 1, inputs = 2 }`.
pub fn write_request<'a>(spec: &ModelSpec, inputs: impl Iterator<Item = (&'a Port, &'a Tensor)>) -> Result<Vec<u8>> {
    let entries = Entries::new(2, inputs, false)?;
    let mut out = Vec::with_capacity(delimited_len(1, spec.encoded_len()) + entries.len());
    write_bytes(&mut out, 1, &spec.encode_to_vec());
    entries.write(&mut out);
    Ok(out)
}

/// The payload of the `Int64Value` that wraps a version.
fn version_len(version: i64) -> usize {
    1 + varint_len(version as u64)
}
