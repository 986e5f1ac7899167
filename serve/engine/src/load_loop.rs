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
    /// Seconds that each took; by a schedule from the moment at which it was due, so that waiting for a thread counts.
    pub latencies: Vec<f64>,
}

impl Load {
    /// Do `work`, which is told how many there were before it on its thread or schedule.
    ///
    /// The first failure ends its thread, and is returned when the others have ended too.
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
        let latencies = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(on_a_thread)).collect();
            let results = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Ok(Vec::new())));
            results.collect::<Result<Vec<_>>>()
        })?;
        Ok(Runs { seconds: start.elapsed().as_secs_f64(), latencies: latencies.concat() })
    }

    fn repeat(&self, start: Instant, work: impl Fn(u64) -> Result<()>) -> Result<Vec<f64>> {
        let mut latencies = Vec::new();
        let mut begun = start.elapsed().as_secs_f64();
        while begun < self.seconds {
            work(latencies.len() as u64)?;
            // The end of one is the begin of the next: the clock is looked at once.
            let ended = start.elapsed().as_secs_f64();
            latencies.push(ended - begun);
            begun = ended;
        }
        Ok(latencies)
    }

    fn follow_schedule(
        &self,
        rate: f64,
        scheduled: &AtomicU64,
        start: Instant,
        work: impl Fn(u64) -> Result<()>,
    ) -> Result<Vec<f64>> {
        let mut latencies = Vec::new();
        loop {
            let number = scheduled.fetch_add(1, Ordering::Relaxed);
            let due = number as f64 / rate;
            if due >= self.seconds {
                return Ok(latencies);
            }
            let early = due - start.elapsed().as_secs_f64();
            thread::sleep(Duration::try_from_secs_f64(early).unwrap_or_default());
            work(number)?;
            latencies.push(start.elapsed().as_secs_f64() - due);
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
    fn a_failure_is_returned() {
        let fails = |number| if number == 3 { Err(Error::invalid("no")) } else { Ok(()) };
        for rate in [None, Some(1000.0)] {
            assert!(Load { seconds: 0.05, threads: 2, rate }.run(fails).is_err());
        }
    }

    #[test]
    fn a_load_that_is_none_is_refused() {
        for (seconds, rate) in [(-1.0, None), (f64::NAN, None), (0.1, Some(0.0)), (0.1, Some(f64::INFINITY))] {
            assert!(Load { seconds, threads: 1, rate }.run(|_| Ok(())).is_err());
        }
    }
}
