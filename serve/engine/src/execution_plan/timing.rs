//! Timing plans against each other: alone and with as many callers as there are cores, in turn, so that whatever else
//! the machine does hits all of them.

use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};

/// How long one plan is timed before it is the next one's turn, unless a single run takes longer.
const SLICE: Duration = Duration::from_millis(2);

/// Before each run that is timed alone: a lone client leaves pauses too, in which the threads of a pool fall asleep.
const PAUSE: Duration = Duration::from_millis(1);

/// Turns after which the fastest ones of a plan are known well enough, if nothing else is clear before.
const MAX_ROUNDS: usize = 15;

/// Turns before a plan can be found out to be worse than another.
const MIN_ROUNDS: usize = 2;

/// A plan with less than this part of the best one's power is not timed again.
const HOPELESS: f64 = 0.75;

/// Another plan has to beat the first one by this much, or else noise would choose.
const MARGIN: f64 = 1.1;

/// What was measured of one plan: its best turns, since everything else that runs on the machine only adds time.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// The time of a run when nothing else runs.
    pub alone: Duration,
    /// Runs per second with one caller per core.
    pub rate: f64,
}

impl Figures {
    /// Runs per second over seconds per run: what serves many clients counts as much as what serves one.
    fn power(&self) -> f64 {
        self.rate / self.alone.as_secs_f64().max(1e-9)
    }
}

/// One pass over the inputs under some plan: as many runs as there are inputs.
pub type Pass<'a> = &'a (dyn Fn() -> Result<()> + Sync);

/// Time passes of `runs` runs each, with `callers` at a time, for about `budget`: until one is clearly the best.
pub fn compare(passes: &[Pass], runs: usize, callers: usize, budget: Duration) -> Result<Vec<Figures>> {
    let start = Instant::now();
    let mut figures = vec![Figures { alone: Duration::MAX, rate: 0.0 }; passes.len()];
    let mut contenders: Vec<usize> = (0..passes.len()).collect();
    for round in 1..=MAX_ROUNDS {
        for &index in &contenders {
            let (pass, best) = (passes[index], &mut figures[index]);
            best.alone = best.alone.min(time_alone(pass)? / runs as u32);
            best.rate = best.rate.max(rate_of(pass, callers)? * runs as f64);
        }
        if round >= MIN_ROUNDS {
            let most = contenders.iter().map(|index| figures[*index].power()).fold(0.0, f64::max);
            contenders.retain(|index| figures[*index].power() >= HOPELESS * most);
        }
        if contenders.len() < 2 || start.elapsed() >= budget {
            break;
        }
    }
    Ok(figures)
}

/// The index of the plan to take: the one with the most power, or the first if none is clearly better.
pub fn best(figures: &[Figures]) -> usize {
    let first = figures[0].power();
    let by_power = |a: &usize, b: &usize| figures[*a].power().total_cmp(&figures[*b].power());
    (1..figures.len()).filter(|index| figures[*index].power() > MARGIN * first).max_by(by_power).unwrap_or(0)
}

/// The shortest of some passes, each after a pause. Two at least: the first one finds caches and cores as another plan
/// has left them.
fn time_alone(pass: Pass) -> Result<Duration> {
    let (start, mut shortest, mut count) = (Instant::now(), Duration::MAX, 0);
    while count < 2 || start.elapsed() < SLICE {
        std::thread::sleep(PAUSE);
        let begun = Instant::now();
        pass()?;
        shortest = shortest.min(begun.elapsed());
        count += 1;
    }
    Ok(shortest)
}

/// Passes per second of `callers` threads, from the start of the first to the end of the last.
fn rate_of(pass: Pass, callers: usize) -> Result<f64> {
    let start = Instant::now();
    let work = || -> Result<usize> {
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < SLICE {
            pass()?;
            count += 1;
        }
        Ok(count)
    };
    let counts = std::thread::scope(|scope| {
        let spawned = (0..callers).map(|_| std::thread::Builder::new().spawn_scoped(scope, work));
        let threads = spawned.collect::<std::io::Result<Vec<_>>>().map_err(|error| {
            Error::new(Code::ResourceExhausted, format!("cannot start a thread to measure with: {error}"))
        })?;
        let panicked = |_| Err(Error::internal("the engine failed on this run; please report it"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect::<Result<Vec<_>>>()
    })?;
    Ok(counts.iter().sum::<usize>() as f64 / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(alone_micros: u64, rate: f64) -> Figures {
        Figures { alone: Duration::from_micros(alone_micros), rate }
    }

    #[test]
    fn throughput_and_latency_count_alike() {
        // ResNet50 on two cores: a tenth fewer runs under load, but a third less time alone.
        assert_eq!(best(&[figures(51_000, 40.1), figures(33_100, 36.7), figures(51_500, 30.0)]), 1);
        // An LSTM encoder: the pool is worse in both.
        assert_eq!(best(&[figures(870, 1_935.0), figures(980, 1_666.0)]), 0);
    }

    #[test]
    fn the_first_plan_stays_unless_another_is_clearly_better() {
        assert_eq!(best(&[figures(1000, 1000.0), figures(960, 1040.0)]), 0);
        assert_eq!(best(&[figures(1000, 1000.0), figures(900, 1010.0)]), 1);
        assert_eq!(best(&[figures(1000, 1000.0)]), 0);
    }

    #[test]
    fn a_plan_that_is_clearly_worse_is_left_alone_soon() {
        let fast = || Ok(());
        let slow = || {
            std::thread::sleep(Duration::from_millis(3));
            Ok(())
        };
        let start = Instant::now();
        let found = compare(&[&fast, &slow], 1, 2, Duration::from_secs(60)).expect("they run");
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        assert!(found[1].alone >= Duration::from_millis(3) && found[0].alone < found[1].alone);
        assert!(found[0].rate > found[1].rate);
        assert_eq!(best(&found), 0);
    }

    #[test]
    fn the_time_is_bounded_when_nothing_is_clear() {
        let same = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        };
        let start = Instant::now();
        compare(&[&same, &same], 1, 2, Duration::from_millis(100)).expect("they run");
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    }

    #[test]
    fn a_run_that_fails_ends_it() {
        let fails = || Err(Error::invalid("no"));
        assert!(compare(&[&fails], 1, 2, Duration::from_secs(60)).is_err());
    }

    #[test]
    fn runs_are_counted_and_not_passes() {
        let pass = || {
            std::thread::sleep(Duration::from_millis(4));
            Ok(())
        };
        let found = compare(&[&pass], 4, 1, Duration::from_millis(1)).expect("it runs")[0];
        assert!(found.alone >= Duration::from_millis(1) && found.rate < 1001.0, "{found:?}");
    }
}
