//! Classify, Regress and MultiInference, as both protocols and the warm-up do them: examples in, labels, scores and
//! values out. The checks and their words are upstream's.

mod answers;

use std::sync::Arc;

use prost::Message;

use crate::call::{Call, Fed};
use crate::error::{Code, Error, Result};
use crate::executor::Endpoint;
use crate::messages::{
    ClassificationResponse, ClassificationResult, InferenceTask, ModelSpec, RegressionResponse, RegressionResult,
};
use crate::metrics::Api;
use crate::servable::Servable;
use crate::signature::{Port, Signature, aliases, or_default};
use crate::tensorflow::Tensor;
use answers::{classifications, regressions};

/// What a signature is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Classify,
    Regress,
}

/// The answer to one method.
pub enum Answer {
    Classification(ClassificationResult),
    Regression(RegressionResult),
}

impl Answer {
    /// The serialized response of its method.
    pub fn into_response(self, model_spec: ModelSpec) -> Vec<u8> {
        let model_spec = Some(model_spec);
        match self {
            Answer::Classification(result) => {
                ClassificationResponse { model_spec, result: Some(result) }.encode_to_vec()
            }
            Answer::Regression(result) => RegressionResponse { model_spec, result: Some(result) }.encode_to_vec(),
        }
    }
}

impl Method {
    /// The method of a MultiInference task.
    pub fn named(method_name: &str) -> Result<Method> {
        match method_name {
            "tensorflow/serving/classify" => Ok(Method::Classify),
            "tensorflow/serving/regress" => Ok(Method::Regress),
            other => Err(Error::new(Code::Unimplemented, format!("Unsupported signature method_name: {other}"))),
        }
    }

    pub fn api(self) -> Api {
        match self {
            Method::Classify => Api::Classify,
            Method::Regress => Api::Regress,
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Method::Classify => "classification",
            Method::Regress => "regression",
        }
    }

    fn method_name(self) -> &'static str {
        match self {
            Method::Classify => "tensorflow/serving/classify",
            Method::Regress => "tensorflow/serving/regress",
        }
    }
}

/// A signature that was checked to fit a method, with the outputs that the method uses.
pub struct Plan {
    method: Method,
    pub signature: Arc<Signature>,
    /// Indices into `signature.outputs`.
    outputs: Vec<usize>,
}

/// Check that a Classify or Regress request can be answered by the signature of this name.
pub fn plan_one(servable: &Servable, signature: &str, method: Method, check_method_name: bool) -> Result<Plan> {
    Plan::new(method, find_signature(servable, signature)?, check_method_name)
}

/// Check that each task of a MultiInference request can be answered.
pub fn plan_several(servable: &Servable, tasks: &[InferenceTask], check_method_name: bool) -> Result<Vec<Plan>> {
    let mut plans: Vec<Plan> = Vec::new();
    for task in tasks {
        let spec = task.model_spec.as_ref().filter(|spec| !spec.name.is_empty());
        let spec = spec.ok_or_else(|| Error::invalid("Found ModelSpec with an empty model name."))?;
        if spec.name != servable.model {
            return Err(Error::invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name."));
        }
        let name = or_default(&spec.signature_name);
        if plans.iter().any(|plan| plan.signature.name == name) {
            return Err(Error::invalid(format!("Duplicate evaluation of signature: {name}")));
        }
        let signature = servable
            .signature(name)
            .ok_or_else(|| Error::invalid(format!("Requested signature not found in model graph: {name}")))?;
        plans.push(Plan::new(Method::named(&task.method_name)?, signature, check_method_name)?);
    }
    Ok(plans)
}

/// What is needed to answer with the outputs of a call: the plans, and what the call fetches.
pub struct Answering {
    plans: Vec<Plan>,
    fetches: Vec<Endpoint>,
    batch: usize,
}

/// Make one call of some plans on the same examples: the union of their inputs is fed, of their outputs fetched.
pub fn call(servable: &Servable, plans: Vec<Plan>, examples: Tensor) -> Result<(Call, Answering)> {
    let batch = batch_size(&examples);
    let examples = Arc::new(examples);
    let mut feeds: Vec<(Endpoint, Fed)> = Vec::new();
    let mut fetches: Vec<Endpoint> = Vec::new();
    for plan in &plans {
        let input = &plan.signature.inputs[0];
        if !feeds.iter().any(|(endpoint, _)| *endpoint == input.endpoint) {
            feeds.push(servable.feed(input, Fed::Shared(Arc::clone(&examples)))?);
        }
        for output in plan.outputs() {
            if !fetches.contains(&output.endpoint) {
                fetches.push(output.endpoint);
            }
        }
    }
    let api = match &plans[..] {
        [plan] => plan.method.api(),
        _ => Api::Other,
    };
    Ok((Call { api, feeds, fetches: fetches.clone() }, Answering { plans, fetches, batch }))
}

impl Answering {
    /// The answer of each plan, with its effective signature.
    pub fn answers(&self, tensors: &[Tensor]) -> Result<Vec<(&Signature, Answer)>> {
        let fetched = |port: &Port| self.fetches.iter().position(|endpoint| *endpoint == port.endpoint);
        let answer = |plan: &'_ Plan| {
            let outputs: Vec<_> = plan.outputs().filter_map(fetched).map(|index| &tensors[index]).collect();
            plan.answer(self.batch, &outputs)
        };
        self.plans.iter().map(|plan| Ok((&*plan.signature, answer(plan)?))).collect()
    }

    /// The answer of the only plan.
    pub fn only_answer(&self, tensors: &[Tensor]) -> Result<(&Signature, Answer)> {
        self.answers(tensors)?.pop().ok_or_else(|| Error::internal("a request without a plan"))
    }
}

/// The signature of this name, or upstream's answer for one that is missing: not the code that Predict gives.
fn find_signature<'s>(servable: &'s Servable, name: &str) -> Result<&'s Arc<Signature>> {
    servable
        .signature(name)
        .ok_or_else(|| Error::invalid(format!("No signature was found with the name: {}", or_default(name))))
}

impl Plan {
    /// Check that `signature` has the inputs and outputs of `method`.
    fn new(method: Method, signature: &Arc<Signature>, check_method_name: bool) -> Result<Plan> {
        if check_method_name && signature.method_name != method.method_name() {
            return Err(Error::invalid(format!(
                "Expected {} signature method_name to be {}. Was: {}",
                method.noun(),
                method.method_name(),
                signature.method_name
            )));
        }
        signature.check_usable()?;
        let [input] = &signature.inputs[..] else { return Err(Error::invalid("Expected one input Tensor.")) };
        if input.alias != "inputs" {
            return Err(not_found(method, "inputs", &signature.inputs));
        }
        let outputs = match method {
            Method::Classify => classification_outputs(signature)?,
            Method::Regress => regression_outputs(signature)?,
        };
        Ok(Plan { method, signature: Arc::clone(signature), outputs })
    }

    fn outputs(&self) -> impl Iterator<Item = &Port> {
        self.outputs.iter().map(|index| &self.signature.outputs[*index])
    }

    /// Build the answer out of the fetched tensors, which stand in the order of `outputs`.
    fn answer(&self, batch: usize, tensors: &[&Tensor]) -> Result<Answer> {
        let output = |alias: &str| self.outputs().zip(tensors).find(|(port, _)| port.alias == alias).map(|(_, t)| *t);
        match self.method {
            Method::Classify => classifications(batch, output("classes"), output("scores")).map(Answer::Classification),
            Method::Regress => regressions(batch, tensors[0]).map(Answer::Regression),
        }
    }
}

/// The number of examples in a tensor of `examples::to_tensor`.
pub fn batch_size(examples: &Tensor) -> usize {
    examples.dims().first().map_or(0, |dim| *dim as usize)
}

fn not_found(method: Method, what: &str, ports: &[Port]) -> Error {
    let found = aliases(ports.iter().map(|port| port.alias.as_str()));
    Error::invalid(format!("No {} {what} found in SignatureDef: {found}", method.noun()))
}

fn classification_outputs(signature: &Signature) -> Result<Vec<usize>> {
    if !(1..=2).contains(&signature.outputs.len()) {
        let count = signature.outputs.len();
        return Err(Error::invalid(format!("Expected one or two output Tensors, found {count}")));
    }
    let is_used = |index: &usize| ["classes", "scores"].contains(&signature.outputs[*index].alias.as_str());
    let used: Vec<_> = (0..signature.outputs.len()).filter(is_used).collect();
    if used.is_empty() {
        let found = aliases(signature.outputs.iter().map(|port| port.alias.as_str()));
        return Err(Error::invalid(format!(
            "Expected classification signature outputs to contain at least one of \"classes\" or \"scores\". \
             Signature has outputs: {found}"
        )));
    }
    Ok(used)
}

fn regression_outputs(signature: &Signature) -> Result<Vec<usize>> {
    let [output] = &signature.outputs[..] else { return Err(Error::invalid("Expected one output Tensor.")) };
    if output.alias != "outputs" {
        return Err(not_found(Method::Regress, "outputs", &signature.outputs));
    }
    Ok(vec![0])
}
