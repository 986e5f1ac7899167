//! grpc.reflection.v1 and v1alpha: what the services and messages are, for grpcurl and its like.
//!
//! The descriptors are Python's, and loading them takes a moment that no start should pay for: they are asked for with
//! the first request.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::OnceCell;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic_reflection::server::Builder;

use crate::error::{Error, Result};

/// Gives a serialized `FileDescriptorSet`.
pub type Descriptors = Arc<dyn Fn() -> Result<Vec<u8>> + Send + Sync>;

type Handler = Box<dyn Fn(Request<Incoming>) -> BoxFuture<Response<Body>, Infallible> + Send + Sync>;

/// Turns descriptors into the service that answers by them.
type Build = fn(&[u8]) -> std::result::Result<Handler, tonic_reflection::server::Error>;

/// What the paths of the two versions begin with.
pub const V1: &str = "/grpc.reflection.v1.ServerReflection";
pub const V1_ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection";

/// Turn descriptors into the service of one version.
macro_rules! handler {
    ($build:ident) => {
        |descriptors| {
            let service = Builder::configure()
                .register_encoded_file_descriptor_set(descriptors)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .$build()?;
            Ok(Box::new(move |request| service.clone().call(request)))
        }
    };
}

/// Both versions of the reflection service.
#[derive(Clone)]
pub struct Reflection {
    descriptors: Descriptors,
    v1: Arc<OnceCell<Handler>>,
    v1_alpha: Arc<OnceCell<Handler>>,
}

impl Reflection {
    pub fn new(descriptors: Descriptors) -> Reflection {
        Reflection { descriptors, v1: Arc::default(), v1_alpha: Arc::default() }
    }

    pub async fn v1(&self, request: Request<Incoming>) -> Response<Body> {
        self.answer(&self.v1, handler!(build_v1), request).await
    }

    pub async fn v1_alpha(&self, request: Request<Incoming>) -> Response<Body> {
        self.answer(&self.v1_alpha, handler!(build_v1alpha), request).await
    }

    async fn answer(&self, handler: &OnceCell<Handler>, build: Build, request: Request<Incoming>) -> Response<Body> {
        let handler = handler.get_or_try_init(|| async {
            let descriptors = Arc::clone(&self.descriptors);
            let loaded = tokio::task::spawn_blocking(move || descriptors()).await;
            let descriptors = loaded.map_err(|error| Error::internal(error.to_string()))??;
            build(&descriptors).map_err(|error| Error::internal(format!("the descriptors cannot be used: {error}")))
        });
        match handler.await {
            Ok(handler) => match handler(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Err(error) => Status::from(error).into_http(),
        }
    }
}
