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

/// What became of a request whose caller could run a batch itself.
#[derive(Debug, PartialEq)]
pub enum Gathered<P> {
    /// It is the first of a queue. The caller has to take what it leads before long, or to leave it to the threads.
    Leads(u64),
    /// It waits for the one that leads.
    Follows,
    /// It was the last that had room: the caller has to run these.
    Full(Vec<P>),
    /// It waits for a thread, which should look if that is news.
    Waits { is_news: bool },
}

/// A batch off a queue.
#[derive(Debug)]
pub struct Taken<P> {
    /// Empty if all of it was left over.
    pub batch: Vec<P>,
    /// What it is likely to take.
    likely: Duration,
    /// Whether there is more in the queue.
    pub more_waits: bool,
}

impl<P> Default for Taken<P> {
    fn default() -> Taken<P> {
        Taken { batch: Vec::new(), likely: Duration::ZERO, more_waits: false }
    }
}

struct Inserted {
    at: (usize, usize),
    /// Whether the queue is.
    is_new: bool,
    /// Whether a batch began or became full.
    is_news: bool,
}

/// All queues that have work, the group first whose turn it is.
pub struct Queues<P> {
    ring: VecDeque<Group<P>>,
    /// When each thread is likely to be free.
    free_at: Vec<Instant>,
    last_leader: u64,
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
        Queues {
            ring: VecDeque::new(),
            free_at: vec![now; threads.max(1)],
            last_leader: 0,
            leftovers: Leftovers::default(),
        }
    }

    /// Let a request in; true if a batch began or became full, so that a thread should look.
    pub fn push(&mut self, piece: P, now: Instant) -> Result<bool, (P, Refusal)> {
        self.insert(piece, now).map(|inserted| inserted.is_news)
    }

    /// Let a request in whose caller could run a batch itself.
    pub fn gather(&mut self, piece: P, now: Instant) -> Result<Gathered<P>, (P, Refusal)> {
        let Inserted { at, is_new, is_news } = self.insert(piece, now)?;
        let queue = &mut self.ring[at.0].ring[at.1];
        if is_new {
            self.last_leader += 1;
            queue.leader = Some(self.last_leader);
            return Ok(Gathered::Leads(self.last_leader));
        }
        if queue.leader.is_none() {
            return Ok(Gathered::Waits { is_news });
        }
        if !queue.is_full() {
            return Ok(Gathered::Follows);
        }
        Ok(Gathered::Full(self.take_from(at, now).batch))
    }

    /// What this leader leads by now, if others were not faster. What is left behind is for the threads.
    pub fn take_led(&mut self, leader: u64, now: Instant) -> Taken<P> {
        match self.release(leader) {
            Some(at) => self.take_from(at, now),
            None => Taken::default(),
        }
    }

    /// Leave to the threads what this leader leads; None if there is nothing.
    pub fn release(&mut self, leader: u64) -> Option<(usize, usize)> {
        let queues = self.ring.iter_mut().enumerate().flat_map(|(index, group)| {
            group.ring.iter_mut().enumerate().map(move |(position, queue)| ((index, position), queue))
        });
        let (at, queue) = queues.into_iter().find(|(_, queue)| queue.leader == Some(leader))?;
        queue.leader = None;
        Some(at)
    }

    fn insert(&mut self, piece: P, now: Instant) -> Result<Inserted, (P, Refusal)> {
        let limits = piece.limits();
        if piece.rows() > limits.largest_task {
            let refusal = Refusal::TooLarge { rows: piece.rows(), largest: limits.largest_task };
            return Err((piece, refusal));
        }
        let id = piece.group();
        let group = self.ring.iter().position(|group| group.id == id);
        if let Some(group) = group
            && let Some(queue) = self.ring[group].ring.iter().position(|queue| queue.takes(&piece))
        {
            let (at, queue) = ((group, queue), &mut self.ring[group].ring[queue]);
            if !queue.has_room(&piece) {
                queue.remove_dead(now, &mut self.leftovers);
            }
            if self.is_too_late(at, &piece, now) {
                return Err((piece, Refusal::Late));
            }
            let is_news = self.ring[at.0].ring[at.1].push(piece, now)?;
            return Ok(Inserted { at, is_new: false, is_news });
        }
        let mut queue = Queue::new(limits.clone());
        if group.is_some_and(|group| self.ring[group].ring.len() >= MOST_QUEUES) {
            let refusal = Refusal::Full(Full { capacity: 0, ..queue.full(&piece) });
            return Err((piece, refusal));
        }
        let is_news = queue.push(piece, now)?;
        let group = group.unwrap_or_else(|| {
            self.ring.push_back(Group { id, ring: VecDeque::new() });
            self.ring.len() - 1
        });
        self.ring[group].ring.push_back(queue);
        Ok(Inserted { at: (group, self.ring[group].ring.len() - 1), is_new: true, is_news })
    }

    /// Take a batch off the queue at `at`, whose turn and whose group's turn are over then.
    fn take_from(&mut self, at: (usize, usize), now: Instant) -> Taken<P> {
        let Some(mut group) = self.ring.remove(at.0) else { return Taken::default() };
        let Some(mut queue) = group.ring.remove(at.1) else { return Taken::default() };
        let batch = queue.take(self.free_at.len(), now, &mut self.leftovers);
        let likely = queue.fit.likely(batch.iter().map(Piece::rows).sum());
        let more_waits = queue.batch_count() > 0;
        if more_waits {
            group.ring.push_back(queue);
        }
        if !group.ring.is_empty() {
            self.ring.push_back(group);
        }
        Taken { batch, likely, more_waits }
    }

    /// The batch whose turn it is, for this thread, which has nothing to do.
    pub fn pop(&mut self, thread: usize, now: Instant) -> Next<P> {
        self.free_at[thread] = now;
        while let Some(at) = self.first_ready(now) {
            let Taken { batch, likely, .. } = self.take_from(at, now);
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

    /// Whether there is anything for the threads, now or later.
    pub fn need_threads(&self) -> bool {
        self.ring.iter().flat_map(|group| &group.ring).any(|queue| queue.leader.is_none())
    }

    /// Batches that wait.
    pub fn batch_count(&self) -> usize {
        self.ring.iter().flat_map(|group| &group.ring).map(Queue::batch_count).sum()
    }

    fn first_ready(&self, now: Instant) -> Option<(usize, usize)> {
        let is_ready = |queue: &Queue<P>| queue.ready_at().is_some_and(|at| at <= now);
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
