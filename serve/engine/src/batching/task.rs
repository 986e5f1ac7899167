//! A request on its way through the queues.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::merge::{Misfit, Rows, merge, slice};
use super::{Batching, refusal, run};
use crate::call::{Call, Fed};
use crate::error::{Error, Result};
use crate::executor::Endpoint;
use crate::scheduling::{Fit, Limits, Piece, Refusal, Work};
use crate::servable::Servable;
use crate::tensorflow::{DataType, Tensor};

/// What a request waits for.
pub struct Waiting {
    /// Closed without an answer if the task was dropped.
    pub answer: oneshot::Receiver<Result<Vec<Tensor>>>,
    /// Whether a part of the task has left its queue.
    pub started: Arc<AtomicBool>,
}

/// One request: its inputs, and what of its outputs there is.
pub struct Task {
    pub servable: Arc<Servable>,
    pub batching: Arc<Batching>,
    /// In the order of the endpoints, whatever the signature's order is: signatures may share tensors.
    feeds: Vec<(Endpoint, Fed)>,
    dtypes: Vec<Option<DataType>>,
    /// Sorted, each once.
    pub fetches: Vec<Endpoint>,
    /// Which of `fetches` the request gets, in its own order.
    wanted: Vec<usize>,
    pub rows: usize,
    deadline: Option<Instant>,
    pub submitted: Instant,
    started: Arc<AtomicBool>,
    progress: Mutex<Progress>,
}

struct Progress {
    reply: Option<oneshot::Sender<Result<Vec<Tensor>>>>,
    /// First row and outputs of each piece that was run.
    parts: Vec<(usize, Vec<Tensor>)>,
    missing_rows: usize,
}

impl Task {
    /// Check a call against the rules of batching.
    pub fn begin(
        servable: Arc<Servable>,
        batching: Arc<Batching>,
        call: Call,
        deadline: Option<Instant>,
    ) -> Result<(TaskPiece, Waiting)> {
        let rows = count_rows(&call.feeds)?;
        let mut feeds = call.feeds;
        feeds.sort_by_key(|(endpoint, _)| *endpoint);
        let mut fetches = call.fetches.clone();
        fetches.sort_unstable();
        fetches.dedup();
        let wanted = call.fetches.iter().filter_map(|endpoint| fetches.binary_search(endpoint).ok()).collect();
        let (reply, answer) = oneshot::channel();
        let started = Arc::new(AtomicBool::new(false));
        let waiting = Waiting { answer, started: Arc::clone(&started) };
        let task = Task {
            servable,
            batching,
            dtypes: feeds.iter().map(|(_, tensor)| tensor.dtype()).collect(),
            feeds,
            fetches,
            wanted,
            rows,
            deadline,
            submitted: Instant::now(),
            started,
            progress: Mutex::new(Progress { reply: Some(reply), parts: Vec::new(), missing_rows: rows }),
        };
        Ok((TaskPiece { task: Arc::new(task), rows: 0..rows }, waiting))
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        self.feeds.iter().map(|(endpoint, _)| *endpoint)
    }

    /// The outputs of all pieces put together, in the order that the request wants.
    fn assemble(&self, mut parts: Vec<(usize, Vec<Tensor>)>) -> Result<Vec<Tensor>> {
        if parts.len() > 1 {
            parts.sort_by_key(|(first, _)| *first);
        }
        let joined = match parts.len() {
            1 => parts.remove(0).1,
            _ => (0..self.fetches.len()).map(|index| self.join(&parts, index)).collect::<Result<_>>()?,
        };
        let mut joined: Vec<_> = joined.into_iter().map(Some).collect();
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.wanted.len());
        for (position, index) in self.wanted.iter().enumerate() {
            let output = match (joined[*index].take(), self.wanted[..position].iter().position(|old| old == index)) {
                (Some(tensor), _) => tensor,
                (None, Some(earlier)) => slice(self.name(*index), &outputs[earlier], 0, self.rows)?,
                (None, None) => return Err(Error::internal("an output of a batch is missing")),
            };
            outputs.push(output);
        }
        Ok(outputs)
    }

    fn join(&self, parts: &[(usize, Vec<Tensor>)], index: usize) -> Result<Tensor> {
        let rows = |(_, tensors): &'_ (usize, Vec<Tensor>)| tensors[index].dims()[0] as usize;
        let parts: Vec<_> =
            parts.iter().map(|part| Rows { tensor: &part.1[index], first: 0, count: rows(part) }).collect();
        merge(self.name(index), &parts, 0, false).map_err(|misfit| match misfit {
            Misfit::One(_, error) | Misfit::All(error) => error,
        })
    }

    fn name(&self, fetch: usize) -> &str {
        self.servable.tensor_name(self.fetches[fetch])
    }
}

/// Upstream's checks of one request.
fn count_rows(feeds: &[(Endpoint, Fed)]) -> Result<usize> {
    let Some((_, first)) = feeds.first() else {
        return Err(Error::invalid("Batching Run() must have at least one input tensor"));
    };
    if feeds.iter().any(|(_, tensor)| tensor.rank() == 0) {
        return Err(Error::invalid("Batching Run() input tensors must have at least one dimension"));
    }
    let rows = first.dims()[0];
    if feeds.iter().any(|(_, tensor)| tensor.dims()[0] != rows) {
        return Err(Error::invalid("Batching Run() input tensors must have equal 0th-dimension size"));
    }
    Ok(rows as usize)
}

/// Some rows of a task; all of them, unless it was split.
pub struct TaskPiece {
    pub task: Arc<Task>,
    pub rows: Range<usize>,
}

impl TaskPiece {
    pub fn is_whole(&self) -> bool {
        self.rows.len() == self.task.rows
    }

    pub fn start(&self) {
        self.task.started.store(true, Ordering::Relaxed);
    }

    /// What is fed, in the order that all pieces of a queue share.
    pub fn feeds(&self) -> impl Iterator<Item = (Endpoint, Rows<'_>)> {
        let (first, count) = (self.rows.start, self.rows.len());
        self.task.feeds.iter().map(move |(endpoint, tensor)| (*endpoint, Rows { tensor, first, count }))
    }

    /// Note the outputs of these rows, in the order of the task's fetches; the last piece answers the request.
    pub fn succeed(&self, outputs: Vec<Tensor>) {
        let mut progress = self.task.progress();
        progress.parts.push((self.rows.start, outputs));
        progress.missing_rows -= self.rows.len();
        if progress.missing_rows == 0
            && let Some(reply) = progress.reply.take()
        {
            let parts = std::mem::take(&mut progress.parts);
            drop(progress);
            // An error only says that the client has left.
            let _ = reply.send(self.task.assemble(parts));
        }
    }

    /// Answer the request with an error, whatever its other pieces give.
    pub fn fail(&self, error: Error) {
        if let Some(reply) = self.task.progress().reply.take() {
            let _ = reply.send(Err(error));
        }
    }
}

impl Piece for TaskPiece {
    fn rows(&self) -> usize {
        self.rows.len()
    }

    fn group(&self) -> usize {
        Arc::as_ptr(&self.task.servable).addr()
    }

    fn shares_queue(&self, other: &TaskPiece) -> bool {
        let (one, other) = (&*self.task, &*other.task);
        one.fetches == other.fetches && one.dtypes == other.dtypes && one.endpoints().eq(other.endpoints())
    }

    fn is_abandoned(&self) -> bool {
        self.task.progress().reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn deadline(&self) -> Option<Instant> {
        self.task.deadline
    }

    fn limits(&self) -> &Limits {
        &self.task.batching.limits
    }

    fn costs(&self) -> Fit {
        self.task.batching.costs.fit()
    }

    fn cut(&mut self, rows: usize) -> Option<TaskPiece> {
        let middle = self.rows.start + rows;
        let head = TaskPiece { task: Arc::clone(&self.task), rows: self.rows.start..middle };
        self.rows.start = middle;
        Some(head)
    }
}

impl Work for TaskPiece {
    fn run(pieces: Vec<TaskPiece>) {
        run::run(pieces);
    }

    fn refuse(self) {
        self.fail(refusal(Refusal::Late));
    }
}
