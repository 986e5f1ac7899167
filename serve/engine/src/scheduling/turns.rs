//! All queues and their turns. No threads and no tensors here.
//!
//! Deadlines. A piece that comes to a queue in which others wait is refused if what waits before it will likely take its
//! time. Where nothing waits nothing is refused, however wrong the estimate is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::piece::{Full, Leftovers, Piece, Refusal};
use super::queue::{Queue, with_margin};

/// Queues of one group. Each has bounds of its own, so their number needs one too.
const MOST_QUEUES: usize = 256;

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

/// All queues that have work, the group first whose turn it is.
pub struct Queues<P> {
    ring: VecDeque<Group<P>>,
    /// When each thread is likely to be free.
    free_at: Vec<Instant>,
    leftovers: Leftovers<P>,
}

/// The queues of a group, the one first whose turn it is. Never empty.
struct Group<P> {
    id: usize,
    ring: VecDeque<Queue<P>>,
}

impl<P: Piece> Queues<P> {
    /// Queues that `threads` threads take from.
    pub fn new(threads: usize, now: Instant) -> Queues<P> {
        Queues { ring: VecDeque::new(), free_at: vec![now; threads.max(1)], leftovers: Leftovers::default() }
    }

    /// Let a request in; true if a batch began or became full, so that a thread should look.
    pub fn push(&mut self, piece: P, now: Instant) -> Result<bool, (P, Refusal)> {
        let limits = piece.limits();
        if piece.rows() > limits.largest_task {
            let refusal = Refusal::TooLarge { rows: piece.rows(), largest: limits.largest_task };
            return Err((piece, refusal));
        }
        if let Some(at) = self.find(&piece) {
            let queue = &mut self.ring[at.0].ring[at.1];
            if !queue.has_room(&piece) {
                queue.remove_dead(now, &mut self.leftovers);
            }
            if self.is_too_late(at, &piece, now) {
                return Err((piece, Refusal::Late));
            }
            return self.ring[at.0].ring[at.1].push(piece, now);
        }
        let id = piece.group();
        let mut queue = Queue::new(limits.clone());
        let position = self.ring.iter().position(|group| group.id == id);
        if position.is_some_and(|index| self.ring[index].ring.len() >= MOST_QUEUES) {
            let refusal = Refusal::Full(Full { capacity: 0, ..queue.full(&piece) });
            return Err((piece, refusal));
        }
        let begun = queue.push(piece, now)?;
        match position {
            Some(index) => self.ring[index].ring.push_back(queue),
            None => self.ring.push_back(Group { id, ring: VecDeque::from([queue]) }),
        }
        Ok(begun)
    }

    /// The batch whose turn it is, for this thread, which has nothing to do.
    pub fn pop(&mut self, thread: usize, now: Instant) -> Next<P> {
        self.free_at[thread] = now;
        while let Some((group, queue)) = self.first_ready(now) {
            let Some(mut group) = self.ring.remove(group) else { break };
            let Some(mut queue) = group.ring.remove(queue) else { break };
            let batch = queue.take(self.free_at.len(), now, &mut self.leftovers);
            let likely = queue.fit.likely(batch.iter().map(Piece::rows).sum());
            if queue.batch_count() > 0 {
                group.ring.push_back(queue);
            }
            if !group.ring.is_empty() {
                self.ring.push_back(group);
            }
            if !batch.is_empty() {
                self.free_at[thread] = now + likely;
                return Next::Batch(batch);
            }
        }
        let queues = self.ring.iter().flat_map(|group| &group.ring);
        queues.filter_map(Queue::ready_at).min().map_or(Next::Idle, Next::Wait)
    }

    /// What was found to be left over, for whoever can drop it at leisure: the last piece of a version may take the
    /// version along.
    pub fn take_leftovers(&mut self) -> Leftovers<P> {
        std::mem::take(&mut self.leftovers)
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Group and queue of a piece.
    fn find(&self, piece: &P) -> Option<(usize, usize)> {
        let group = self.ring.iter().position(|group| group.id == piece.group())?;
        let queue = self.ring[group].ring.iter().position(|queue| queue.takes(piece))?;
        Some((group, queue))
    }

    fn first_ready(&self, now: Instant) -> Option<(usize, usize)> {
        let is_ready = |queue: &Queue<P>| queue.ready_at().is_none_or(|at| at <= now);
        let ready = |group: &Group<P>| group.ring.iter().position(is_ready);
        self.ring.iter().enumerate().find_map(|(index, group)| Some((index, ready(group)?)))
    }

    /// Whether a piece behind all others of the queue at `at` would likely be answered after its deadline.
    fn is_too_late(&self, at: (usize, usize), piece: &P, now: Instant) -> bool {
        let Some(deadline) = piece.deadline() else { return false };
        let budget = deadline.saturating_duration_since(now);
        let queue = &self.ring[at.0].ring[at.1];
        let (turns, size) = queue.ahead_of(piece, budget, self.free_at.len());
        with_margin(self.wait(at, turns, size, now) + queue.fit.likely(size)) > budget
    }

    /// How long the queue at `at` will likely wait for the turn after the next `turns`, each of `size` rows.
    fn wait(&self, at: (usize, usize), turns: usize, size: usize, now: Instant) -> Duration {
        let group = &self.ring[at.0];
        let mut turns = turns as f64;
        let mut work = group.ring[at.1].fit.likely(size).mul_f64(turns);
        // Of another queue no more batches go first than this one has turns, and the same between groups.
        let own_turns = turns + 1.0;
        for (_, queue) in group.ring.iter().enumerate().filter(|(index, _)| *index != at.1) {
            let batches = own_turns.min(queue.batch_count() as f64);
            turns += batches;
            work += queue.work(batches);
        }
        let group_turns = turns + 1.0;
        for (_, group) in self.ring.iter().enumerate().filter(|(index, _)| *index != at.0) {
            let batches = group.ring.iter().map(Queue::batch_count).sum::<usize>() as f64;
            let share = (group_turns / batches).min(1.0);
            work += group.ring.iter().map(|queue| queue.work(share * queue.batch_count() as f64)).sum::<Duration>();
        }
        let running: Duration = self.free_at.iter().map(|free_at| free_at.saturating_duration_since(now)).sum();
        (work + running) / self.free_at.len() as u32
    }
}

#[cfg(test)]
mod overload;
#[cfg(test)]
mod tests;
