//! tensorflow.serving.ModelService: GetModelStatus and HandleReloadConfigRequest.

use bytes::Bytes;
use prost::Message;

use super::unary::{Reply, Request};
use crate::error::{Code, Error, Result};
use crate::messages::{GetModelStatusRequest, GetModelStatusResponse, StatusProto};
use crate::serving::Serving;

super::unary::service!("tensorflow.serving.ModelService", {
    "GetModelStatus" => get_model_status,
    "HandleReloadConfigRequest" => handle_reload_config_request,
});

fn get_model_status(serving: &Serving, request: Request) -> Reply<'_> {
    Box::pin(async move { Ok(status(serving, &request.message)?.encode_to_vec().into()) })
}

fn status(serving: &Serving, message: &Bytes) -> Result<GetModelStatusResponse> {
    let request = super::parse::<GetModelStatusRequest>(message)?;
    let spec = request.model_spec.ok_or_else(|| Error::invalid("Missing ModelSpec"))?;
    serving.notes.model(&spec.name);
    let version = spec.version.map(|version| version.value);
    Ok(GetModelStatusResponse { model_version_status: serving.routes.states(&spec.name, version)? })
}

fn handle_reload_config_request(serving: &Serving, request: Request) -> Reply<'_> {
    Box::pin(async move { Ok(reload(serving, request.message).await?.encode_to_vec().into()) })
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
