//! One queue: what waits to be run together, cut into batches.
//!
//! A batch is no larger than its oldest piece can afford. If more than a batch waits, a piece that would likely end too
//! late is refused in favour of a fresher one: the threads do as much work either way, and this way it is in time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::costs::Fit;
use super::piece::{Full, Leftovers, Limits, Piece, Refusal};

/// Pieces of a batch that are asked how much time they have: one of them will have a deadline, if those of this queue do.
const LOOK_AT: usize = 16;

/// What is likely to take `expected` may take so long.
pub fn with_margin(expected: Duration) -> Duration {
    expected * 5 / 4
}

/// How long a run may take if a piece with this much time left waits for its turn: with all threads busy a turn comes
/// once in a run's time divided by their number.
fn for_the_run(budget: Duration, threads: usize) -> Duration {
    budget * threads as u32 / (threads as u32 + 1)
}

/// What a piece takes of a batch. One without rows counts too, or a batch could hold any number of them.
fn cost<P: Piece>(piece: &P) -> usize {
    piece.rows().max(1)
}

struct Batch<P> {
    pieces: VecDeque<P>,
    size: usize,
    /// When its first piece came.
    since: Instant,
}

/// All pieces in it may share a batch. Never empty; the last of its batches is still open.
pub struct Queue<P> {
    limits: Limits,
    /// What was known of the costs when somebody looked last.
    pub fit: Fit,
    /// Who is going to take from it, if not the threads.
    pub leader: Option<u64>,
    batches: VecDeque<Batch<P>>,
    /// Of all batches.
    rows: usize,
}

impl<P: Piece> Queue<P> {
    pub fn new(limits: Limits) -> Queue<P> {
        Queue { limits, fit: Fit::default(), leader: None, batches: VecDeque::new(), rows: 0 }
    }

    pub fn takes(&self, piece: &P) -> bool {
        self.batches.front().and_then(|batch| batch.pieces.front()).is_some_and(|first| first.shares_queue(piece))
    }

    /// From when on a thread may take the first batch; None if that is for its leader.
    pub fn ready_at(&self) -> Option<Instant> {
        let first = self.batches.front().filter(|_| self.leader.is_none())?;
        if self.is_full() { Some(first.since) } else { first.since.checked_add(self.limits.timeout) }
    }

    /// Whether the first batch need not wait for more.
    pub fn is_full(&self) -> bool {
        self.batches.len() > 1 || self.batches.front().is_some_and(|first| first.size >= self.limits.largest_batch)
    }

    /// Batches that wait.
    pub fn batch_count(&self) -> usize {
        self.batches.len()
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

    pub fn has_room(&self, piece: &P) -> bool {
        let cost = cost(piece);
        if self.limits.splits {
            cost <= self.capacity()
        } else {
            cost <= self.open_room() || self.batches.len() < self.limits.most_batches
        }
    }

    pub fn push(&mut self, mut piece: P, now: Instant) -> Result<bool, (P, Refusal)> {
        if !self.has_room(&piece) {
            let refusal = Refusal::Full(self.full(&piece));
            return Err((piece, refusal));
        }
        self.fit = piece.costs();
        let before = self.batches.len();
        if self.limits.splits {
            loop {
                let room = if self.open_room() > 0 { self.open_room() } else { self.limits.largest_batch };
                let head = if piece.rows() > room { piece.cut(room) } else { None };
                let Some(head) = head else { break };
                self.place(head, now);
            }
        }
        self.place(piece, now);
        Ok(self.batches.len() > before || self.open_room() == 0)
    }

    /// Put a piece that is no larger than a batch into the open batch, or into a new one.
    fn place(&mut self, piece: P, now: Instant) {
        let cost = cost(&piece);
        self.rows += cost;
        if cost <= self.open_room()
            && let Some(batch) = self.batches.back_mut()
        {
            batch.size += cost;
            batch.pieces.push_back(piece);
        } else {
            self.batches.push_back(Batch { pieces: VecDeque::from([piece]), size: cost, since: now });
        }
    }

    pub fn full(&self, piece: &P) -> Full {
        Full {
            rows: piece.rows(),
            capacity: self.capacity(),
            batches: self.batches.len(),
            most_batches: self.limits.most_batches,
            open_batch_rows: self.batches.back().map_or(0, |batch| batch.size),
            largest_batch: self.limits.largest_batch,
        }
    }

    /// Give back the places of those whose clients have left.
    pub fn remove_dead(&mut self, now: Instant, leftovers: &mut Leftovers<P>) {
        for batch in &mut self.batches {
            let (dead, alive): (Vec<_>, Vec<_>) = batch.pieces.drain(..).partition(|piece| is_dead(piece, now));
            leftovers.dead.extend(dead);
            batch.pieces.extend(alive);
            batch.size = batch.pieces.iter().map(cost).sum();
        }
        self.batches.retain(|batch| !batch.pieces.is_empty());
        self.rows = self.batches.iter().map(|batch| batch.size).sum();
    }

    /// Take the next batch: the oldest pieces that it has room for, without those that are dead or too late.
    pub fn take(&mut self, threads: usize, now: Instant, leftovers: &mut Leftovers<P>) -> Vec<P> {
        if let Some(first) = self.batches.front().and_then(|batch| batch.pieces.front()) {
            self.fit = first.costs();
        }
        let is_overloaded = self.batches.len() > 1;
        let since = self.batches.front().map_or(now, |batch| batch.since);
        let room = self.affordable_batch(is_overloaded, threads, now);
        let needed = with_margin(self.fit.likely(room));
        let (mut taken, mut kept, mut rows) = (Vec::new(), Vec::new(), 0);
        while let Some(piece) = self.next_within(room - rows.min(room), rows == 0) {
            if is_dead(&piece, now) {
                leftovers.dead.push(piece);
                continue;
            }
            let budget = piece.deadline().map(|deadline| deadline.saturating_duration_since(now));
            let is_last = taken.is_empty() && self.batches.is_empty();
            if budget.is_none_or(|budget| budget >= needed) || is_last {
                rows += cost(&piece);
                taken.push(piece);
            } else if is_overloaded || budget < Some(with_margin(self.fit.likely(piece.rows()))) {
                leftovers.late.push(piece);
            } else {
                kept.push(piece);
            }
        }
        self.put_back(kept, since);
        taken
    }

    /// Rows of the largest batch, out of `rows`, that pieces with this much time left can wait for.
    fn affordable(&self, rows: usize, budget: Duration) -> usize {
        let (mut small, mut large) = (1, rows.clamp(1, self.limits.largest_batch) + 1);
        while small + 1 < large {
            let middle = usize::midpoint(small, large);
            let is_affordable = with_margin(self.fit.likely(middle)) <= budget;
            *(if is_affordable { &mut small } else { &mut large }) = middle;
        }
        small
    }

    /// Batches that likely leave before a piece that comes now with `budget` left, and the rows of each of them.
    pub fn ahead_of(&self, piece: &P, budget: Duration, threads: usize) -> (usize, usize) {
        let size = self.affordable(self.rows + cost(piece), for_the_run(budget, threads));
        (self.rows / size, size)
    }

    /// Rows of the batch to take now.
    fn affordable_batch(&self, is_overloaded: bool, threads: usize, now: Instant) -> usize {
        let left = |piece: &P| piece.deadline().filter(|deadline| *deadline > now).map(|deadline| deadline - now);
        let budget = if is_overloaded {
            // The oldest will be passed over.
            let newest = self.batches.back().into_iter().flat_map(|batch| batch.pieces.iter().rev());
            newest.take(LOOK_AT).find_map(left).map(|budget| for_the_run(budget, threads))
        } else {
            self.batches.front().into_iter().flat_map(|batch| &batch.pieces).find_map(left)
        };
        budget.map_or(self.rows.clamp(1, self.limits.largest_batch), |budget| self.affordable(self.rows, budget))
    }

    /// Take the oldest piece off, if it has no more than `room` rows or is to be the first of a batch.
    fn next_within(&mut self, room: usize, is_first: bool) -> Option<P> {
        let batch = self.batches.front_mut()?;
        let cost = cost(batch.pieces.front()?);
        if cost > room && !is_first {
            return None;
        }
        batch.size -= cost;
        self.rows -= cost;
        let piece = batch.pieces.pop_front();
        if batch.pieces.is_empty() {
            self.batches.pop_front();
        }
        piece
    }

    /// Let pieces that were taken off wait as before, in the same order.
    fn put_back(&mut self, pieces: Vec<P>, since: Instant) {
        if pieces.is_empty() {
            return;
        }
        let size = pieces.iter().map(cost).sum::<usize>();
        self.rows += size;
        match self.batches.front_mut().filter(|batch| batch.size + size <= self.limits.largest_batch) {
            Some(batch) => {
                batch.size += size;
                pieces.into_iter().rev().for_each(|piece| batch.pieces.push_front(piece));
            }
            None => self.batches.push_front(Batch { pieces: pieces.into(), size, since }),
        }
    }

    /// How long `batches` batches will likely run.
    pub fn work(&self, batches: f64) -> Duration {
        self.fit.likely(self.rows / self.batches.len()).mul_f64(batches)
    }
}

fn is_dead<P: Piece>(piece: &P, now: Instant) -> bool {
    piece.deadline().is_some_and(|deadline| deadline <= now) || piece.is_abandoned()
}
