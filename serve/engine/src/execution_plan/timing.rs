//! Timing plans against each other: alone and with as many callers as there are cores, in turn, so that whatever else
//! the machine does hits all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::crew::Crew;
use crate::error::Result;

/// How long one plan is timed alone before it is the next one's turn, unless a single run takes longer.
const ALONE: Duration = Duration::from_millis(2);

/// The same with all callers. Threads that are woken together may stand behind each other on one core for some
/// milliseconds: in turns of 2 ms an LSTM of 1 ms and MobileNetV2 had half of their rate in every fourth load, and
/// the wrong plan.
const TOGETHER: Duration = Duration::from_millis(20);

/// Before each run that is timed alone: a lone client leaves pauses too, in which the threads of a pool fall asleep.
const PAUSE: Duration = Duration::from_millis(1);

/// Turns after which the fastest ones of a plan are known well enough, if nothing else is clear before.
const MAX_ROUNDS: usize = 15;

/// Turns before a plan can be found out to be worse than another.
const MIN_ROUNDS: usize = 3;

/// A plan with less than this part of the best one's power is not timed again.
const HOPELESS: f64 = 0.75;

/// Another plan has to beat the first one by this much, or else noise would choose.
const MARGIN: f64 = 1.2;

/// Alone a plan may take this many times as long as one that it is not to undercut ...
const LONGER: f64 = 1.05;

/// ... and under load it may run this part as often: rates vary more from turn to turn.
const LESS: f64 = 0.97;

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

/// A plan to be timed.
pub struct Contender<'c> {
    pub crew: &'c Crew,
    pub pass: Pass,
}

/// One pass over the inputs under some plan: as many runs as there are inputs.
pub type Pass = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Time passes of `runs` runs each, alone and on all threads of a crew, for about `budget`: until one is clearly the best.
pub fn compare(contenders: &[Contender], runs: usize, budget: Duration) -> Result<Vec<Figures>> {
    let start = Instant::now();
    let mut figures = vec![Figures { alone: Duration::MAX, rate: 0.0 }; contenders.len()];
    let mut left: Vec<usize> = (0..contenders.len()).collect();
    for round in 1..=MAX_ROUNDS {
        for &index in &left {
            let (contender, best) = (&contenders[index], &mut figures[index]);
            // All threads first, which leaves the caches as this plan fills them.
            best.rate = best.rate.max(rate_of(contender)? * runs as f64);
            best.alone = best.alone.min(time_alone(contender, round)? / runs as u32);
        }
        if round >= MIN_ROUNDS {
            let most = left.iter().map(|index| figures[*index].power()).fold(0.0, f64::max);
            left.retain(|index| figures[*index].power() >= HOPELESS * most);
        }
        if left.len() < 2 || start.elapsed() >= budget {
            break;
        }
    }
    Ok(figures)
}

/// The index of the plan to take: the one with the most power, or the first if none is clearly better. `floor` is the
/// index of a plan that is not to be undercut, neither alone nor under load.
pub fn best(figures: &[Figures], floor: Option<usize>) -> usize {
    let holds = |index: &usize| {
        floor.is_none_or(|floor| {
            let (plan, floor) = (&figures[*index], &figures[floor]);
            plan.alone <= floor.alone.mul_f64(LONGER) && plan.rate >= LESS * floor.rate
        })
    };
    let by_power = |a: &usize, b: &usize| figures[*a].power().total_cmp(&figures[*b].power());
    let mut left = (0..figures.len()).filter(holds);
    let first = left.next().unwrap_or(0);
    left.filter(|index| figures[*index].power() > MARGIN * figures[first].power()).max_by(by_power).unwrap_or(first)
}

/// The shortest of some passes, each after a pause; on another thread in each round, since a core may be slower than
/// others for a while, and the thread of a pool is on another one.
fn time_alone(contender: &Contender, round: usize) -> Result<Duration> {
    let pass = Arc::clone(&contender.pass);
    contender.crew.alone(round, move || {
        let (start, mut shortest, mut count) = (Instant::now(), Duration::MAX, 0);
        while count == 0 || start.elapsed() < ALONE {
            std::thread::sleep(PAUSE);
            let begun = Instant::now();
            pass()?;
            shortest = shortest.min(begun.elapsed());
            count += 1;
        }
        Ok(shortest)
    })
}

/// Passes per second of all threads, from the start of the first to the end of the last.
fn rate_of(contender: &Contender) -> Result<f64> {
    let (start, pass) = (Instant::now(), Arc::clone(&contender.pass));
    let counts = contender.crew.together(move || {
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < TOGETHER {
            pass()?;
            count += 1;
        }
        Ok(count)
    })?;
    Ok(counts.iter().sum::<usize>() as f64 / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn figures(alone_micros: u64, rate: f64) -> Figures {
        Figures { alone: Duration::from_micros(alone_micros), rate }
    }

    #[test]
    fn throughput_and_latency_count_alike() {
        // ResNet50 on two cores: a tenth fewer runs under load, but a third less time alone.
        assert_eq!(best(&[figures(51_000, 40.1), figures(33_100, 36.7), figures(51_500, 30.0)], None), 1);
        // An LSTM encoder: the pool is worse in both.
        assert_eq!(best(&[figures(870, 1_935.0), figures(980, 1_666.0)], None), 0);
    }

    #[test]
    fn the_first_plan_stays_unless_another_is_clearly_better() {
        assert_eq!(best(&[figures(1000, 1000.0), figures(920, 1080.0)], None), 0);
        assert_eq!(best(&[figures(1000, 1000.0), figures(800, 1010.0)], None), 1);
        assert_eq!(best(&[figures(1000, 1000.0)], None), 0);
    }

    #[test]
    fn no_plan_is_taken_that_undercuts_the_floor() {
        let slow_alone = figures(49_000, 41.0);
        let slow_under_load = figures(31_000, 33.0);
        let floor = figures(41_000, 36.0);
        assert_eq!(best(&[slow_alone, slow_under_load, floor], Some(2)), 2);
        assert_eq!(best(&[slow_alone, figures(31_400, 39.0), floor], Some(2)), 1);
        // The first one that holds stays, if no other is clearly better.
        assert_eq!(best(&[slow_alone, figures(42_000, 36.5), floor], Some(2)), 1);
    }

    /// Compare passes that take so many milliseconds, on `callers` threads.
    fn compare_pauses(pauses: &[u64], runs: usize, callers: usize, budget: Duration) -> Vec<Figures> {
        let crew = Crew::start(callers, None).expect("threads start");
        let pass = |pause| -> Pass {
            Arc::new(move || {
                std::thread::sleep(Duration::from_millis(pause));
                Ok(())
            })
        };
        let contenders: Vec<_> = pauses.iter().map(|pause| Contender { crew: &crew, pass: pass(*pause) }).collect();
        compare(&contenders, runs, budget).expect("they run")
    }

    #[test]
    fn a_plan_that_is_clearly_worse_is_left_alone_soon() {
        let start = Instant::now();
        let found = compare_pauses(&[0, 3], 1, 2, Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        assert!(found[1].alone >= Duration::from_millis(3) && found[0].alone < found[1].alone);
        assert!(found[0].rate > found[1].rate);
        assert_eq!(best(&found, None), 0);
    }

    #[test]
    fn the_time_is_bounded_when_nothing_is_clear() {
        let start = Instant::now();
        compare_pauses(&[20, 20], 1, 2, Duration::from_millis(100));
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    }

    #[test]
    fn a_run_that_fails_ends_it() {
        let crew = Crew::start(2, None).expect("threads start");
        let fails = Contender { crew: &crew, pass: Arc::new(|| Err(Error::invalid("no"))) };
        assert!(compare(&[fails], 1, Duration::from_secs(60)).is_err());
    }

    #[test]
    fn runs_are_counted_and_not_passes() {
        let found = compare_pauses(&[4], 4, 1, Duration::from_millis(1))[0];
        assert!(found.alone >= Duration::from_millis(1) && found.rate < 1001.0, "{found:?}");
    }
}
