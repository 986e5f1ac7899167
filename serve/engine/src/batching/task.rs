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
use crate::tensorflow::Tensor;

/// What a request waits for.
pub struct Waiting {
    /// Closed without an answer if the task was dropped.
    pub answer: oneshot::Receiver<Result<Vec<Tensor>>>,
    pub task: Arc<Task>,
}

/// One request: its inputs, and what of its outputs there is.
pub struct Task {
    pub servable: Arc<Servable>,
    pub batching: Arc<Batching>,
    /// In the order of the endpoints, whatever the signature's order is: signatures may share tensors.
    feeds: Vec<(Endpoint, Fed)>,
    /// Sorted, each once.
    pub fetches: Vec<Endpoint>,
    /// Which of `fetches` the request gets, in its own order; None if exactly those.
    wanted: Option<Vec<usize>>,
    /// Equal for those that may share a batch.
    kind: Vec<i64>,
    pub rows: usize,
    deadline: Option<Instant>,
    pub submitted: Instant,
    started: AtomicBool,
    progress: Mutex<Progress>,
}

struct Progress {
    reply: Option<oneshot::Sender<Result<Vec<Tensor>>>>,
    /// First row and outputs of each piece that was run, if there are several.
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
        let (fetches, wanted) = in_order(call.fetches);
        let (reply, answer) = oneshot::channel();
        let task = Arc::new(Task {
            servable,
            kind: kind(&feeds, &fetches, batching.options.pad_variable_length_inputs),
            batching,
            feeds,
            fetches,
            wanted,
            rows,
            deadline,
            submitted: Instant::now(),
            started: AtomicBool::new(false),
            progress: Mutex::new(Progress { reply: Some(reply), parts: Vec::new(), missing_rows: rows }),
        });
        let waiting = Waiting { answer, task: Arc::clone(&task) };
        Ok((TaskPiece { task, rows: 0..rows }, waiting))
    }

    /// Whether a part of it has left its queue.
    pub fn has_started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outputs of all pieces put together, in the order that the request wants.
    fn assemble(&self, mut parts: Vec<(usize, Vec<Tensor>)>) -> Result<Vec<Tensor>> {
        parts.sort_by_key(|(first, _)| *first);
        let joined = (0..self.fetches.len()).map(|index| self.join(&parts, index)).collect::<Result<_>>()?;
        self.arrange(joined)
    }

    fn arrange(&self, outputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let Some(wanted) = &self.wanted else { return Ok(outputs) };
        let mut outputs: Vec<_> = outputs.into_iter().map(Some).collect();
        let mut arranged: Vec<Tensor> = Vec::with_capacity(wanted.len());
        for (position, index) in wanted.iter().enumerate() {
            let output = match (outputs[*index].take(), wanted[..position].iter().position(|old| old == index)) {
                (Some(tensor), _) => tensor,
                (None, Some(earlier)) => {
                    slice(|| self.name(*index), Rows { tensor: &arranged[earlier], first: 0, count: self.rows })?
                }
                (None, None) => return Err(Error::internal("an output of a batch is missing")),
            };
            arranged.push(output);
        }
        Ok(arranged)
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

/// Fetches sorted, each once, and where those that are wanted stand then; None if in that order.
fn in_order(fetches: Vec<Endpoint>) -> (Vec<Endpoint>, Option<Vec<usize>>) {
    if fetches.is_sorted_by(|one, next| one < next) {
        return (fetches, None);
    }
    let mut sorted = fetches.clone();
    sorted.sort_unstable();
    sorted.dedup();
    let wanted = fetches.iter().filter_map(|endpoint| sorted.binary_search(endpoint).ok()).collect();
    (sorted, Some(wanted))
}

/// What must be equal to share a batch: which tensors are fed and fetched, their types, and the shapes of their rows. With
/// padding no more than the rank of these.
fn kind(feeds: &[(Endpoint, Fed)], fetches: &[Endpoint], pads: bool) -> Vec<i64> {
    let mut kind = Vec::with_capacity(8);
    for (endpoint, tensor) in feeds {
        let dims = tensor.dims();
        kind.extend([endpoint.0 as i64, tensor.dtype().map_or(0, |dtype| dtype as i64), dims.len() as i64]);
        kind.extend(if pads { &[] } else { &dims[1..] });
    }
    kind.extend(fetches.iter().map(|endpoint| endpoint.0 as i64));
    kind
}

/// Upstream's checks of one request.
pub fn count_rows(feeds: &[(Endpoint, Fed)]) -> Result<usize> {
    let Some((_, first)) = feeds.first() else {
        return Err(Error::invalid("Batching Run() must have at least one input tensor"));
    };
    if feeds.iter().any(|(_, tensor)| tensor.first_dim().is_none()) {
        return Err(Error::invalid("Batching Run() input tensors must have at least one dimension"));
    }
    let rows = first.first_dim();
    if feeds.iter().any(|(_, tensor)| tensor.first_dim() != rows) {
        return Err(Error::invalid("Batching Run() input tensors must have equal 0th-dimension size"));
    }
    Ok(rows.unwrap_or_default() as usize)
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
        if self.is_whole() {
            let reply = progress.reply.take();
            drop(progress);
            if let Some(reply) = reply {
                // An error only says that the client has left.
                let _ = reply.send(self.task.arrange(outputs));
            }
            return;
        }
        progress.parts.push((self.rows.start, outputs));
        progress.missing_rows -= self.rows.len();
        if progress.missing_rows == 0
            && let Some(reply) = progress.reply.take()
        {
            let parts = std::mem::take(&mut progress.parts);
            drop(progress);
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
        self.task.kind == other.task.kind
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
