//! Batches of requests that are run by the threads which read them, without a hand-over.
//!
//! Nobody knows whether another request comes. But a thread that has slept since the last run of a version was idle: then
//! its next request comes alone, and runs at once. If the thread has not slept, requests come faster than it can answer
//! them, and more of them are likely to be ready: the first one lets the thread take all of these up before it runs them
//! together. That costs a request alone nothing, and the others less than it saves.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What happened longer ago says nothing of the next request.
const RECENT: Duration = Duration::from_micros(250);

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    static WOKEN: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// To be called by a thread that reads requests, whenever it has had nothing to do.
pub fn thread_has_slept() {
    WOKEN.set(now());
}

fn now() -> u64 {
    EPOCH.elapsed().as_nanos() as u64
}

/// What is known of the requests to one version.
#[derive(Default)]
pub struct Arrivals {
    last_run: AtomicU64,
    /// Requests that wait for others.
    leaders: AtomicUsize,
}

impl Arrivals {
    /// Whether a request that has come to this thread is likely to be the only one.
    pub fn is_alone(&self) -> bool {
        let last_run = self.last_run.load(Ordering::Relaxed);
        let is_recent = now().saturating_sub(last_run) < RECENT.as_nanos() as u64;
        self.leaders.load(Ordering::Relaxed) == 0 && (last_run <= WOKEN.get() || !is_recent)
    }

    /// Note the end of a run on this thread.
    pub fn note_run(&self) {
        self.last_run.store(now(), Ordering::Relaxed);
    }

    /// Note a request that waits for others, for as long as the result lives.
    pub fn lead(&self) -> Leading<'_> {
        self.leaders.fetch_add(1, Ordering::Relaxed);
        Leading(self)
    }
}

/// A request that waits for others.
pub struct Leading<'a>(&'a Arrivals);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.leaders.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_alone_unless_its_thread_was_busy_with_others() {
        let arrivals = Arrivals::default();
        thread_has_slept();
        assert!(arrivals.is_alone(), "nothing has run yet");
        std::thread::sleep(Duration::from_micros(10));
        arrivals.note_run();
        assert!(!arrivals.is_alone(), "the next one comes right after it");
        std::thread::sleep(Duration::from_micros(10));
        thread_has_slept();
        assert!(arrivals.is_alone(), "there was nothing to do in between");
        let leading = arrivals.lead();
        assert!(!arrivals.is_alone(), "one waits for it");
        drop(leading);
        arrivals.note_run();
        std::thread::sleep(RECENT);
        assert!(arrivals.is_alone(), "the run was long ago");
    }
}
