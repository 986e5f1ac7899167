//! Predict: from the network buffer to tensors and back, without a message in between.

use std::time::Instant;

use bytes::Bytes;
use tonic::codegen::BoxFuture;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};

use super::deadline::deadline;
use crate::error::{Error, Result};
use crate::metrics::{Api, Entrypoint};
use crate::predict::{self, Decoded, PredictRequest};
use crate::routing::VersionChoice;
use crate::servable::Servable;
use crate::serving::Serving;
use crate::signature::Signature;
use crate::tensor::encode_proto::Encoder;
use crate::tensorflow::Tensor;
use crate::wire::{delimited_len, varint_len, write_bytes, write_delimited_head, write_varint_field};

/// PredictionService.Predict.
pub struct Predict(pub Serving);

impl UnaryService<Bytes> for Predict {
    type Response = Vec<u8>;
    type Future = BoxFuture<Response<Vec<u8>>, Status>;

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

async fn answer(serving: &Serving, message: Bytes, deadline: Option<Instant>, model: &mut String) -> Result<Vec<u8>> {
    let size = message.len();
    let servable = {
        let request = PredictRequest::parse(&message)?;
        model.push_str(request.model);
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
    let as_content = serving.answering.tensor_content;
    let decode = move |servable: &Servable| {
        let request = PredictRequest::parse(&message)?;
        let Decoded { call, signature, outputs } = predict::decode(servable, &request)?;
        let reply = move |servable: &Servable, tensors: Vec<Tensor>| {
            encode(servable, &signature, &outputs, &tensors, as_content)
        };
        Ok((call, reply))
    };
    serving.execute(servable, size, deadline, decode).await
}

/// A serialized `PredictResponse { outputs = 1, model_spec = 2 }`.
fn encode(
    servable: &Servable,
    signature: &Signature,
    outputs: &[usize],
    tensors: &[Tensor],
    as_content: bool,
) -> Result<Vec<u8>> {
    let spec_len = delimited_len(1, servable.model.len())
        + delimited_len(2, version_len(servable.version))
        + delimited_len(3, signature.name.len());
    let encoders: Vec<_> = tensors.iter().map(|tensor| Encoder::new(tensor, as_content)).collect::<Result<_>>()?;
    let aliases = outputs.iter().map(|index| signature.outputs[*index].alias.as_str());
    let entries: Vec<_> = aliases
        .zip(&encoders)
        .map(|(alias, encoder)| {
            let tensor_len = encoder.len();
            (alias, encoder, tensor_len, delimited_len(1, alias.len()) + delimited_len(2, tensor_len))
        })
        .collect();
    let total = entries.iter().map(|entry| delimited_len(1, entry.3)).sum::<usize>() + delimited_len(2, spec_len);
    let mut out = Vec::with_capacity(total);
    for (alias, encoder, tensor_len, entry_len) in entries {
        write_delimited_head(&mut out, 1, entry_len);
        write_bytes(&mut out, 1, alias.as_bytes());
        write_delimited_head(&mut out, 2, tensor_len);
        encoder.write(&mut out);
    }
    write_delimited_head(&mut out, 2, spec_len);
    write_bytes(&mut out, 1, servable.model.as_bytes());
    write_delimited_head(&mut out, 2, version_len(servable.version));
    write_varint_field(&mut out, 1, servable.version as u64);
    write_bytes(&mut out, 3, signature.name.as_bytes());
    debug_assert_eq!(out.len(), total);
    Ok(out)
}

/// The payload of the `Int64Value` that wraps a version.
fn version_len(version: i64) -> usize {
    1 + varint_len(version as u64)
}
