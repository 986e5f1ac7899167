//! Work as the queues see it, and what becomes of it if it does not run.

use std::time::{Duration, Instant};

use super::costs::Fit;

/// What a queue lets in and how it cuts its batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Rows of the largest request.
    pub largest_task: usize,
    /// Rows of the largest batch.
    pub largest_batch: usize,
    /// Batches that may wait, at least 1.
    pub most_batches: usize,
    /// How long the first piece of a batch waits for others.
    pub timeout: Duration,
    /// Whether a piece may be cut to fill the room in a batch.
    pub splits: bool,
}

/// A request, or some rows of one, as the queues see it.
pub trait Piece: Sized {
    fn rows(&self) -> usize;
    /// Groups take turns, whatever the number of their queues: the versions of all models.
    fn group(&self) -> usize;
    /// Whether both, which are of one group, may be run as one.
    fn shares_queue(&self, other: &Self) -> bool;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    fn deadline(&self) -> Option<Instant>;
    fn limits(&self) -> &Limits;
    fn costs(&self) -> Fit;
    /// Take the first `rows` rows off; None if it cannot be split.
    fn cut(&mut self, _rows: usize) -> Option<Self> {
        None
    }
}

/// Why a piece was not let in.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    TooLarge {
        rows: usize,
        largest: usize,
    },
    Full(Full),
    /// Its turn would come too late for its deadline.
    Late,
    /// The threads end.
    Stopping,
}

/// A queue without room.
#[derive(Debug, PartialEq)]
pub struct Full {
    /// Of the piece that was refused.
    pub rows: usize,
    /// Rows that would have had room.
    pub capacity: usize,
    pub batches: usize,
    pub most_batches: usize,
    pub open_batch_rows: usize,
    pub largest_batch: usize,
}

/// What will never run.
#[derive(Debug)]
pub struct Leftovers<P> {
    /// Their clients are gone, or their deadlines have passed.
    pub dead: Vec<P>,
    /// Their deadlines cannot be met.
    pub late: Vec<P>,
}

impl<P> Default for Leftovers<P> {
    fn default() -> Leftovers<P> {
        Leftovers { dead: Vec::new(), late: Vec::new() }
    }
}

impl<P> Leftovers<P> {
    pub fn is_empty(&self) -> bool {
        self.dead.is_empty() && self.late.is_empty()
    }
}
