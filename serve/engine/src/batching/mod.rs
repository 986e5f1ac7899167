//! Batching: requests that come at about the same time are run as one.
//!
//! A request is decoded, its inputs wait in the queue of those that may share a batch with it, and the outputs that come
//! back are encoded. No thread is blocked in between.

mod blocks;
mod merge;
mod metrics;
mod options;
mod pool;
mod queue;
mod run;
mod task;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub use metrics::BatchMetrics;
pub use options::BatchingOptions;
pub use pool::BatchThreads;

use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::run_threads::deadline_exceeded;
use crate::servable::Servable;
use crate::tensorflow::Tensor;
use queue::Limits;
use task::{Task, Waiting};

/// How one version batches.
pub struct Batching {
    options: BatchingOptions,
    limits: Limits,
    pool: Arc<BatchThreads>,
}

impl Batching {
    pub fn new(options: BatchingOptions, pool: Arc<BatchThreads>) -> Result<Batching> {
        let limits = options.limits()?;
        Ok(Batching { options, limits, pool })
    }

    /// Run a call of `servable`, whose batching this is, together with others.
    pub async fn run(
        self: &Arc<Self>,
        servable: &Arc<Servable>,
        call: Call,
        deadline: Option<Instant>,
    ) -> Result<Vec<Tensor>> {
        let Waiting { answer, started } = self.submit(servable, call, deadline)?;
        let Some(deadline) = deadline else { return answer.await.unwrap_or_else(|_| Err(unanswered())) };
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(outcome)) => outcome,
            // Out of time: found here, or by the thread that took the batch.
            _ if !started.load(Ordering::Relaxed) => {
                Err(Error::new(Code::ResourceExhausted, "Run() timeout exceeded while waiting in batching queue"))
            }
            Ok(Err(_)) if Instant::now() < deadline => Err(unanswered()),
            // Also if some of its pieces had started and the others came too late.
            _ => Err(deadline_exceeded()),
        }
    }

    /// The same, for a thread that may wait.
    pub fn run_blocking(self: &Arc<Self>, servable: &Arc<Servable>, call: Call) -> Result<Vec<Tensor>> {
        let waiting = self.submit(servable, call, None)?;
        waiting.answer.blocking_recv().unwrap_or_else(|_| Err(unanswered()))
    }

    fn submit(self: &Arc<Self>, servable: &Arc<Servable>, call: Call, deadline: Option<Instant>) -> Result<Waiting> {
        let (piece, waiting) = Task::begin(Arc::clone(servable), Arc::clone(self), call, deadline)?;
        self.pool.submit(piece)?;
        Ok(waiting)
    }
}

fn unanswered() -> Error {
    Error::internal("the batch gave no answer")
}
