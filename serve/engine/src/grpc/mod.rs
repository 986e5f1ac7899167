//! The gRPC listener: PredictionService, ModelService and grpc.health.v1.

mod access;
mod authority;
mod codec;
mod connection;
mod deadline;
mod inference;
mod listener;
mod metadata;
mod model_service;
mod predict;
mod prediction_service;
pub mod reflection;
pub mod serialized;
mod session_service;
pub mod tls;
pub mod unix_socket;

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio_rustls::TlsAcceptor;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use crate::error::{Error, Result};
use crate::listen_options::Http2;
use crate::messages::ModelSpec;
use crate::routing::VersionChoice;
use crate::servable::Servable;
use crate::serving::Serving;
use reflection::Reflection;

/// Protobuf's own limit on a message, which is upstream's only one.
const MAX_MESSAGE_BYTES: usize = i32::MAX as usize;

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
                Ok(response) => response,
                Err(never) => match never {},
            },
            (model_service::PATH, _) => Box::pin(model_service::answer(&self.serving, peer, request)).await,
            (session_service::PATH, _) => Box::pin(session_service::answer(&self.serving, peer, request)).await,
            (reflection::V1, Some(reflection)) => reflection.v1(request).await,
            (reflection::V1_ALPHA, Some(reflection)) => reflection.v1_alpha(request).await,
            _ => no_method(request.uri().path()),
        }
    }
}

fn no_method(path: &str) -> Response<Body> {
    Status::unimplemented(format!("{path} is no method of this server")).into_http()
}

/// Declare the methods of a gRPC service, each answered by a `UnaryService` made from a `Serving`.
macro_rules! service {
    ($path:literal, { $($method:literal => $handler:ident,)* }) => {
        /// What the paths of its methods begin with.
        pub const PATH: &str = concat!("/", $path);

        /// Answer a call of one of its methods.
        pub async fn answer(
            serving: &$crate::serving::Serving,
            peer: Option<std::net::SocketAddr>,
            request: http::Request<hyper::body::Incoming>,
        ) -> http::Response<tonic::body::Body> {
            let mut serving = serving.clone();
            let line = $crate::grpc::access::begin(&mut serving, peer, &request);
            let notes = serving.notes.clone();
            let limit = serving.answering.max_message_bytes.unwrap_or($crate::grpc::MAX_MESSAGE_BYTES);
            let mut grpc = tonic::server::Grpc::new($crate::grpc::codec::Raw)
                .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
                .max_decoding_message_size(limit);
            let response = match request.uri().path() {
                $(concat!("/", $path, "/", $method) => {
                    let noted = $crate::grpc::access::Noted($handler(serving), notes);
                    $crate::grpc::access::finish(grpc.unary(noted, request).await)
                })*
                path => $crate::grpc::no_method(path),
            };
            if let Some(line) = line {
                $crate::grpc::access::end(*line, &response);
            }
            response
        }
    };
}
use service;

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
    let choice = match (&spec.version, &spec.version_label) {
        (Some(version), _) => VersionChoice::Number(version.value),
        (None, Some(label)) => VersionChoice::Label(label),
        (None, None) => VersionChoice::Latest,
    };
    let servable = serving.routes.resolve(&spec.name, choice)?;
    serving.notes.servable(&servable);
    Ok(servable)
}
