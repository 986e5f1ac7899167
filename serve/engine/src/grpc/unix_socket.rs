//! Connections over a unix socket, from any client.
//!
//! gRPC's C core (Python, C++, Ruby) names the percent-encoded path of the socket as the request's `:authority`. HTTP/2
//! in Rust takes only what could be a host there, and resets the stream (hyperium/h2 pull request 487). Nobody reads the
//! authority of a socket, so each `%` in it becomes `-` on its way in: a byte for a byte, and HPACK's tables on both sides
//! stay the same size.

use std::io::{IoSlice, Result as IoResult};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};

use super::authority::AuthorityCleaner;
use crate::error::{Code, Error, Result};

/// A connection whose requests have an authority that HTTP/2 in Rust takes.
pub struct Connection {
    stream: UnixStream,
    cleaner: AuthorityCleaner,
}

impl From<UnixStream> for Connection {
    fn from(stream: UnixStream) -> Connection {
        Connection { stream, cleaner: AuthorityCleaner::default() }
    }
}

/// Open a unix socket in place of what stands there, which is what a server that was killed has left.
pub fn bind(path: &Path) -> Result<UnixListener> {
    let failed = |error: std::io::Error| {
        Error::new(Code::Unavailable, format!("cannot listen for gRPC on the socket {}: {error}", path.display()))
    };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
        _ => UnixListener::bind(path).map_err(failed),
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<IoResult<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.cleaner.clean(&mut buffer.filled_mut()[before..]);
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<IoResult<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<IoResult<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<IoResult<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<IoResult<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
