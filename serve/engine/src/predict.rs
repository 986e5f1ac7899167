//! Predict, as both protocols and the warm-up do it: find the signature, check what was sent, run.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::call::{Call, Fed};
use crate::error::{Code, Error, Result};
use crate::metrics::Api;
use crate::servable::Servable;
use crate::signature::{Port, Signature, aliases, or_default};
use crate::tensor::decode_proto;
use crate::wire::{Fields, Value, malformed};

/// A `PredictRequest` with its strings and tensors still in the network buffer.
#[derive(Default)]
pub struct PredictRequest<'a> {
    pub has_spec: bool,
    pub model: &'a str,
    pub version: Option<i64>,
    pub label: Option<&'a str>,
    pub signature: &'a str,
    /// Alias and serialized TensorProto; of equal aliases the last one counts, as in any protobuf map.
    inputs: Vec<(&'a str, &'a [u8])>,
    output_filter: Vec<&'a str>,
    /// Where all this stands, if large tensors may share it.
    buffer: Option<&'a Bytes>,
}

impl<'a> PredictRequest<'a> {
    pub fn parse(message: &'a [u8]) -> Result<PredictRequest<'a>> {
        let mut request = PredictRequest::default();
        request.read(message).map_err(|error| Error::invalid(format!("PredictRequest: {}", error.message)))?;
        Ok(request)
    }

    /// The same for a message in a buffer that its tensors may share.
    pub fn parse_shared(message: &'a Bytes) -> Result<PredictRequest<'a>> {
        Ok(PredictRequest { buffer: Some(message), ..PredictRequest::parse(message)? })
    }

    fn read(&mut self, message: &'a [u8]) -> Result<()> {
        for field in Fields::new(message) {
            match field? {
                (1, spec) => self.read_spec(spec.bytes()?)?,
                (2, entry) => {
                    let (alias, tensor) = read_map_entry(entry.bytes()?)?;
                    self.inputs.push((alias, tensor));
                }
                (3, alias) => self.output_filter.push(alias.string()?),
                _ => {}
            }
        }
        if self.inputs.len() > 1 {
            let mut known = HashSet::with_capacity(self.inputs.len());
            self.inputs.reverse();
            self.inputs.retain(|(alias, _)| known.insert(*alias));
        }
        Ok(())
    }

    fn read_spec(&mut self, message: &'a [u8]) -> Result<()> {
        self.has_spec = true;
        for field in Fields::new(message) {
            match field? {
                (1, name) => self.model = name.string()?,
                (2, wrapped) => {
                    self.label = None;
                    self.version = Some(0);
                    for field in Fields::new(wrapped.bytes()?) {
                        if let (1, Value::Varint(number)) = field? {
                            self.version = Some(number as i64);
                        }
                    }
                }
                (3, name) => self.signature = name.string()?,
                (4, label) => {
                    self.version = None;
                    self.label = Some(label.string()?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_map_entry(message: &[u8]) -> Result<(&str, &[u8])> {
    let (mut key, mut value) = ("", &[][..]);
    for field in Fields::new(message) {
        match field? {
            (1, name) => key = name.string()?,
            (2, Value::Bytes(bytes)) => value = bytes,
            (2, _) => return Err(malformed()),
            _ => {}
        }
    }
    Ok((key, value))
}

/// A decoded request, and what its outputs are called.
pub struct Decoded {
    pub call: Call,
    pub signature: Arc<Signature>,
    /// Indices into `signature.outputs`, in the order in which the call fetches them.
    pub outputs: Vec<usize>,
}

/// The signature of this name, as Predict looks for it.
pub fn find_signature<'a>(servable: &'a Servable, name: &str) -> Result<&'a Arc<Signature>> {
    servable.signature(name).ok_or_else(|| {
        let message = format!("Serving signature key \"{}\" not found.", or_default(name));
        Error::new(Code::FailedPrecondition, message)
    })
}

/// Check a request against its signature, in upstream's order, and decode its tensors.
pub fn decode(servable: &Servable, request: &PredictRequest) -> Result<Decoded> {
    let signature = find_signature(servable, request.signature)?;
    signature.check_usable()?;
    check_names(signature, request)?;
    let inputs = signature.inputs.iter().map(|port| decode_input(signature, port, request));
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    check_no_unknown_names(signature, request)?;
    let outputs = signature.select_outputs(&request.output_filter)?;
    check_dtypes(signature, &inputs)?;
    let ports = signature.inputs.iter();
    let feeds = ports.zip(inputs).map(|(port, tensor)| servable.feed(port, tensor)).collect::<Result<_>>()?;
    let fetches = outputs.iter().map(|index| signature.outputs[*index].endpoint).collect();
    Ok(Decoded { call: Call { api: Api::Predict, feeds, fetches }, signature: Arc::clone(signature), outputs })
}

fn decode_input(signature: &Signature, port: &Port, request: &PredictRequest) -> Result<Fed> {
    match request.inputs.iter().find(|(alias, _)| *alias == port.alias) {
        Some((alias, proto)) => decode_proto::decode(proto, request.buffer)
            .map(Fed::Own)
            .map_err(|error| Error::invalid(format!("tensor parsing error: {alias} ({})", error.message))),
        None => match signature.defaults.get(&port.alias) {
            Some(tensor) => Ok(Fed::Shared(Arc::clone(tensor))),
            None => Err(missing(signature, port, request)),
        },
    }
}

/// TensorFlow would find a wrong dtype too; found here, the message names the position in the order of the aliases.
fn check_dtypes(signature: &Signature, tensors: &[Fed]) -> Result<()> {
    for (index, (port, tensor)) in signature.inputs.iter().zip(tensors).enumerate() {
        if tensor.dtype() != Some(port.dtype) {
            let provided = tensor.dtype().map_or("an unknown type", |dtype| dtype.name());
            return Err(Error::invalid(format!(
                "Expects arg[{index}] to be {} but {provided} is provided (input {})",
                port.dtype.name(),
                port.alias
            )));
        }
    }
    Ok(())
}

fn check_names(signature: &Signature, request: &PredictRequest) -> Result<()> {
    let (sent, expected) = (request.inputs.len(), signature.inputs.len());
    if sent > expected || (sent < expected && signature.defaults.is_empty()) {
        let (extra, missing) = differences(signature, request);
        return Err(Error::invalid(format!(
            "input size does not match signature: {sent}!={expected} len({}) != len({}). Sent extra: {extra}. \
             Missing but required: {missing}.",
            aliases(request.inputs.iter().map(|(alias, _)| *alias)),
            aliases(signature.inputs.iter().map(|port| port.alias.as_str())),
        )));
    }
    Ok(())
}

fn differences(signature: &Signature, request: &PredictRequest) -> (String, String) {
    let known = |alias: &str| signature.inputs.iter().any(|port| port.alias == alias);
    let sent = |alias: &str| request.inputs.iter().any(|(name, _)| *name == alias);
    let extra = aliases(request.inputs.iter().map(|(alias, _)| *alias).filter(|alias| !known(alias)));
    let required = signature.inputs.iter().map(|port| port.alias.as_str());
    let missing = aliases(required.filter(|alias| !sent(alias) && !signature.defaults.contains_key(*alias)));
    (extra, missing)
}

fn missing(signature: &Signature, port: &Port, request: &PredictRequest) -> Error {
    let (extra, missing) = differences(signature, request);
    Error::invalid(format!(
        "Signature input alias: {}(feed name: {}) not found in request and no default value provided. Inputs expected to \
         be in the set {}. Sent extra: {extra}. Missing but required: {missing}.",
        port.alias,
        port.tensor_name,
        aliases(signature.inputs.iter().map(|port| port.alias.as_str())),
    ))
}

fn check_no_unknown_names(signature: &Signature, request: &PredictRequest) -> Result<()> {
    let known = |alias: &str| signature.inputs.iter().any(|port| port.alias == alias);
    if request.inputs.iter().all(|(alias, _)| known(alias)) {
        return Ok(());
    }
    let (extra, _) = differences(signature, request);
    Err(Error::invalid(format!(
        "Inputs contains invalid name. Inputs expected to be in the set {}. Sent extra: {extra}.",
        aliases(signature.inputs.iter().map(|port| port.alias.as_str())),
    )))
}
