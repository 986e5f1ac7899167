//! The open ports and how they are closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

use crate::access_log::AccessLog;
use crate::error::{Error, Result};
use crate::listen_options::ListenOptions;
use crate::report::{Level, Report};
use crate::serving::{Serving, bind};
use crate::{grpc, rest};

/// Listeners that run on the engine's threads until `shutdown`.
pub struct Listeners {
    pub grpc: Option<SocketAddr>,
    pub rest: Option<SocketAddr>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    access_log: Option<AccessLog>,
}

impl Listeners {
    /// Open the ports that are named and begin to serve. If one cannot be opened, none is.
    pub async fn open(
        options: &ListenOptions,
        serving: Serving,
        health: grpc::Health,
        report: &Report,
    ) -> Result<Listeners> {
        let stop = CancellationToken::new();
        let mut listeners = Listeners {
            grpc: None,
            rest: None,
            tasks: JoinSet::new(),
            stop: stop.clone(),
            access_log: serving.access_log.clone(),
        };
        let services = grpc::Services {
            serving: serving.clone(),
            health,
            tls: grpc::tls_config(options)?,
            http2: options.http2.clone(),
            descriptors: options.descriptors.clone(),
        };
        let tcp = match &options.grpc {
            Some(address) => Some(bind("gRPC", address).await?),
            None => None,
        };
        let rest = match &options.rest {
            Some(address) => Some(bind("REST", address).await?),
            None => None,
        };
        let socket = options.grpc_socket.as_deref().map(grpc::unix_socket::bind).transpose()?;
        if let Some((listener, address)) = tcp {
            listeners.grpc = Some(address);
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            listeners.spawn_grpc(services.clone().serve(incoming, stop.clone()), report);
        }
        if let Some(listener) = socket {
            let incoming =
                UnixListenerStream::new(listener).map(|stream| stream.map(grpc::unix_socket::Connection::from));
            listeners.spawn_grpc(services.serve(incoming, stop.clone()), report);
        }
        if let Some((listener, address)) = rest {
            listeners.rest = Some(address);
            listeners.tasks.spawn(rest::serve(listener, serving, stop));
        }
        Ok(listeners)
    }

    fn spawn_grpc(&mut self, server: impl Future<Output = Result<()>> + Send + 'static, report: &Report) {
        let report = Arc::clone(report);
        self.tasks.spawn(async move {
            if let Err(error) = server.await {
                report(Level::Error, &error.to_string());
            }
        });
    }

    /// Accept nothing new, wait up to `drain` for the requests under way, close, write their lines. True if all were
    /// answered.
    pub fn shutdown(mut self, runtime: &Handle, drain: Duration) -> bool {
        self.stop.cancel();
        let drained = runtime.block_on(async {
            let drained = tokio::time::timeout(drain, async { while self.tasks.join_next().await.is_some() {} }).await;
            self.tasks.shutdown().await;
            drained.is_ok()
        });
        if let Some(log) = self.access_log {
            log.flush();
        }
        drained
    }
}

/// A runtime that could not be made is the machine's fault, not the user's.
pub fn runtime_error(error: &std::io::Error) -> Error {
    Error::internal(format!("cannot start threads: {error}"))
}
