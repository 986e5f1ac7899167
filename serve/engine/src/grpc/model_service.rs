//! tensorflow.serving.ModelService: GetModelStatus and HandleReloadConfigRequest.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use prost::Message;
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};

use crate::error::{Code, Error, Result};
use crate::messages::{GetModelStatusRequest, GetModelStatusResponse, StatusProto};
use crate::serving::Serving;

super::service!("tensorflow.serving.ModelService", {
    "GetModelStatus" => GetModelStatus,
    "HandleReloadConfigRequest" => HandleReloadConfigRequest,
});

struct GetModelStatus(Serving);

impl UnaryService<Bytes> for GetModelStatus {
    type Response = Vec<u8>;
    type Future = std::future::Ready<std::result::Result<Response<Vec<u8>>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let reply = status(&self.0, request.get_ref());
        std::future::ready(reply.map(|reply| Response::new(reply.encode_to_vec())).map_err(Status::from))
    }
}

fn status(serving: &Serving, message: &Bytes) -> Result<GetModelStatusResponse> {
    let request = super::parse::<GetModelStatusRequest>(message)?;
    let spec = request.model_spec.ok_or_else(|| Error::invalid("Missing ModelSpec"))?;
    serving.notes.model(&spec.name);
    let version = spec.version.map(|version| version.value);
    Ok(GetModelStatusResponse { model_version_status: serving.routes.states(&spec.name, version)? })
}

struct HandleReloadConfigRequest(Serving);

impl UnaryService<Bytes> for HandleReloadConfigRequest {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let serving = self.0.clone();
        Box::pin(async move { Ok(Response::new(reload(&serving, request.into_inner()).await?.encode_to_vec())) })
    }
}

/// What the engine reads of a ReloadConfigRequest; the config itself is the control plane's business.
#[derive(Clone, PartialEq, Message)]
struct ReloadConfigRequest {
    #[prost(string, repeated, tag = "2")]
    metric_names: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ReloadConfigResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<StatusProto>,
    #[prost(message, repeated, tag = "2")]
    metric: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, optional, tag = "2")]
    int64_value_increase: Option<i64>,
}

async fn reload(serving: &Serving, message: Bytes) -> Result<ReloadConfigResponse> {
    let request = super::parse::<ReloadConfigRequest>(&message)?;
    let Some(reload_config) = &serving.reload_config else {
        return Err(Error::new(Code::Unimplemented, "this server takes no new config"));
    };
    let mut names = request.metric_names;
    names.sort();
    names.dedup();
    let before = serving.metrics.totals(&names);
    reload_config.apply(message).await?;
    let increases = serving.metrics.totals(&names).into_iter().zip(before).map(|(after, before)| after - before);
    let metric = names.into_iter().zip(increases);
    Ok(ReloadConfigResponse {
        status: Some(StatusProto::default()),
        metric: metric.map(|(name, increase)| Metric { name, int64_value_increase: Some(increase) }).collect(),
    })
}
