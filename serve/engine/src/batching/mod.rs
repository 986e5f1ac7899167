//! Batching: requests that come at about the same time are run as one.
//!
//! A request is decoded, its inputs wait in the queue of those that may share a batch with it, and the outputs that come
//! back are encoded. No thread is blocked in between.

mod blocks;
mod gather;
mod merge;
mod metrics;
mod options;
mod run;
mod task;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use gather::thread_has_slept;
pub use metrics::BatchMetrics;
pub use options::BatchingOptions;

use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::run_threads::deadline_exceeded;
use crate::scheduling::{Costs, Gathered, Limits, OnEach, Pool, Refusal, guarded};
use crate::servable::Servable;
use crate::tensorflow::Tensor;
use gather::Arrivals;
use merge::check_rows;
use task::{Task, TaskPiece, Waiting, count_rows};

/// The threads that run batches, one pool for every model and version.
pub struct BatchThreads {
    pool: Pool<TaskPiece>,
    metrics: BatchMetrics,
    count: usize,
}

impl BatchThreads {
    pub fn start(count: usize, name: &str, metrics: BatchMetrics) -> std::io::Result<BatchThreads> {
        Ok(BatchThreads { pool: Pool::start(count, name)?, metrics, count })
    }

    /// Have each thread do `work` once, one after the other; see `Pool::on_each_thread`.
    pub fn on_each(&self, work: &OnEach, until: Instant) {
        self.pool.on_each_thread(work, until);
    }

    /// Batches that wait for a thread, or for more requests.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }
}

/// How one version batches.
pub struct Batching {
    options: BatchingOptions,
    limits: Limits,
    costs: Costs,
    arrivals: Arrivals,
    threads: Arc<BatchThreads>,
    /// Whether the threads that read requests may run batches of short ones themselves: nobody waits for others here, and
    /// batches may run on every CPU at a time.
    gathers: bool,
}

impl Batching {
    pub fn new(options: BatchingOptions, threads: Arc<BatchThreads>) -> Result<Batching> {
        let limits = options.limits()?;
        let every_cpu = std::thread::available_parallelism().is_ok_and(|cpus| threads.count >= cpus.get());
        let gathers = limits.timeout.is_zero() && every_cpu;
        Ok(Batching { options, limits, costs: Costs::default(), arrivals: Arrivals::default(), threads, gathers })
    }

    /// Run a call of `servable`, whose batching this is, together with others; in the calling thread if `is_short` and if
    /// that is how this version batches.
    pub async fn run(
        self: &Arc<Self>,
        servable: &Arc<Servable>,
        call: Call,
        deadline: Option<Instant>,
        is_short: bool,
    ) -> Result<Vec<Tensor>> {
        if !(is_short && self.gathers) {
            let waiting = self.submit(servable, call, deadline)?;
            return wait(waiting, deadline).await;
        }
        if self.arrivals.is_alone() {
            let rows = count_rows(&call.feeds)?;
            if rows <= self.limits.largest_batch && self.options.padded_size(rows) == rows {
                return guarded(|| self.run_alone(servable, &call, rows));
            }
        }
        let (piece, waiting) = self.begin(servable, call, deadline)?;
        let batch = match self.threads.pool.gather(piece).map_err(refusal)? {
            Gathered::Full(batch) => batch,
            Gathered::Waits => Vec::new(),
            Gathered::Leads(lead) => {
                let _leading = self.arrivals.lead();
                tokio::task::yield_now().await;
                lead.take()
            }
        };
        if !batch.is_empty() {
            // Those whose run panics are left without an answer, which they notice.
            let _ = guarded(|| {
                run::run(batch);
                Ok(())
            });
            self.arrivals.note_run();
        }
        wait(waiting, deadline).await
    }

    /// The same, for a thread that may wait.
    pub fn run_blocking(self: &Arc<Self>, servable: &Arc<Servable>, call: Call) -> Result<Vec<Tensor>> {
        let waiting = self.submit(servable, call, None)?;
        waiting.answer.blocking_recv().unwrap_or_else(|_| Err(unanswered()))
    }

    fn submit(self: &Arc<Self>, servable: &Arc<Servable>, call: Call, deadline: Option<Instant>) -> Result<Waiting> {
        let (piece, waiting) = self.begin(servable, call, deadline)?;
        self.threads.pool.submit(piece).map_err(refusal)?;
        Ok(waiting)
    }

    fn begin(
        self: &Arc<Self>,
        servable: &Arc<Servable>,
        call: Call,
        deadline: Option<Instant>,
    ) -> Result<(TaskPiece, Waiting)> {
        let (piece, waiting) = Task::begin(Arc::clone(servable), Arc::clone(self), call, deadline)?;
        self.threads.metrics.submitted(piece.task.rows);
        Ok((piece, waiting))
    }

    /// Run a call of `rows` rows as a batch of its own, here and now.
    fn run_alone(&self, servable: &Servable, call: &Call, rows: usize) -> Result<Vec<Tensor>> {
        let (metrics, start) = (&self.threads.metrics, Instant::now());
        metrics.submitted(rows);
        metrics.waited(Duration::ZERO);
        metrics.batch(rows, rows);
        let feeds: Vec<_> = call.feeds.iter().map(|(endpoint, tensor)| (*endpoint, &**tensor)).collect();
        let outputs = servable.run_merged(&feeds, &call.fetches);
        self.arrivals.note_run();
        let outputs = outputs?;
        outputs.iter().try_for_each(|output| check_rows(output, rows))?;
        self.costs.note(rows, start.elapsed());
        Ok(outputs)
    }
}

async fn wait(waiting: Waiting, deadline: Option<Instant>) -> Result<Vec<Tensor>> {
    let Waiting { answer, task } = waiting;
    let Some(deadline) = deadline else { return answer.await.unwrap_or_else(|_| Err(unanswered())) };
    match tokio::time::timeout_at(deadline.into(), answer).await {
        Ok(Ok(outcome)) => outcome,
        // Out of time: found here, or by the thread that took the batch.
        _ if !task.has_started() => {
            Err(Error::new(Code::ResourceExhausted, "Run() timeout exceeded while waiting in batching queue"))
        }
        Ok(Err(_)) if Instant::now() < deadline => Err(unanswered()),
        // Also if some of its pieces had started and the others came too late.
        _ => Err(deadline_exceeded()),
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
