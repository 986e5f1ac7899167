//! What a client may call: the signatures of a loaded version, resolved to what its executor feeds and fetches.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::executor::{Endpoint, Executor};
use crate::messages::{SignatureDef, TensorInfo};
use crate::tensor::decode_proto;
use crate::tensorflow::{DataType, Tensor};

/// What an empty signature_name means.
pub const DEFAULT_SIGNATURE: &str = "serving_default";

/// The name that a request means.
pub fn or_default(name: &str) -> &str {
    if name.is_empty() { DEFAULT_SIGNATURE } else { name }
}

/// One named input or output.
pub struct Port {
    pub alias: String,
    /// The tensor's name in the graph, e.g. `serving_default_x:0`; shown in messages only.
    pub tensor_name: String,
    pub dtype: DataType,
    /// The rank that the model declares, if it does.
    pub rank: Option<usize>,
    pub endpoint: Endpoint,
}

/// A signature with its ports in the order of their aliases, which is also the order in which they are fed.
pub struct Signature {
    pub name: String,
    /// `tensorflow/serving/predict`, `.../classify`, `.../regress`, or anything else.
    pub method_name: String,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// What is fed for an input that a request leaves out.
    pub defaults: BTreeMap<String, Arc<Tensor>>,
    /// Why no request can be answered: a sparse or composite tensor, or one that the graph does not have.
    pub unusable: Option<String>,
}

impl Signature {
    /// Resolve a SignatureDef against what `executor` has.
    pub fn resolve(name: &str, definition: &SignatureDef, executor: &mut dyn Executor) -> Result<Signature> {
        let mut unusable = None;
        let mut ports = |infos: &BTreeMap<String, TensorInfo>| -> Vec<Port> {
            infos
                .iter()
                .filter_map(|(alias, info)| {
                    let port = resolve_port(name, alias, info, executor);
                    port.map_err(|reason| unusable.get_or_insert(reason).clone()).ok()
                })
                .collect()
        };
        let (inputs, outputs) = (ports(&definition.inputs), ports(&definition.outputs));
        let defaults = definition
            .defaults
            .iter()
            .map(|(alias, proto)| Ok((alias.clone(), Arc::new(decode_proto::decode(proto, None)?))))
            .collect::<Result<_>>()?;
        Ok(Signature {
            name: name.to_owned(),
            method_name: definition.method_name.clone(),
            inputs,
            outputs,
            defaults,
            unusable,
        })
    }

    /// An error if the signature cannot be run at all.
    pub fn check_usable(&self) -> Result<()> {
        match &self.unusable {
            Some(reason) => Err(Error::invalid(format!("signature {} cannot be served: {reason}", self.name))),
            None => Ok(()),
        }
    }

    /// The outputs to fetch for an output_filter (empty: all), as indices into `outputs`.
    pub fn select_outputs(&self, filter: &[&str]) -> Result<Vec<usize>> {
        if filter.is_empty() {
            return Ok((0..self.outputs.len()).collect());
        }
        let mut selected = Vec::with_capacity(filter.len());
        for alias in filter {
            let index = self.outputs.iter().position(|port| port.alias == *alias).ok_or_else(|| {
                let expected = aliases(self.outputs.iter().map(|port| port.alias.as_str()));
                Error::invalid(format!(
                    "output tensor alias not found in signature: {alias} Outputs expected to be in the set {expected}."
                ))
            })?;
            if selected.contains(&index) {
                return Err(Error::invalid(format!("duplicate output tensor alias: {alias}")));
            }
            selected.push(index);
        }
        Ok(selected)
    }
}

fn resolve_port(
    signature: &str,
    alias: &str,
    info: &TensorInfo,
    executor: &mut dyn Executor,
) -> std::result::Result<Port, String> {
    if info.coo_sparse.is_some() || info.composite_tensor.is_some() {
        return Err(format!("{alias} is a sparse or composite tensor"));
    }
    let endpoint = executor
        .endpoint(signature, alias, &info.name)
        .ok_or_else(|| format!("{alias} is {:?}, which the graph does not have", info.name))?;
    let dtype = DataType::from_number(info.dtype).ok_or_else(|| format!("{alias} has no dtype that can be sent"))?;
    let rank = info.tensor_shape.as_ref().filter(|shape| !shape.unknown_rank).map(|shape| shape.dim.len());
    Ok(Port { alias: alias.to_owned(), tensor_name: info.name.clone(), dtype, rank, endpoint })
}

/// Names as upstream's messages list them: sorted, comma-separated, in braces.
pub fn aliases<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    format!("{{{}}}", names.join(","))
}
