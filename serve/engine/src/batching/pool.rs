//! The threads that run batches, one pool for every model and version.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::metrics::BatchMetrics;
use super::queue::{Next, Queues};
use super::run;
use super::task::TaskPiece;
use crate::error::{Code, Error, Result};
use crate::run_threads::guarded;

/// The pool. Its threads end with it.
///
/// The queues stand behind a lock and not with a task of their own: which batch leaves is decided at the moment in which
/// a thread is free, by that thread, so that no request pays for one more hand-over. The lock is held for as long as a
/// piece is put in or a batch is taken out, never during a run.
pub struct BatchThreads {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    metrics: BatchMetrics,
}

#[derive(Default)]
struct State {
    queues: Queues<TaskPiece>,
    stopping: bool,
}

impl BatchThreads {
    pub fn start(count: usize, name: &str, metrics: BatchMetrics) -> std::io::Result<BatchThreads> {
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new(), metrics });
        let pool = BatchThreads { shared };
        for index in 0..count {
            let shared = Arc::clone(&pool.shared);
            // Linux shows the first 15 bytes, and refuses none.
            let name = format!("{}-{index}", name.replace('\0', ""));
            std::thread::Builder::new().name(name).spawn(move || shared.work())?;
        }
        Ok(pool)
    }

    /// Let a request in.
    pub fn submit(&self, piece: TaskPiece) -> Result<()> {
        self.shared.metrics.submitted(piece.task.rows);
        let mut state = self.shared.lock();
        if state.stopping {
            return Err(Error::new(Code::Unavailable, "the server is stopping"));
        }
        let pushed = state.queues.push(piece, Instant::now());
        let dead = state.queues.take_dead();
        drop(state);
        drop(dead);
        if pushed? {
            self.shared.work.notify_one();
        }
        Ok(())
    }
}

impl Drop for BatchThreads {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(batch) = self.next_batch() {
            for piece in &batch {
                self.metrics.waited(piece.task.submitted.elapsed());
            }
            // What panics leaves its tasks without an answer, which their requests notice.
            let _ = guarded(|| {
                run::run(batch, &self.metrics);
                Ok(())
            });
        }
    }

    /// Wait for a batch; None at the end.
    fn next_batch(&self) -> Option<Vec<TaskPiece>> {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return None;
            }
            let now = Instant::now();
            let next = state.queues.pop(now);
            let dead = state.queues.take_dead();
            match next {
                Next::Batch(batch) => {
                    // This thread looks after the queues no longer; somebody else must.
                    if !state.queues.is_empty() {
                        self.work.notify_one();
                    }
                    drop(state);
                    return Some(batch);
                }
                _ if !dead.is_empty() => {
                    drop(state);
                    drop(dead);
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
