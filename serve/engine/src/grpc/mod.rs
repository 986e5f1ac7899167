//! The gRPC listener: PredictionService, ModelService and grpc.health.v1.

mod authority;
mod body;
mod connection;
mod deadline;
mod inference;
mod listener;
mod message;
mod metadata;
mod model_service;
mod predict;
mod prediction_service;
pub mod reflection;
pub mod serialized;
mod session_service;
pub mod tls;
mod unary;
pub mod unix_socket;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio_rustls::TlsAcceptor;
use tonic::Status;
use tonic::codegen::Service;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use crate::error::{Error, Result};
use crate::listen_options::Http2;
use crate::messages::ModelSpec;
use crate::routing::VersionChoice;
use crate::servable::Servable;
use crate::serving::Serving;
use body::Body;
use reflection::Reflection;

pub type Health = HealthServer<HealthService>;

/// What every gRPC listener offers.
#[derive(Clone)]
pub struct Services {
    pub serving: Serving,
    pub health: Health,
    pub tls: Option<TlsAcceptor>,
    pub http2: Http2,
    pub reflection: Option<Reflection>,
}

impl Services {
    /// Answer a request to any of the services. Those that are asked rarely wait in a box, or every request would carry
    /// the room for what they need.
    async fn answer(&self, peer: Option<SocketAddr>, request: Request<Incoming>) -> Response<Body> {
        let service = request.uri().path().rsplit_once('/').map_or("", |(service, _)| service);
        match (service, &self.reflection) {
            (prediction_service::PATH, _) => prediction_service::answer(&self.serving, peer, request).await,
            ("/grpc.health.v1.Health", _) => match self.health.clone().call(request).await {
                Ok(response) => response.map(Body::Tonic),
                Err(never) => match never {},
            },
            (model_service::PATH, _) => Box::pin(model_service::answer(&self.serving, peer, request)).await,
            (session_service::PATH, _) => Box::pin(session_service::answer(&self.serving, peer, request)).await,
            (reflection::V1, Some(reflection)) => reflection.v1(request).await.map(Body::Tonic),
            (reflection::V1_ALPHA, Some(reflection)) => reflection.v1_alpha(request).await.map(Body::Tonic),
            _ => no_method(request.uri().path()).into_http().map(Body::Tonic),
        }
    }
}

fn no_method(path: &str) -> Status {
    Status::unimplemented(format!("{path} is no method of this server"))
}

/// Decode a message, naming its type if it is malformed.
fn parse<M: prost::Message + Default>(message: &bytes::Bytes) -> Result<M> {
    M::decode(message.clone()).map_err(|error| {
        let name = std::any::type_name::<M>().rsplit(':').next().unwrap_or_default();
        Error::invalid(format!("{name}: {error}"))
    })
}

/// Pin the servable that a ModelSpec means.
fn resolve(serving: &Serving, spec: &ModelSpec) -> Result<Arc<Servable>> {
    serving.notes.model(&spec.name);
    let number = spec.version.as_ref().map(|version| version.value);
    let choice = VersionChoice::of(number, spec.version_label.as_deref());
    let servable = serving.routes.resolve(&spec.name, choice)?;
    serving.notes.servable(&servable);
    Ok(servable)
}
