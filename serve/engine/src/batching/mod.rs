//! Batching: requests that come at about the same time are run as one.
//!
//! A request is decoded, its inputs wait in the queue of those that may share a batch with it, and the outputs that come
//! back are encoded. No thread is blocked in between.

mod blocks;
mod merge;
mod metrics;
mod options;
mod run;
mod task;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub use metrics::BatchMetrics;
pub use options::BatchingOptions;

use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::run_threads::deadline_exceeded;
use crate::scheduling::{Costs, Limits, Pool, Refusal};
use crate::servable::Servable;
use crate::tensorflow::Tensor;
use task::{Task, TaskPiece, Waiting};

/// The threads that run batches, one pool for every model and version.
pub struct BatchThreads {
    pool: Pool<TaskPiece>,
    metrics: BatchMetrics,
}

impl BatchThreads {
    pub fn start(count: usize, name: &str, metrics: BatchMetrics) -> std::io::Result<BatchThreads> {
        Ok(BatchThreads { pool: Pool::start(count, name)?, metrics })
    }
}

/// How one version batches.
pub struct Batching {
    options: BatchingOptions,
    limits: Limits,
    costs: Costs,
    threads: Arc<BatchThreads>,
}

impl Batching {
    pub fn new(options: BatchingOptions, threads: Arc<BatchThreads>) -> Result<Batching> {
        let limits = options.limits()?;
        Ok(Batching { options, limits, costs: Costs::default(), threads })
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
        self.threads.metrics.submitted(piece.task.rows);
        self.threads.pool.submit(piece).map_err(refusal)?;
        Ok(waiting)
    }
}

/// Upstream's words, as far as it knows the case.
fn refusal(refusal: Refusal) -> Error {
    match refusal {
        Refusal::TooLarge { rows, largest } => {
            Error::invalid(format!("Task size {rows} is larger than maximum input batch size {largest}"))
        }
        Refusal::Full(full) => Error::new(
            Code::Unavailable,
            format!(
                "The batch scheduling queue to which this task was submitted is full; task size is {} but scheduling \
                 capacity is only {} (num_enqueued_batches={}, max_enqueued_batches={}, open_batch_size={}, \
                 max_execution_batch_size={})",
                full.rows, full.capacity, full.batches, full.most_batches, full.open_batch_rows, full.largest_batch
            ),
        ),
        Refusal::Late => {
            Error::new(Code::ResourceExhausted, "Run() timeout would be exceeded while waiting in batching queue")
        }
        Refusal::Stopping => Error::new(Code::Unavailable, "the server is stopping"),
    }
}

fn unanswered() -> Error {
    Error::internal("the batch gave no answer")
}
