//! Runs of sessions, under the names that TensorFlow's own registry has for them.

use std::time::Duration;

use prometheus::IntCounter;

use super::Maker;

/// Cheap to clone.
#[derive(Clone)]
pub struct SessionRuns {
    begun: IntCounter,
    succeeded: IntCounter,
    time_usecs: IntCounter,
}

impl SessionRuns {
    pub fn register(make: &Maker) -> prometheus::Result<SessionRuns> {
        let counter = |name: &str, help: &str| {
            let vec = make.counter(&format!(":tensorflow:core:{name}"), help, &[])?;
            Ok::<_, prometheus::Error>(vec.with_label_values::<&str>(&[]))
        };
        Ok(SessionRuns {
            begun: counter("direct_session_runs", "Runs of sessions, for requests and warm-up.")?,
            succeeded: counter("graph_runs", "Runs of sessions that succeeded.")?,
            time_usecs: counter("graph_run_time_usecs", "Microseconds of all runs that succeeded.")?,
        })
    }

    /// Note a run, as TensorFlow does: one that fails has begun, and has no time.
    pub fn note(&self, elapsed: Duration, succeeded: bool) {
        self.begun.inc();
        if succeeded {
            self.succeeded.inc();
            // Rounded, since many runs take no more than a few microseconds.
            self.time_usecs.inc_by((elapsed.as_nanos() as u64 + 500) / 1000);
        }
    }
}
