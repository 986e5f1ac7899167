//! Classify, Regress and MultiInference.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use super::serialized::Serialized;
use super::unary::{Reply, Request};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::examples;
use crate::inference::{self, Answer, Method};
use crate::messages::{ExamplesRequest, InferenceResult, MultiInferenceRequest, MultiInferenceResponse};
use crate::metrics::Entrypoint;
use crate::request_log::Kind;
use crate::servable::Servable;
use crate::serving::Serving;
use crate::signature::or_default;
use crate::tensorflow::Tensor;

type BoxedReply = Box<dyn FnOnce(&Servable, Vec<Tensor>) -> Result<Vec<u8>> + Send>;

/// How a method decodes its request once the servable is known.
type Decode = Box<dyn FnOnce(&Servable) -> Result<(Call, BoxedReply)> + Send>;

/// A request's servable, pinned, and what to do with it.
type Prepared = Result<(Arc<Servable>, Decode)>;

/// PredictionService.Classify.
pub fn classify(serving: &Serving, request: Request) -> Reply<'_> {
    Box::pin(run_one(serving, request, Method::Classify))
}

/// PredictionService.Regress.
pub fn regress(serving: &Serving, request: Request) -> Reply<'_> {
    Box::pin(run_one(serving, request, Method::Regress))
}

async fn run_one(serving: &Serving, request: Request, method: Method) -> Result<Serialized> {
    let mut measured = serving.metrics.measure(Entrypoint::Grpc, method.api());
    let Request { message, deadline } = request;
    let reply = match prepare_one(serving, &message, method, &mut measured.model) {
        Ok((servable, decode)) => serving.execute(servable, message.len(), deadline, decode).await,
        Err(error) => Err(error),
    };
    measured.end(&reply);
    Ok(reply?.into())
}

/// PredictionService.MultiInference.
pub fn multi_inference(serving: &Serving, request: Request) -> Reply<'_> {
    Box::pin(async move {
        let Request { message, deadline } = request;
        let (servable, decode) = prepare_several(serving, &message)?;
        Ok(serving.execute(servable, message.len(), deadline, decode).await?.into())
    })
}

fn prepare_one(serving: &Serving, message: &Bytes, method: Method, model: &mut String) -> Prepared {
    let request = super::parse::<ExamplesRequest>(message)?;
    let spec = request.model_spec.ok_or_else(|| Error::invalid("Missing ModelSpec"))?;
    model.push_str(&spec.name);
    let servable = super::resolve(serving, &spec)?;
    serving.notes.signature(or_default(&spec.signature_name));
    let check_method_name = serving.answering.check_method_name;
    let capture = servable.log.capture(Kind::of(method), || Ok(message.clone()));
    let decode = move |servable: &Servable| {
        let plan = inference::plan_one(servable, &spec.signature_name, method, check_method_name)?;
        let (call, answering) = inference::call(servable, vec![plan], examples::read_input(&request.input)?)?;
        let reply = move |servable: &Servable, tensors: Vec<Tensor>| {
            let (signature, answer) = answering.only_answer(&tensors)?;
            let reply = answer.into_response(servable.spec(&signature.name));
            if let Some(capture) = capture {
                capture.succeeded(servable, &signature.name, || Ok(reply.clone()));
            }
            Ok(reply)
        };
        Ok((call, Box::new(reply) as BoxedReply))
    };
    Ok((servable, Box::new(decode)))
}

fn prepare_several(serving: &Serving, message: &Bytes) -> Prepared {
    let request = super::parse::<MultiInferenceRequest>(message)?;
    let first = request.tasks.first().and_then(|task| task.model_spec.clone()).unwrap_or_default();
    let servable = super::resolve(serving, &first)?;
    let check_method_name = serving.answering.check_method_name;
    let metrics = Arc::clone(&serving.metrics);
    let capture = servable.log.capture(Kind::MultiInference, || Ok(message.clone()));
    let decode = move |servable: &Servable| {
        let examples = examples::read_input(&request.input)?;
        metrics.examples(&servable.model, inference::batch_size(&examples));
        let plans = inference::plan_several(servable, &request.tasks, check_method_name)?;
        let (call, answering) = inference::call(servable, plans, examples)?;
        let reply = move |servable: &Servable, tensors: Vec<Tensor>| {
            let results = answering.answers(&tensors)?.into_iter().map(|(signature, answer)| {
                let model_spec = Some(servable.spec(&signature.name));
                match answer {
                    Answer::Classification(result) => {
                        InferenceResult { model_spec, classification_result: Some(result), regression_result: None }
                    }
                    Answer::Regression(result) => {
                        InferenceResult { model_spec, classification_result: None, regression_result: Some(result) }
                    }
                }
            });
            let reply = MultiInferenceResponse { results: results.collect() }.encode_to_vec();
            if let Some(capture) = capture {
                capture.succeeded(servable, "", || Ok(reply.clone()));
            }
            Ok(reply)
        };
        Ok((call, Box::new(reply) as BoxedReply))
    };
    Ok((servable, Box::new(decode)))
}
