//! What becomes of a load that is larger than what the threads can do, in simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::scheduling::{Costs, Fit, Limits};

struct Request<'s> {
    group: usize,
    deadline: Option<Instant>,
    arrived: Instant,
    version: &'s Version,
}

struct Version {
    limits: Limits,
    costs: Costs,
    /// What a run takes: so long, and so long for each row.
    base: Duration,
    row: Duration,
}

impl Piece for Request<'_> {
    fn rows(&self) -> usize {
        1
    }
    fn group(&self) -> usize {
        self.group
    }
    fn shares_queue(&self, _: &Self) -> bool {
        true
    }
    fn is_abandoned(&self) -> bool {
        false
    }
    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
    fn limits(&self) -> &Limits {
        &self.version.limits
    }
    fn costs(&self) -> Fit {
        self.version.costs.fit()
    }
}

fn version(largest_batch: usize, base: f64, row: f64) -> Version {
    Version {
        limits: Limits {
            largest_task: largest_batch,
            largest_batch,
            most_batches: 4096 / largest_batch,
            timeout: Duration::ZERO,
            splits: false,
        },
        costs: Costs::default(),
        base: Duration::from_secs_f64(base / 1e3),
        row: Duration::from_secs_f64(row / 1e3),
    }
}

/// Numbers that look like chance and are always the same.
struct Chance(u64);

impl Chance {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What became of the requests of one client.
#[derive(Clone, Default)]
struct Outcome {
    in_time: usize,
    /// Answered, but too late; or dropped when the deadline had passed.
    late: usize,
    /// Refused before the deadline.
    refused: usize,
    longest_wait: Duration,
}

/// A client that sends `rate` requests a second, each with this long to be answered.
struct Load<'s> {
    version: &'s Version,
    rate: f64,
    timeout: Option<Duration>,
}

const THREADS: usize = 2;
const SECONDS: f64 = 4.0;
const TIMEOUT: Option<Duration> = Some(Duration::from_millis(100));

/// Let each client send to a group of its own, for 4 s; the first does not count.
fn simulate(loads: &[Load], noise: f64) -> Vec<Outcome> {
    let begin = Instant::now();
    let mut chance = Chance(7);
    let mut queues = Queues::new(THREADS, begin);
    let mut outcomes = vec![Outcome::default(); loads.len()];
    // What happens next: the arrivals of a client, or the end of a thread's run.
    let mut events = BinaryHeap::new();
    let mut running: Vec<Option<(Instant, Vec<Request>)>> = (0..THREADS).map(|_| None).collect();
    (0..loads.len()).for_each(|client| events.push(Reverse((begin, 0, client))));
    while let Some(Reverse((now, kind, index))) = events.pop() {
        if now > begin + Duration::from_secs_f64(SECONDS) {
            break;
        }
        let counts = now > begin + Duration::from_secs(1);
        if kind == 0 {
            let Load { version, rate, timeout } = loads[index];
            let gap = Duration::from_secs_f64(-(1.0 - chance.next()).ln() / rate);
            events.push(Reverse((now + gap, 0, index)));
            let deadline = timeout.map(|timeout| now + timeout);
            let request = Request { group: index, deadline, arrived: now, version };
            if queues.push(request, now).is_err() && counts {
                outcomes[index].refused += 1;
            }
        } else if let Some((started, batch)) = running[index].take() {
            batch[0].version.costs.note(batch.len(), now - started);
            for request in batch.iter().filter(|_| counts) {
                let in_time = request.deadline.is_none_or(|deadline| now <= deadline);
                let outcome = &mut outcomes[request.group];
                *(if in_time { &mut outcome.in_time } else { &mut outcome.late }) += 1;
                outcome.longest_wait = outcome.longest_wait.max(started - request.arrived);
            }
        }
        for (thread, slot) in running.iter_mut().enumerate() {
            if slot.is_some() {
                continue;
            }
            let Next::Batch(batch) = queues.pop(thread, now) else { break };
            let version = batch[0].version;
            let length = (version.base + version.row * batch.len() as u32).mul_f64(1.0 + noise * chance.next());
            events.push(Reverse((now + length, 1, thread)));
            *slot = Some((now, batch));
        }
        let leftovers = queues.take_leftovers();
        if counts {
            leftovers.dead.iter().for_each(|request| outcomes[request.group].late += 1);
            leftovers.late.iter().for_each(|request| outcomes[request.group].refused += 1);
        }
    }
    outcomes
}

/// What becomes of requests that have 100 ms each, at some multiple of what the threads can do with full batches.
fn offered(multiple: f64, version: &Version, noise: f64) -> Outcome {
    let rows = version.limits.largest_batch;
    let capacity = (THREADS * rows) as f64 / (version.base + version.row * rows as u32).as_secs_f64();
    simulate(&[Load { version, rate: multiple * capacity, timeout: TIMEOUT }], noise).remove(0)
}

#[test]
fn three_times_the_load_takes_nothing_from_what_is_answered_in_time() {
    // Requests that run alone, batches that cost as much as one row, and batches that take most of the time there is.
    for (largest_batch, base, row) in [(1, 2.0, 0.0), (1, 30.0, 0.0), (16, 4.0, 0.1), (32, 5.0, 1.0), (64, 0.0, 2.0)] {
        let in_time = |multiple| offered(multiple, &version(largest_batch, base, row), 0.5).in_time;
        let peak = [0.6, 0.8, 1.0].map(in_time).into_iter().max().unwrap_or_default();
        let overloaded = in_time(3.0);
        assert!(
            overloaded as f64 >= 0.95 * peak as f64,
            "{overloaded} of {peak} with batches of {largest_batch}, {base} ms and {row} ms a row"
        );
    }
}

#[test]
fn most_of_what_cannot_be_answered_is_refused_at_once() {
    let outcome = offered(3.0, &version(8, 5.0, 1.0), 0.5);
    assert!(outcome.late * 100 < outcome.refused, "{} too late, {} refused", outcome.late, outcome.refused);
}

#[test]
fn a_load_that_can_be_answered_is() {
    for (largest_batch, base, row) in [(1, 2.0, 0.0), (16, 4.0, 0.1)] {
        let outcome = offered(0.6, &version(largest_batch, base, row), 0.5);
        assert_eq!((outcome.late, outcome.refused), (0, 0));
    }
}

#[test]
fn what_was_slow_is_tried_again() {
    let version = version(1, 2.0, 0.0);
    (0..100).for_each(|_| version.costs.note(1, Duration::from_secs(10)));
    let outcome = offered(0.6, &version, 0.0);
    assert_eq!((outcome.late, outcome.refused), (0, 0));
}

#[test]
fn a_quiet_version_does_not_notice_a_flood_of_another() {
    let (flooding, quiet) = (version(32, 5.0, 1.0), version(32, 1.0, 0.1));
    for timeout in [None, TIMEOUT] {
        let outcomes = simulate(
            &[
                Load { version: &flooding, rate: 10_000.0, timeout },
                Load { version: &quiet, rate: 20.0, timeout: TIMEOUT },
            ],
            0.0,
        );
        assert!(outcomes[0].refused > 10_000);
        assert_eq!((outcomes[1].late, outcomes[1].refused), (0, 0));
        // One run of the flood, at most 37 ms long, is under way on each thread.
        assert!(outcomes[1].longest_wait <= Duration::from_millis(37), "{:?}", outcomes[1].longest_wait);
        assert!(outcomes[1].in_time > 20);
    }
}
