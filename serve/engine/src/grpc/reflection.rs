//! grpc.reflection.v1 and v1alpha: what the services and messages are, for grpcurl and its like.
//!
//! The descriptors are Python's, and loading them takes a moment that no start should pay for: they are asked for with
//! the first request.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use tokio::sync::OnceCell;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic_reflection::server::Builder;

use crate::error::{Error, Result};

/// Gives a serialized `FileDescriptorSet`.
pub type Descriptors = Arc<dyn Fn() -> Result<Vec<u8>> + Send + Sync>;

type Handler = Box<dyn Fn(Request<Body>) -> BoxFuture<Response<Body>, Infallible> + Send + Sync>;

/// Turns descriptors into the service that answers by them.
type Build = fn(&[u8]) -> std::result::Result<Handler, tonic_reflection::server::Error>;

macro_rules! reflection {
    ($name:ident, $path:literal, $build:ident) => {
        /// One version of the reflection service.
        #[derive(Clone)]
        pub struct $name(Reflection);

        impl $name {
            pub fn new(descriptors: Descriptors) -> Self {
                Self(Reflection { descriptors, handler: Arc::default() })
            }
        }

        impl tonic::server::NamedService for $name {
            const NAME: &'static str = $path;
        }

        impl Service<Request<Body>> for $name {
            type Response = Response<Body>;
            type Error = Infallible;
            type Future = BoxFuture<Response<Body>, Infallible>;

            fn poll_ready(
                &mut self,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::result::Result<(), Infallible>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: Request<Body>) -> Self::Future {
                let build: Build = |descriptors| {
                    let service = Builder::configure()
                        .register_encoded_file_descriptor_set(descriptors)
                        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                        .$build()?;
                    Ok(Box::new(move |request| service.clone().call(request)))
                };
                let reflection = self.0.clone();
                Box::pin(async move { reflection.answer(request, build).await })
            }
        }
    };
}

reflection!(ReflectionV1, "grpc.reflection.v1.ServerReflection", build_v1);
reflection!(ReflectionV1Alpha, "grpc.reflection.v1alpha.ServerReflection", build_v1alpha);

#[derive(Clone)]
struct Reflection {
    descriptors: Descriptors,
    handler: Arc<OnceCell<Handler>>,
}

impl Reflection {
    async fn answer(&self, request: Request<Body>, build: Build) -> std::result::Result<Response<Body>, Infallible> {
        let handler = self.handler.get_or_try_init(|| async {
            let descriptors = Arc::clone(&self.descriptors);
            let loaded = tokio::task::spawn_blocking(move || descriptors()).await;
            let descriptors = loaded.map_err(|error| Error::internal(error.to_string()))??;
            build(&descriptors).map_err(|error| Error::internal(format!("the descriptors cannot be used: {error}")))
        });
        match handler.await {
            Ok(handler) => handler(request).await,
            Err(error) => Ok(Status::from(error).into_http()),
        }
    }
}
