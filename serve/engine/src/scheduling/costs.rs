//! What a run is likely to take, learned from the runs before it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the newest run counts in all averages.
const WEIGHT: f64 = 1.0 / 8.0;

/// The first runs of a graph take many times as long as those that follow, and say nothing about them.
const IGNORED_RUNS: u32 = 8;

/// One run says no more than this many times what was expected: most often it had lost its CPU for a while.
const LARGEST_SURPRISE: f64 = 8.0;

/// Below this part of the mean, sizes differ too little to tell what a row costs.
const LEAST_SPREAD: f64 = 0.1;

/// The runs of one kind; shared by all work of that kind.
#[derive(Default)]
pub struct Costs(Mutex<History>);

#[derive(Default)]
struct History {
    runs: u32,
    fit: Fit,
}

/// Seconds by rows: a straight line through weighted means, by least squares.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fit {
    rows: f64,
    seconds: f64,
    variance: f64,
    covariance: f64,
}

impl Costs {
    /// Note a run of `rows` rows.
    pub fn note(&self, rows: usize, elapsed: Duration) {
        let mut history = self.lock();
        history.runs = history.runs.saturating_add(1);
        if history.runs > IGNORED_RUNS {
            let first = history.runs == IGNORED_RUNS + 1;
            history.fit.note(rows.max(1) as f64, elapsed.as_secs_f64(), first);
        }
    }

    /// What is known by now.
    pub fn fit(&self) -> Fit {
        self.lock().fit
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fit {
    fn note(&mut self, rows: f64, seconds: f64, first: bool) {
        if first {
            *self = Fit { rows, seconds, variance: 0.0, covariance: 0.0 };
            return;
        }
        let seconds = seconds.min(LARGEST_SURPRISE * self.seconds_of(rows));
        let (row_error, second_error) = (rows - self.rows, seconds - self.seconds);
        self.rows += WEIGHT * row_error;
        self.seconds += WEIGHT * second_error;
        self.variance = (1.0 - WEIGHT) * (self.variance + WEIGHT * row_error * row_error);
        self.covariance = (1.0 - WEIGHT) * (self.covariance + WEIGHT * row_error * second_error);
    }

    /// How long a run of `rows` rows is likely to take; zero as long as nothing is known.
    pub fn likely(&self, rows: usize) -> Duration {
        Duration::from_secs_f64(self.seconds_of(rows.max(1) as f64))
    }

    fn seconds_of(&self, rows: f64) -> f64 {
        if self.rows == 0.0 {
            return 0.0;
        }
        // Neither does a row cost nothing or less, nor is a run without rows for less than nothing.
        let steepest = self.seconds / self.rows;
        let slope = if self.variance > (LEAST_SPREAD * self.rows).powi(2) {
            (self.covariance / self.variance).clamp(0.0, steepest)
        } else if rows > self.rows {
            steepest
        } else {
            0.0
        };
        self.seconds + slope * (rows - self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Costs that have seen runs of these rows, which took `seconds` each.
    fn seen(rows: impl IntoIterator<Item = usize>, seconds: impl Fn(f64) -> f64) -> Costs {
        let costs = Costs::default();
        for _ in 0..IGNORED_RUNS {
            costs.note(1, Duration::from_secs(5));
        }
        rows.into_iter().for_each(|rows| costs.note(rows, Duration::from_secs_f64(seconds(rows as f64))));
        costs
    }

    fn is_near(costs: &Costs, rows: usize, seconds: f64) -> bool {
        (costs.fit().likely(rows).as_secs_f64() / seconds - 1.0).abs() < 0.02
    }

    #[test]
    fn nothing_is_expected_of_what_has_not_run() {
        assert_eq!(seen([], |_| 1.0).fit().likely(100), Duration::ZERO);
    }

    #[test]
    fn runs_of_several_sizes_show_what_a_row_costs() {
        let costs = seen((0..100).map(|index| 1 + index * 7 % 32), |rows| 0.005 + 0.001 * rows);
        for rows in [1, 8, 32, 64] {
            assert!(is_near(&costs, rows, 0.005 + 0.001 * rows as f64), "{rows} rows");
        }
    }

    #[test]
    fn of_one_size_the_worst_is_expected_for_others() {
        let costs = seen([8; 20], |_| 0.004);
        assert!(is_near(&costs, 8, 0.004) && is_near(&costs, 16, 0.008) && is_near(&costs, 1, 0.004));
    }

    #[test]
    fn a_single_long_run_changes_little_and_many_all() {
        let costs = seen([1; 50], |_| 0.001);
        costs.note(1, Duration::from_secs(10));
        assert!(costs.fit().likely(1) < Duration::from_millis(2));
        (0..50).for_each(|_| costs.note(1, Duration::from_secs(10)));
        assert!(is_near(&costs, 1, 10.0));
    }

    #[test]
    fn costs_that_fall_with_the_rows_are_taken_for_constant() {
        let costs = seen((0..60).map(|index| 1 + index % 10), |rows| 0.02 - 0.001 * rows);
        assert!(costs.fit().likely(1000) < Duration::from_millis(20));
    }
}
