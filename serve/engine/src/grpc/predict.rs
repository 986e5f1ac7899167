//! Predict: from the network buffer to tensors and back, without a message in between.

use std::time::Instant;

use bytes::Bytes;

use super::serialized::Serialized;
use super::unary::Request;
use crate::error::{Error, Result};
use crate::metrics::{Api, Entrypoint};
use crate::predict::{self, Decoded};
use crate::predict_messages::serialize_response;
use crate::predict_request::{PredictRequest, Spec};
use crate::request_log::Kind;
use crate::servable::Servable;
use crate::serving::Serving;
use crate::signature::or_default;
use crate::tensorflow::Tensor;

/// PredictionService.Predict.
pub async fn predict(serving: &Serving, request: Request) -> Result<Serialized> {
    let mut measured = serving.metrics.measure(Entrypoint::Grpc, Api::Predict);
    let reply = answer(serving, request.message, request.deadline, &mut measured.model).await;
    measured.end(&reply);
    reply
}

async fn answer(
    serving: &Serving,
    message: Bytes,
    deadline: Option<Instant>,
    model: &mut String,
) -> Result<Serialized> {
    let size = message.len();
    let servable = {
        let spec = Spec::find(&message)?.ok_or_else(|| Error::invalid("Missing ModelSpec"))?;
        model.push_str(spec.model);
        serving.notes.model(spec.model);
        serving.notes.signature(or_default(spec.signature));
        serving.routes.resolve(spec.model, spec.choice())?
    };
    serving.notes.servable(&servable);
    let as_content = serving.answering.tensor_content;
    let capture = servable.log.capture(Kind::Predict, || Ok(message.clone()));
    let decode = move |servable: &Servable| {
        let request = PredictRequest::parse_shared(&message)?;
        let Decoded { call, signature, outputs } = predict::decode(servable, &request)?;
        let reply = move |servable: &Servable, tensors: Vec<Tensor>| {
            let reply = serialize_response(servable, &signature, &outputs, tensors, as_content)?;
            if let Some(capture) = capture {
                capture.succeeded(servable, &signature.name, || Ok(reply.to_vec()));
            }
            Ok(reply)
        };
        Ok((call, reply))
    };
    serving.execute(servable, size, deadline, decode).await
}
