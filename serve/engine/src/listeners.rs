//! The open ports and how they are closed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tokio_util::sync::CancellationToken;

use crate::access_log::AccessLog;
use crate::error::{Error, Result};
use crate::listen_options::ListenOptions;
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
    pub async fn open(options: &ListenOptions, serving: Serving, health: grpc::Health) -> Result<Listeners> {
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
            tls: options.tls.as_ref().map(grpc::tls::acceptor).transpose()?,
            http2: options.http2.clone(),
            reflection: options.descriptors.clone().map(grpc::reflection::Reflection::new),
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
            let incoming = TcpListenerStream::new(listener).map(|accepted| {
                let stream = accepted?;
                // Only a hint to the kernel; a connection that refuses it will fail by itself.
                let _ = stream.set_nodelay(true);
                let peer = stream.peer_addr().ok();
                Ok((stream, peer))
            });
            listeners.tasks.spawn(services.clone().serve(incoming, stop.clone()));
        }
        if let Some(listener) = socket {
            let connected = |stream| (grpc::unix_socket::Connection::from(stream), None);
            let incoming = UnixListenerStream::new(listener).map(move |stream| stream.map(connected));
            listeners.tasks.spawn(services.serve(incoming, stop.clone()));
        }
        if let Some((listener, address)) = rest {
            listeners.rest = Some(address);
            listeners.tasks.spawn(rest::serve(listener, serving, stop));
        }
        Ok(listeners)
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
