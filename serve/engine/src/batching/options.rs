//! How a version batches: upstream's BatchingParameters, without those of the pool that all versions share.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::scheduling::Limits;

/// More than this is no end at all, and a point in time so far away could not be told.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// The parameters of one version, with upstream's names and defaults.
#[derive(Clone, Debug)]
pub struct BatchingOptions {
    /// Rows of the largest request; also of the largest batch, unless large requests are split.
    pub max_batch_size: i64,
    /// How long the first request of a batch waits for others.
    pub batch_timeout_micros: i64,
    /// Batches that may wait in one queue.
    pub max_enqueued_batches: i64,
    /// Whether requests are cut into pieces of at most `max_execution_batch_size` rows.
    pub enable_large_batch_splitting: bool,
    /// Rows of the largest batch if large requests are split; None means `max_batch_size`.
    pub max_execution_batch_size: Option<i64>,
    /// Batches are filled up to the next of these sizes; empty means that they stay as they are.
    pub allowed_batch_sizes: Vec<i64>,
    /// Whether tensors of different shapes are padded to a common one instead of running apart.
    pub pad_variable_length_inputs: bool,
    /// Whether nobody ever waits for others, except where a run is under way anyway; `batch_timeout_micros` is not used.
    pub adaptive: bool,
}

impl Default for BatchingOptions {
    fn default() -> BatchingOptions {
        BatchingOptions {
            max_batch_size: 1000,
            batch_timeout_micros: 0,
            max_enqueued_batches: 10,
            enable_large_batch_splitting: false,
            max_execution_batch_size: None,
            allowed_batch_sizes: Vec::new(),
            pad_variable_length_inputs: false,
            adaptive: false,
        }
    }
}

impl BatchingOptions {
    /// The queue limits that these options mean; an error for values that mean nothing.
    pub fn limits(&self) -> Result<Limits> {
        let largest_task = positive("max_batch_size", self.max_batch_size)?;
        let timeout = u64::try_from(self.batch_timeout_micros).map_err(|_| {
            Error::invalid(format!("batch_timeout_micros must be non-negative; was {}", self.batch_timeout_micros))
        })?;
        let most_batches = usize::try_from(self.max_enqueued_batches).map_err(|_| {
            Error::invalid(format!("max_enqueued_batches must be non-negative; was {}", self.max_enqueued_batches))
        })?;
        let largest_batch = match self.max_execution_batch_size {
            Some(size) if self.enable_large_batch_splitting => positive("max_execution_batch_size", size)?,
            _ => largest_task,
        };
        if largest_batch > largest_task {
            return Err(Error::invalid(format!(
                "max_batch_size must be larger than or equal to max_execution_batch_size; max_batch_size was \
                 {largest_task}, max_execution_batch_size was {largest_batch}"
            )));
        }
        self.check_allowed_sizes()?;
        Ok(Limits {
            largest_task,
            largest_batch,
            // Upstream keeps one open batch whatever the number is.
            most_batches: most_batches.max(1),
            timeout: if self.adaptive { Duration::ZERO } else { Duration::from_micros(timeout).min(LONGEST_TIMEOUT) },
            splits: self.enable_large_batch_splitting,
        })
    }

    fn check_allowed_sizes(&self) -> Result<()> {
        match self.allowed_batch_sizes.last() {
            Some(last) if *last != self.max_batch_size => Err(Error::invalid(format!(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was {last}; expected {}",
                self.max_batch_size
            ))),
            _ => Ok(()),
        }
    }

    /// The rows that a batch of `rows` is filled up to.
    pub fn padded_size(&self, rows: usize) -> usize {
        let sizes = self.allowed_batch_sizes.iter().filter_map(|size| usize::try_from(*size).ok());
        // A batch without rows has none to copy.
        if rows == 0 { 0 } else { sizes.into_iter().find(|size| *size >= rows).unwrap_or(rows) }
    }
}

fn positive(name: &str, value: i64) -> Result<usize> {
    usize::try_from(value)
        .ok()
        .filter(|value| *value > 0)
        .ok_or_else(|| Error::invalid(format!("{name} must be positive; was {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut BatchingOptions)) -> String {
        let mut options = BatchingOptions::default();
        change(&mut options);
        options.limits().expect_err("refused").message
    }

    #[test]
    fn the_defaults_are_upstreams() {
        let limits = BatchingOptions::default().limits().expect("sound");
        assert_eq!((limits.largest_task, limits.largest_batch, limits.most_batches), (1000, 1000, 10));
        assert_eq!((limits.timeout, limits.splits), (Duration::ZERO, false));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let message = refusal(|options| options.allowed_batch_sizes = vec![8, 16]);
        assert_eq!(
            message,
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 16; expected 1000"
        );
        assert!(refusal(|options| options.max_batch_size = 0).contains("max_batch_size must be positive; was 0"));
        assert!(refusal(|options| options.batch_timeout_micros = -1).contains("must be non-negative; was -1"));
        assert!(refusal(|options| options.max_enqueued_batches = -1).contains("must be non-negative; was -1"));
        let message = refusal(|options| {
            options.enable_large_batch_splitting = true;
            options.max_execution_batch_size = Some(1001);
        });
        assert!(message.contains("max_execution_batch_size was 1001"));
    }

    #[test]
    fn without_splitting_the_execution_size_does_not_matter() {
        let options = BatchingOptions { max_execution_batch_size: Some(4), ..BatchingOptions::default() };
        assert_eq!(options.limits().expect("sound").largest_batch, 1000);
    }

    #[test]
    fn a_batch_is_filled_up_to_the_next_allowed_size() {
        let options =
            BatchingOptions { max_batch_size: 8, allowed_batch_sizes: vec![2, 4, 8], ..BatchingOptions::default() };
        assert_eq!([0, 1, 2, 3, 5, 8].map(|rows| options.padded_size(rows)), [0, 2, 2, 4, 8, 8]);
        assert_eq!(BatchingOptions::default().padded_size(7), 7);
    }
}
