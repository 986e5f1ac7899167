//! tensorflow.serving.SessionService: feed and fetch any tensor of a version's graph by its name.

use bytes::Bytes;
use prost::Message;
use tonic::codegen::BoxFuture;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};

use super::deadline::deadline;
use crate::error::{Error, Result};
use crate::messages::{Int64Value, ModelSpec, NamedTensor, SessionRunRequest, SessionRunResponse};
use crate::servable::Servable;
use crate::serving::Serving;
use crate::tensor::decode_proto;
use crate::tensor::encode_proto::Encoder;

super::service!(SessionService, "tensorflow.serving.SessionService", {
    "SessionRun" => SessionRun,
});

struct SessionRun(Serving);

impl UnaryService<Bytes> for SessionRun {
    type Response = Vec<u8>;
    type Future = BoxFuture<Response<Vec<u8>>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let serving = self.0.clone();
        Box::pin(async move {
            let deadline = deadline(request.metadata());
            let message = request.into_inner();
            let request = super::parse::<SessionRunRequest>(&message)?;
            let spec = request.model_spec.clone().ok_or_else(|| Error::invalid("Missing ModelSpec"))?;
            let servable = serving.routes.resolve(&spec.name, super::version_choice(&spec))?;
            let work = move |servable: &Servable| run(servable, &request);
            Ok(Response::new(serving.execute_alone(servable, message.len(), deadline, work).await?))
        })
    }
}

fn run(servable: &Servable, request: &SessionRunRequest) -> Result<Vec<u8>> {
    let feeds = request
        .feed
        .iter()
        .map(|feed| {
            let tensor = decode_proto::decode(&feed.tensor)
                .map_err(|error| Error::invalid(format!("tensor parsing error: {} ({})", feed.name, error.message)))?;
            Ok((feed.name.as_str(), tensor))
        })
        .collect::<Result<Vec<_>>>()?;
    let outputs = servable.run_named(&feeds, &request.fetch, &request.target)?;
    let tensor = request
        .fetch
        .iter()
        .zip(&outputs)
        .map(|(name, tensor)| {
            let mut proto = Vec::new();
            Encoder::new(tensor, false)?.write(&mut proto);
            Ok(NamedTensor { name: name.clone(), tensor: proto.into() })
        })
        .collect::<Result<_>>()?;
    let model_spec = ModelSpec {
        name: servable.model.clone(),
        version: Some(Int64Value { value: servable.version }),
        ..ModelSpec::default()
    };
    Ok(SessionRunResponse { tensor, model_spec: Some(model_spec) }.encode_to_vec())
}
