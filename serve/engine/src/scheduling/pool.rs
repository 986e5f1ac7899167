//! Threads that take from the queues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use super::piece::{Piece, Refusal};
use super::turns::{self, Next, Queues};
use crate::error::{Error, Result};

/// What a pool needs to know of its work.
pub trait Work: Piece + Send + 'static {
    /// Run pieces of one queue together and answer each of them.
    fn run(pieces: Vec<Self>);
    /// Answer that the deadline cannot be met.
    fn refuse(self);
}

/// A fixed number of threads behind queues. They end with the pool.
///
/// The queues stand behind a lock and not with a task of their own: which batch leaves is decided at the moment in which
/// a thread is free, by that thread, so that no request pays for one more hand-over. The lock is held for as long as a
/// piece is put in or a batch is taken out, never during a run.
pub struct Pool<P> {
    shared: Arc<Shared<P>>,
}

struct Shared<P> {
    state: Mutex<State<P>>,
    work: Condvar,
}

struct State<P> {
    queues: Queues<P>,
    /// What each thread has to do before anything else.
    errands: Vec<Option<Errand>>,
    stopping: bool,
}

type Errand = Box<dyn FnOnce() + Send>;

/// What each thread of a pool is to do.
pub type OnEach = Arc<dyn Fn() + Send + Sync>;

/// What a thread does next.
enum Task<P> {
    Batch(Vec<P>),
    Errand(Errand),
}

impl<P: Work> Pool<P> {
    /// Start `count` threads.
    pub fn start(count: usize, name: &str) -> std::io::Result<Pool<P>> {
        let errands = (0..count).map(|_| None).collect();
        let state = State { queues: Queues::new(count, Instant::now()), errands, stopping: false };
        let pool = Pool { shared: Arc::new(Shared { state: Mutex::new(state), work: Condvar::new() }) };
        for index in 0..count {
            let shared = Arc::clone(&pool.shared);
            // Linux shows the first 15 bytes, and refuses none.
            let name = format!("{}-{index}", name.replace('\0', ""));
            std::thread::Builder::new().name(name).spawn(move || shared.work(index))?;
        }
        Ok(pool)
    }

    /// Let a piece wait for a thread.
    pub fn submit(&self, piece: P) -> std::result::Result<(), Refusal> {
        let is_news = self.put(|queues, now| queues.push(piece, now))?;
        if is_news {
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// Have each thread do `work` once, one thread after the other, so that the others go on with what waits.
    ///
    /// Returns when all have, or at `until`: a thread that is busy for longer does its work later.
    pub fn on_each_thread(&self, work: &OnEach, until: Instant) {
        let count = self.shared.lock().errands.len();
        for thread in 0..count {
            let (work, (done, told)) = (Arc::clone(work), mpsc::sync_channel(1));
            let errand = Box::new(move || {
                work();
                // Nobody may wait for it any more.
                let _ = done.send(());
            });
            self.shared.lock().errands[thread] = Some(errand);
            self.shared.work.notify_all();
            if told.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
                return;
            }
        }
    }

    /// Batches that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.shared.lock().queues.batch_count()
    }

    /// Let a piece wait for others, to be run by one of the callers.
    pub fn gather(&self, piece: P) -> std::result::Result<Gathered<'_, P>, Refusal> {
        Ok(match self.put(|queues, now| queues.gather(piece, now))? {
            turns::Gathered::Leads(number) => Gathered::Leads(Lead { pool: self, number: Some(number) }),
            turns::Gathered::Full(batch) => Gathered::Full(batch),
            turns::Gathered::Follows => Gathered::Waits,
            turns::Gathered::Waits { is_news } => {
                if is_news {
                    self.shared.work.notify_one();
                }
                Gathered::Waits
            }
        })
    }

    fn put<T>(
        &self,
        put: impl FnOnce(&mut Queues<P>, Instant) -> std::result::Result<T, (P, Refusal)>,
    ) -> std::result::Result<T, Refusal> {
        let mut state = self.shared.lock();
        if state.stopping {
            return Err(Refusal::Stopping);
        }
        let outcome = put(&mut state.queues, Instant::now());
        let leftovers = state.queues.take_leftovers();
        drop(state);
        leftovers.late.into_iter().for_each(Work::refuse);
        // A piece that was refused is dropped here and not under the lock: its tensors may take a while.
        outcome.map_err(|(_, refusal)| refusal)
    }
}

/// What became of a piece whose caller could run a batch itself.
pub enum Gathered<'p, P: Work> {
    /// The caller is to wait until others may have come, and to take the batch then.
    Leads(Lead<'p, P>),
    /// Somebody else will run it.
    Waits,
    /// The caller has to run these.
    Full(Vec<P>),
}

/// The right to run what gathers behind a piece; if it is not used a thread does it.
pub struct Lead<'p, P: Work> {
    pool: &'p Pool<P>,
    /// None once it was used.
    number: Option<u64>,
}

impl<P: Work> Lead<'_, P> {
    /// What has gathered; empty if others have run it.
    pub fn take(mut self) -> Vec<P> {
        let Some(number) = self.number.take() else { return Vec::new() };
        let mut state = self.pool.shared.lock();
        let taken = state.queues.take_led(number, Instant::now());
        let leftovers = state.queues.take_leftovers();
        drop(state);
        leftovers.late.into_iter().for_each(Work::refuse);
        if taken.more_waits {
            self.pool.shared.work.notify_one();
        }
        taken.batch
    }
}

impl<P: Work> Drop for Lead<'_, P> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let released = self.pool.shared.lock().queues.release(number);
        if released.is_some() {
            self.pool.shared.work.notify_one();
        }
    }
}

impl<P> Drop for Pool<P> {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.work.notify_all();
    }
}

impl<P> Shared<P> {
    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Work> Shared<P> {
    fn work(&self, thread: usize) {
        while let Some(task) = self.next(thread) {
            // What panics leaves its pieces without an answer, which their requests notice.
            let _ = guarded(|| {
                match task {
                    Task::Batch(batch) => P::run(batch),
                    Task::Errand(errand) => errand(),
                }
                Ok(())
            });
        }
    }

    /// Wait for something to do; None at the end.
    fn next(&self, thread: usize) -> Option<Task<P>> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            if let Some(errand) = state.errands[thread].take() {
                return Some(Task::Errand(errand));
            }
            let now = Instant::now();
            let next = state.queues.pop(thread, now);
            let leftovers = state.queues.take_leftovers();
            match next {
                Next::Batch(batch) => {
                    // This thread looks after the queues no longer; somebody else must.
                    if state.queues.need_threads() {
                        self.work.notify_one();
                    }
                    drop(state);
                    leftovers.late.into_iter().for_each(Work::refuse);
                    return Some(Task::Batch(batch));
                }
                _ if !leftovers.is_empty() => {
                    drop(state);
                    leftovers.late.into_iter().for_each(Work::refuse);
                    drop(leftovers.dead);
                    state = self.lock();
                }
                Next::Wait(until) => {
                    let timeout = until.saturating_duration_since(now);
                    state = self.work.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0;
                }
                Next::Idle => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Run `work` here; a panic becomes an error of this request and nothing else.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::internal("the engine failed on this request; please report it")))
}
