//! One HTTP/2 connection of gRPC.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::Services;
use crate::connection::{Connection, Requests, WINDOW_BYTES};

/// A client may put this much into one frame. Each is read and handed on by itself: with HTTP/2's default of 16 KiB large
/// tensors from clients that use it (gRPC's own do) took almost twice the CPU time.
const FRAME_BYTES: u32 = 256 << 10;

/// Serve a connection until its client closes it, or until `stop` is cancelled and its requests are answered.
pub async fn serve<I>(io: I, peer: Option<SocketAddr>, services: Arc<Services>, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = &services.tls else { return serve_http2(io, peer, services, stop).await };
    let accepted = tokio::select! {
        () = stop.cancelled() => return,
        accepted = tls.accept(io) => accepted,
    };
    // A client that cannot agree on keys knows why.
    if let Ok(io) = accepted {
        serve_http2(io, peer, services, stop).await;
    }
}

async fn serve_http2<I>(io: I, peer: Option<SocketAddr>, services: Arc<Services>, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, limits) = (Requests::default(), services.http2.clone());
    let mut http = http2::Builder::new(requests.clone());
    http.timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(4 * WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .keep_alive_interval(limits.keepalive_time)
        // No client of gRPC reads it.
        .auto_date_header(false);
    if let Some(timeout) = limits.keepalive_timeout {
        http.keep_alive_timeout(timeout);
    }
    let service = service_fn(move |request| {
        let services = Arc::clone(&services);
        async move { Ok::<_, Infallible>(services.answer(peer, request).await) }
    });
    let mut connection = Connection::new(http.serve_connection(TokioIo::new(io), service), requests);
    let grace = tokio::select! {
        // An error ends this connection only: the client broke it off or spoke no HTTP/2.
        _ = &mut connection => return,
        () = stop.cancelled() => None,
        () = pass(limits.max_connection_age) => limits.max_connection_age_grace,
    };
    connection.http().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = pass(grace) => {}
    }
}

/// Wait for this long; None is for ever.
async fn pass(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
