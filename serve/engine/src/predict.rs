//! Predict, as both protocols and the warm-up do it: find the signature, check what was sent, run.

use std::sync::Arc;

use crate::call::{Call, Fed};
use crate::error::{Code, Error, Result};
use crate::metrics::Api;
use crate::predict_request::PredictRequest;
use crate::servable::Servable;
use crate::signature::{Port, Signature, aliases, or_default};
use crate::tensor::decode_proto;

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
