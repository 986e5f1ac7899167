//! Predict: from the network buffer to tensors and back, without a message in between.

use std::time::Instant;

use bytes::Bytes;
use tonic::codegen::BoxFuture;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};

use super::deadline::deadline;
use super::serialized::Serialized;
use crate::error::{Error, Result};
use crate::metrics::{Api, Entrypoint};
use crate::predict::{self, Decoded, PredictRequest};
use crate::predict_messages::serialize_response;
use crate::request_log::Kind;
use crate::routing::VersionChoice;
use crate::servable::Servable;
use crate::serving::Serving;
use crate::signature::or_default;
use crate::tensorflow::Tensor;

/// PredictionService.Predict.
pub struct Predict(pub Serving);

impl UnaryService<Bytes> for Predict {
    type Response = Serialized;
    type Future = BoxFuture<Response<Serialized>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let serving = self.0.clone();
        Box::pin(async move {
            let deadline = deadline(request.metadata());
            let mut measured = serving.metrics.measure(Entrypoint::Grpc, Api::Predict);
            let reply = answer(&serving, request.into_inner(), deadline, &mut measured.model).await;
            measured.end(&reply);
            Ok(Response::new(reply?))
        })
    }
}

async fn answer(
    serving: &Serving,
    message: Bytes,
    deadline: Option<Instant>,
    model: &mut String,
) -> Result<Serialized> {
    let size = message.len();
    let servable = {
        let request = PredictRequest::parse(&message)?;
        model.push_str(request.model);
        serving.notes.model(request.model);
        serving.notes.signature(or_default(request.signature));
        if !request.has_spec {
            return Err(Error::invalid("Missing ModelSpec"));
        }
        let choice = match (request.version, request.label) {
            (Some(number), _) => VersionChoice::Number(number),
            (None, Some(label)) => VersionChoice::Label(label),
            (None, None) => VersionChoice::Latest,
        };
        serving.routes.resolve(request.model, choice)?
    };
    serving.notes.servable(&servable);
    let as_content = serving.answering.tensor_content;
    let capture = servable.log.capture(Kind::Predict, || Ok(message.clone()));
    let decode = move |servable: &Servable| {
        let request = PredictRequest::parse(&message)?;
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
