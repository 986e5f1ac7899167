//! `PredictRequest` and `PredictResponse`, written straight from tensors with every length measured first.

use prost::Message;

use crate::error::Result;
use crate::messages::ModelSpec;
use crate::servable::Servable;
use crate::signature::{Port, Signature};
use crate::tensor::encode_proto::Encoder;
use crate::tensorflow::Tensor;
use crate::wire::{delimited_len, varint_len, write_bytes, write_delimited_head, write_varint_field};

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
        for (alias, encoder, tensor_len, entry_len) in &self.entries {
            write_delimited_head(out, self.field, *entry_len);
            write_bytes(out, 1, alias.as_bytes());
            write_delimited_head(out, 2, *tensor_len);
            encoder.write(out);
        }
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
    let spec_len = delimited_len(1, servable.model.len())
        + delimited_len(2, version_len(servable.version))
        + delimited_len(3, signature.name.len());
    let ports = outputs.iter().map(|index| &signature.outputs[*index]);
    let entries = Entries::new(1, ports.zip(tensors), as_content)?;
    let total = entries.len() + delimited_len(2, spec_len);
    let mut out = Vec::with_capacity(total);
    entries.write(&mut out);
    write_delimited_head(&mut out, 2, spec_len);
    write_bytes(&mut out, 1, servable.model.as_bytes());
    write_delimited_head(&mut out, 2, version_len(servable.version));
    write_varint_field(&mut out, 1, servable.version as u64);
    write_bytes(&mut out, 3, signature.name.as_bytes());
    debug_assert_eq!(out.len(), total);
    Ok(out)
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
