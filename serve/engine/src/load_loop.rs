//! A load without a network: work done over and over by some threads, in a closed loop or by a schedule.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How much is done.
pub struct Load {
    /// Work that would begin, or become due, after so many seconds is not done.
    pub seconds: f64,
    pub threads: usize,
    /// How often work becomes due, per second; None does the next when the one before has ended.
    pub rate: Option<f64>,
}

/// What came of it.
pub struct Runs {
    /// From the start until the last work had ended.
    pub seconds: f64,
    /// Seconds that each took which went well; by a schedule from the moment at which it was due, so that waiting for a
    /// thread counts.
    pub latencies: Vec<f64>,
    /// The others by code: the first error, and how many there were.
    pub failures: Vec<(Error, u64)>,
}

impl Load {
    /// Do `work`, which is told how many there were before it on its thread or schedule. What fails is counted.
    pub fn run(&self, work: impl Fn(u64) -> Result<()> + Sync) -> Result<Runs> {
        let rate_fits = self.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0);
        if !rate_fits || Duration::try_from_secs_f64(self.seconds).is_err() {
            return Err(Error::invalid("a load needs a rate above 0 and a number of seconds"));
        }
        let start = Instant::now();
        let scheduled = AtomicU64::new(0);
        let on_a_thread = || match self.rate {
            Some(rate) => self.follow_schedule(rate, &scheduled, start, &work),
            None => self.repeat(start, &work),
        };
        let together = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(on_a_thread)).collect();
            let mut together = Tally::default();
            workers.into_iter().for_each(|worker| together.add(worker.join().unwrap_or_default()));
            together
        });
        let Tally { latencies, failures } = together;
        Ok(Runs { seconds: start.elapsed().as_secs_f64(), latencies, failures })
    }

    fn repeat(&self, start: Instant, work: impl Fn(u64) -> Result<()>) -> Tally {
        let mut tally = Tally::default();
        let mut begun = start.elapsed().as_secs_f64();
        let mut number = 0;
        while begun < self.seconds {
            let result = work(number);
            // The end of one is the begin of the next: the clock is looked at once.
            let ended = start.elapsed().as_secs_f64();
            tally.note(result, ended - begun);
            begun = ended;
            number += 1;
        }
        tally
    }

    fn follow_schedule(
        &self,
        rate: f64,
        scheduled: &AtomicU64,
        start: Instant,
        work: impl Fn(u64) -> Result<()>,
    ) -> Tally {
        let mut tally = Tally::default();
        loop {
            let number = scheduled.fetch_add(1, Ordering::Relaxed);
            let due = number as f64 / rate;
            if due >= self.seconds {
                return tally;
            }
            let early = due - start.elapsed().as_secs_f64();
            thread::sleep(Duration::try_from_secs_f64(early).unwrap_or_default());
            let result = work(number);
            tally.note(result, start.elapsed().as_secs_f64() - due);
        }
    }
}

/// What one thread, or several, have done so far.
#[derive(Default)]
struct Tally {
    latencies: Vec<f64>,
    failures: Vec<(Error, u64)>,
}

impl Tally {
    fn note(&mut self, result: Result<()>, seconds: f64) {
        match result {
            Ok(()) => self.latencies.push(seconds),
            Err(error) => self.fail(error, 1),
        }
    }

    fn add(&mut self, other: Tally) {
        self.latencies.extend(other.latencies);
        other.failures.into_iter().for_each(|(error, count)| self.fail(error, count));
    }

    fn fail(&mut self, error: Error, count: u64) {
        match self.failures.iter_mut().find(|(first, _)| first.code == error.code) {
            Some((_, counted)) => *counted += count,
            None => self.failures.push((error, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(milliseconds: u64) -> impl Fn(u64) -> Result<()> + Sync {
        move |_| {
            thread::sleep(Duration::from_millis(milliseconds));
            Ok(())
        }
    }

    #[test]
    fn a_closed_loop_begins_when_the_one_before_has_ended() {
        let runs = Load { seconds: 0.1, threads: 2, rate: None }.run(takes(10)).unwrap();
        assert!((2..=20).contains(&runs.latencies.len()), "{}", runs.latencies.len());
        assert!(runs.latencies.iter().all(|latency| *latency >= 0.01));
        assert!(runs.seconds >= 0.1);
    }

    #[test]
    fn a_schedule_is_kept_where_the_work_is_fast_enough() {
        let runs = Load { seconds: 0.1, threads: 1, rate: Some(200.0) }.run(|_| Ok(())).unwrap();
        assert_eq!(runs.latencies.len(), 20);
        assert!(runs.seconds >= 0.095);
    }

    #[test]
    fn waiting_for_a_thread_counts_where_the_work_is_too_slow() {
        // Ten are due within 50 ms, and take 200 ms one after the other.
        let runs = Load { seconds: 0.05, threads: 1, rate: Some(200.0) }.run(takes(20)).unwrap();
        assert_eq!(runs.latencies.len(), 10);
        assert!(runs.latencies[9] >= 0.2 - 0.045, "{:?}", runs.latencies);
        assert!(runs.seconds >= 0.2);
    }

    #[test]
    fn failures_are_counted_by_code_and_end_nothing() {
        let fails = |number: u64| {
            thread::sleep(Duration::from_millis(1));
            match number % 4 {
                1 => Err(Error::invalid("no")),
                3 => Err(Error::internal("never")),
                _ => Ok(()),
            }
        };
        for rate in [None, Some(800.0)] {
            let runs = Load { seconds: 0.1, threads: 2, rate }.run(fails).unwrap();
            let mut messages: Vec<_> = runs.failures.iter().map(|(error, _)| &*error.message).collect();
            messages.sort_unstable();
            assert_eq!(messages, ["never", "no"]);
            let half = runs.latencies.len() as u64 / 2;
            assert!(half > 2);
            assert!(runs.failures.iter().all(|(_, count)| count.abs_diff(half) <= 2), "{half}: {:?}", runs.failures);
        }
    }

    #[test]
    fn a_load_that_is_none_is_refused() {
        for (seconds, rate) in [(-1.0, None), (f64::NAN, None), (0.1, Some(0.0)), (0.1, Some(f64::INFINITY))] {
            assert!(Load { seconds, threads: 1, rate }.run(|_| Ok(())).is_err());
        }
    }
}
