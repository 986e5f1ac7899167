//! What every listener needs to answer a request.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;

use crate::access_log::{AccessLog, Notes};
use crate::batching::Batching;
use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::listen_options::Answering;
use crate::metrics::Metrics;
use crate::reload::ReloadConfig;
use crate::routing::Routes;
use crate::run_threads::RunThreads;
use crate::scheduling::guarded;
use crate::servable::{INLINE_MAX_BYTES, Servable};
use crate::tensorflow::Tensor;

/// Writes the reply to a request, given the outputs of its call.
pub trait Reply<T>: FnOnce(&Servable, Vec<Tensor>) -> Result<T> + Send + 'static {}

impl<T, F: FnOnce(&Servable, Vec<Tensor>) -> Result<T> + Send + 'static> Reply<T> for F {}

/// Shared by all connections.
pub struct Shared {
    pub routes: Arc<Routes>,
    pub run_threads: RunThreads,
    pub metrics: Arc<Metrics>,
    pub answering: Answering,
    /// Takes a new config; None if this server has a fixed one.
    pub reload_config: Option<ReloadConfig>,
    /// None if requests leave no line.
    pub access_log: Option<AccessLog>,
}

/// Cloned for each request, which costs next to nothing.
#[derive(Clone)]
pub struct Serving {
    shared: Arc<Shared>,
    /// On the request that this clone answers.
    pub notes: Notes,
}

impl From<Shared> for Serving {
    fn from(shared: Shared) -> Serving {
        Serving { shared: Arc::new(shared), notes: Notes::default() }
    }
}

impl Deref for Serving {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Serving {
    /// Answer a request: `decode` it, run its call, and write the reply with what `decode` gave for that. Each part is
    /// done where it should be: short ones here, longer ones on a run thread, so that the sockets of this thread do not
    /// wait.
    pub async fn execute<T, D, R>(
        &self,
        servable: Arc<Servable>,
        request_bytes: usize,
        deadline: Option<Instant>,
        decode: D,
    ) -> Result<T>
    where
        T: Send + 'static,
        D: FnOnce(&Servable) -> Result<(Call, R)> + Send + 'static,
        R: Reply<T>,
    {
        if let Some(batching) = servable.batching() {
            let _in_flight = servable.begin_request();
            // In a box, or every request would carry the room for what only these need.
            return Box::pin(self.execute_in_batch(&servable, batching, request_bytes, deadline, decode)).await;
        }
        let work = |servable: &Servable| {
            let (call, reply) = decode(servable)?;
            reply(servable, servable.run(&call)?)
        };
        self.execute_alone(servable, request_bytes, deadline, work).await
    }

    /// The same for `work` that runs the session itself, and never in a batch.
    pub async fn execute_alone<T, F>(
        &self,
        servable: Arc<Servable>,
        request_bytes: usize,
        deadline: Option<Instant>,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Servable) -> Result<T> + Send + 'static,
    {
        let _in_flight = servable.begin_request();
        if servable.runs_inline(request_bytes) {
            return guarded(|| work(&servable));
        }
        Box::pin(self.on_run_thread(servable, deadline, work)).await
    }

    async fn execute_in_batch<T, D, R>(
        &self,
        servable: &Arc<Servable>,
        batching: &Arc<Batching>,
        request_bytes: usize,
        deadline: Option<Instant>,
        decode: D,
    ) -> Result<T>
    where
        T: Send + 'static,
        D: FnOnce(&Servable) -> Result<(Call, R)> + Send + 'static,
        R: Reply<T>,
    {
        let (call, reply) = if request_bytes <= INLINE_MAX_BYTES {
            guarded(|| decode(servable))?
        } else {
            self.on_run_thread(Arc::clone(servable), deadline, decode).await?
        };
        let (api, start) = (call.api, Instant::now());
        let tensors = batching.run(servable, call, deadline, servable.runs_inline(request_bytes)).await;
        servable.note_runtime(api, start.elapsed());
        let tensors = tensors?;
        if tensors.iter().map(Tensor::byte_len).sum::<usize>() <= INLINE_MAX_BYTES {
            return guarded(|| reply(servable, tensors));
        }
        self.on_run_thread(Arc::clone(servable), deadline, move |servable| reply(servable, tensors)).await
    }

    /// Do `work` on a thread of the version, or on a run thread when the turn of the version's requests has come.
    async fn on_run_thread<T, F>(&self, servable: Arc<Servable>, deadline: Option<Instant>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Servable) -> Result<T> + Send + 'static,
    {
        let (queue, own) = (servable.run_queue.clone(), servable.own_threads().cloned());
        own.as_ref().unwrap_or(&self.run_threads).run(&queue, deadline, move || work(&servable)).await
    }
}

/// Open a TCP port; the error names protocol and address.
pub async fn bind(protocol: &str, address: &str) -> Result<(TcpListener, SocketAddr)> {
    let failed = |error: std::io::Error| {
        Error::new(Code::Unavailable, format!("cannot listen for {protocol} on {address}: {error}"))
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
