//! The queues of waiting work: which pieces share a batch, and which batch leaves next. No threads and no tensors here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};

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
    /// Whether both may be run as one.
    fn shares_queue(&self, other: &Self) -> bool;
    /// Whether nobody waits for it any more.
    fn is_dead(&self, now: Instant) -> bool;
    fn limits(&self) -> &Limits;
    /// Take the first `rows` rows off.
    fn cut(&mut self, rows: usize) -> Self;
}

/// What there is to do.
#[derive(Debug, PartialEq)]
pub enum Next<P> {
    /// Run these together.
    Batch(Vec<P>),
    /// Nothing before this moment.
    Wait(Instant),
    /// Nothing at all.
    Idle,
}

struct Batch<P> {
    pieces: Vec<P>,
    size: usize,
    /// When its first piece came.
    since: Instant,
}

/// One queue: all pieces in it may share a batch. Never empty; the last of its batches is still open.
struct Queue<P> {
    limits: Limits,
    batches: VecDeque<Batch<P>>,
}

/// All queues that have work, the one whose turn it is first.
pub struct Queues<P> {
    ring: VecDeque<Queue<P>>,
    dead: Vec<P>,
}

impl<P> Default for Queues<P> {
    fn default() -> Queues<P> {
        Queues { ring: VecDeque::new(), dead: Vec::new() }
    }
}

/// What a piece takes of a batch. One without rows counts too, or a batch could hold any number of them.
fn cost<P: Piece>(piece: &P) -> usize {
    piece.rows().max(1)
}

impl<P: Piece> Queues<P> {
    /// Let a request in; true if a batch began or became full, so that a thread should look.
    pub fn push(&mut self, piece: P, now: Instant) -> Result<bool> {
        let limits = piece.limits();
        if piece.rows() > limits.largest_task {
            return Err(Error::invalid(format!(
                "Task size {} is larger than maximum input batch size {}",
                piece.rows(),
                limits.largest_task
            )));
        }
        let Some(index) = self.ring.iter().position(|queue| queue.takes(&piece)) else {
            let mut queue = Queue { limits: limits.clone(), batches: VecDeque::new() };
            let begun = queue.push(piece, now)?;
            self.ring.push_back(queue);
            return Ok(begun);
        };
        let queue = &mut self.ring[index];
        if !queue.has_room(&piece) {
            self.dead.extend(queue.remove_dead(now));
        }
        queue.push(piece, now)
    }

    /// The batch whose turn it is, without what is dead.
    pub fn pop(&mut self, now: Instant) -> Next<P> {
        while let Some(index) = self.ring.iter().position(|queue| queue.ready_at().is_none_or(|at| at <= now)) {
            let Some(mut queue) = self.ring.remove(index) else { break };
            let batch = queue.batches.pop_front();
            if !queue.batches.is_empty() {
                self.ring.push_back(queue);
            }
            let mut pieces = batch.map(|batch| batch.pieces).unwrap_or_default();
            self.dead.extend(pieces.extract_if(.., |piece| piece.is_dead(now)));
            if !pieces.is_empty() {
                return Next::Batch(pieces);
            }
        }
        self.ring.iter().filter_map(Queue::ready_at).min().map_or(Next::Idle, Next::Wait)
    }

    /// What was found dead, for whoever can drop it at leisure: the last piece of a version may take the version along.
    pub fn take_dead(&mut self) -> Vec<P> {
        std::mem::take(&mut self.dead)
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

impl<P: Piece> Queue<P> {
    fn takes(&self, piece: &P) -> bool {
        self.batches.front().and_then(|batch| batch.pieces.first()).is_some_and(|first| first.shares_queue(piece))
    }

    /// When the first batch may leave; None for now.
    fn ready_at(&self) -> Option<Instant> {
        let first = self.batches.front()?;
        if self.batches.len() > 1 || first.size >= self.limits.largest_batch {
            return None;
        }
        first.since.checked_add(self.limits.timeout)
    }

    /// Rows that the open batch can still take.
    fn open_room(&self) -> usize {
        self.batches.back().map_or(0, |batch| self.limits.largest_batch.saturating_sub(batch.size))
    }

    /// Rows that the queue can still take.
    fn capacity(&self) -> usize {
        let free = self.limits.most_batches.saturating_sub(self.batches.len());
        self.open_room().saturating_add(free.saturating_mul(self.limits.largest_batch))
    }

    fn has_room(&self, piece: &P) -> bool {
        let cost = cost(piece);
        if self.limits.splits {
            cost <= self.capacity()
        } else {
            cost <= self.open_room() || self.batches.len() < self.limits.most_batches
        }
    }

    fn push(&mut self, mut piece: P, now: Instant) -> Result<bool> {
        if !self.has_room(&piece) {
            return Err(self.full(&piece));
        }
        let before = self.batches.len();
        if self.limits.splits {
            loop {
                let room = if self.open_room() > 0 { self.open_room() } else { self.limits.largest_batch };
                if piece.rows() <= room {
                    break;
                }
                let head = piece.cut(room);
                self.place(head, now);
            }
        }
        self.place(piece, now);
        Ok(self.batches.len() > before || self.open_room() == 0)
    }

    /// Put a piece that is no larger than a batch into the open batch, or into a new one.
    fn place(&mut self, piece: P, now: Instant) {
        let cost = cost(&piece);
        if cost <= self.open_room()
            && let Some(batch) = self.batches.back_mut()
        {
            batch.size += cost;
            batch.pieces.push(piece);
        } else {
            self.batches.push_back(Batch { pieces: vec![piece], size: cost, since: now });
        }
    }

    fn full(&self, piece: &P) -> Error {
        let message = format!(
            "The batch scheduling queue to which this task was submitted is full; task size is {} but scheduling \
             capacity is only {} (num_enqueued_batches={}, max_enqueued_batches={}, open_batch_size={}, \
             max_execution_batch_size={})",
            piece.rows(),
            self.capacity(),
            self.batches.len(),
            self.limits.most_batches,
            self.batches.back().map_or(0, |batch| batch.size),
            self.limits.largest_batch,
        );
        Error::new(Code::Unavailable, message)
    }

    /// Give back the places of those whose clients have left.
    fn remove_dead(&mut self, now: Instant) -> Vec<P> {
        let mut dead = Vec::new();
        for batch in &mut self.batches {
            dead.extend(batch.pieces.extract_if(.., |piece| piece.is_dead(now)));
            batch.size = batch.pieces.iter().map(cost).sum();
        }
        self.batches.retain(|batch| !batch.pieces.is_empty());
        dead
    }
}

#[cfg(test)]
mod tests;
