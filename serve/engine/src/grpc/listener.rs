//! Accepting connections.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Services, connection};

/// How long to wait for a connection to be closed if no more can be opened.
const PAUSE: Duration = Duration::from_millis(50);

impl Services {
    /// Serve the connections of `incoming`, each with its client's address if it has one, until `stop` is cancelled and
    /// every request under way is answered.
    pub async fn serve<I>(
        self,
        incoming: impl Stream<Item = std::io::Result<(I, Option<SocketAddr>)>>,
        stop: CancellationToken,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (services, connections) = (Arc::new(self), TaskTracker::new());
        {
            let mut incoming = pin!(incoming);
            loop {
                let next = tokio::select! {
                    () = stop.cancelled() => break,
                    next = incoming.next() => next,
                };
                match next {
                    Some(Ok((io, peer))) => {
                        connections.spawn(connection::serve(io, peer, Arc::clone(&services), stop.clone()));
                    }
                    // Out of file descriptors, mostly.
                    Some(Err(_)) => tokio::time::sleep(PAUSE).await,
                    None => break,
                }
            }
        }
        connections.close();
        connections.wait().await;
    }
}
