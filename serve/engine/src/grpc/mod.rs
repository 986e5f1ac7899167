//! The gRPC listener: PredictionService, ModelService and grpc.health.v1.

mod access;
mod authority;
mod codec;
mod deadline;
mod inference;
mod metadata;
mod model_service;
mod predict;
mod prediction_service;
pub mod reflection;
pub mod serialized;
mod session_service;
pub mod unix_socket;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use crate::error::{Error, Result};
use crate::listen_options::{Http2, ListenOptions};
use crate::messages::ModelSpec;
use crate::routing::VersionChoice;
use crate::servable::Servable;
use crate::serving::Serving;

/// Protobuf's own limit on a message, which is upstream's only one.
const MAX_MESSAGE_BYTES: usize = i32::MAX as usize;

/// A stream may send this much before the server must have read it. HTTP/2's default of 64 KiB makes a large tensor wait
/// for a round trip every 64 KiB.
const WINDOW_BYTES: u32 = 4 << 20;

pub type Health = HealthServer<HealthService>;

/// What every gRPC listener offers.
#[derive(Clone)]
pub struct Services {
    pub serving: Serving,
    pub health: Health,
    pub tls: Option<ServerTlsConfig>,
    pub http2: Http2,
    /// For server reflection; None leaves it off.
    pub descriptors: Option<reflection::Descriptors>,
}

impl Services {
    /// Serve the connections of `incoming` until `stop` is cancelled and every request under way is answered.
    pub async fn serve<I>(
        self,
        incoming: impl Stream<Item = std::io::Result<I>> + Send + 'static,
        stop: CancellationToken,
    ) -> Result<()>
    where
        I: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let mut server = Server::builder()
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(4 * WINDOW_BYTES)
            .http2_keepalive_interval(self.http2.keepalive_time)
            .max_concurrent_streams(self.http2.max_concurrent_streams);
        if let Some(timeout) = self.http2.keepalive_timeout {
            server = server.http2_keepalive_timeout(Some(timeout));
        }
        if let Some(age) = self.http2.max_connection_age {
            server = server.max_connection_age(age);
        }
        if let Some(grace) = self.http2.max_connection_age_grace {
            server = server.max_connection_age_grace(grace);
        }
        if let Some(tls) = self.tls {
            server = server.tls_config(tls).map_err(|error| Error::invalid(format!("TLS: {error}")))?;
        }
        server
            .add_service(self.health)
            .add_service(prediction_service::PredictionService::new(self.serving.clone()))
            .add_service(model_service::ModelService::new(self.serving.clone()))
            .add_service(session_service::SessionService::new(self.serving))
            .add_optional_service(self.descriptors.clone().map(reflection::ReflectionV1::new))
            .add_optional_service(self.descriptors.map(reflection::ReflectionV1Alpha::new))
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
            .await
            .map_err(|error| Error::internal(format!("the gRPC listener ended: {error}")))
    }
}

/// The TLS settings of the gRPC listeners, checked before a port is opened.
pub fn tls_config(options: &ListenOptions) -> Result<Option<ServerTlsConfig>> {
    let Some(tls) = &options.tls else { return Ok(None) };
    let mut config = ServerTlsConfig::new().identity(Identity::from_pem(&tls.certificate, &tls.key));
    match &tls.client_ca {
        Some(ca) => {
            config = config.client_ca_root(Certificate::from_pem(ca)).client_auth_optional(!tls.client_verify);
        }
        None if tls.client_verify => {
            return Err(Error::invalid("client_verify needs custom_ca, the authority that signs the clients"));
        }
        None => {}
    }
    let refused = |error| Error::invalid(format!("the keys of the SSL config cannot be used: {error}"));
    Server::builder().tls_config(config.clone()).map_err(refused)?;
    Ok(Some(config))
}

/// Declare a tower service that hands each method of a gRPC service to its `UnaryService`, made from a `Serving`.
macro_rules! service {
    ($name:ident, $path:literal, { $($method:literal => $handler:ident,)* }) => {
        #[derive(Clone)]
        pub struct $name($crate::serving::Serving);

        impl $name {
            pub fn new(serving: $crate::serving::Serving) -> Self {
                Self(serving)
            }
        }

        impl tonic::server::NamedService for $name {
            const NAME: &'static str = $path;
        }

        impl tonic::codegen::Service<http::Request<tonic::body::Body>> for $name {
            type Response = http::Response<tonic::body::Body>;
            type Error = std::convert::Infallible;
            type Future = tonic::codegen::BoxFuture<Self::Response, Self::Error>;

            fn poll_ready(
                &mut self,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::result::Result<(), Self::Error>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
                let mut serving = self.0.clone();
                Box::pin(async move {
                    let line = $crate::grpc::access::begin(&mut serving, &request);
                    let notes = serving.notes.clone();
                    let limit = serving.answering.max_message_bytes.unwrap_or($crate::grpc::MAX_MESSAGE_BYTES);
                    let mut grpc = tonic::server::Grpc::new($crate::grpc::codec::Raw)
                        .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
                        .max_decoding_message_size(limit);
                    let response = match request.uri().path() {
                        $(concat!("/", $path, "/", $method) => {
                            grpc.unary($crate::grpc::access::Noted($handler(serving), notes), request).await
                        })*
                        path => {
                            let message = format!("{path} is no method of this server");
                            tonic::Status::unimplemented(message).into_http()
                        }
                    };
                    if let Some(line) = line {
                        $crate::grpc::access::end(*line, &response);
                    }
                    Ok(response)
                })
            }
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
