//! What is counted of batches, under upstream's names.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, exponential_buckets};

use crate::metrics::{Maker, micros};

/// The meters of the pool.
#[derive(Clone)]
pub struct BatchMetrics {
    queuing_latency: Histogram,
    wrapped_run_count: IntCounter,
    padding_size: HistogramVec,
    input_batch_size: Histogram,
    processed_batch_size: Histogram,
}

impl BatchMetrics {
    /// Register the meters of a pool of this name.
    pub fn register(make: &Maker, pool: &str) -> prometheus::Result<BatchMetrics> {
        let sizes = exponential_buckets(1.0, 2.0, 14)?;
        let histogram = |name: &str, help: &str| {
            let vec = make.histogram(&full_name(name), help, &[], sizes.clone())?;
            Ok::<_, prometheus::Error>(vec.with_label_values::<&str>(&[]))
        };
        Ok(BatchMetrics {
            queuing_latency: make
                .histogram(
                    &full_name("queuing_latency"),
                    "Microseconds that a request waited for its batch to leave.",
                    &["thread_pool_name"],
                    exponential_buckets(100.0, 1.2, 52)?,
                )?
                .with_label_values(&[pool]),
            wrapped_run_count: make
                .counter(&full_name("wrapped_run_count"), "Runs of batches.", &[])?
                .with_label_values::<&str>(&[]),
            padding_size: make.histogram(
                &full_name("padding_size"),
                "Rows that filled a batch up to an allowed size.",
                &["execution_batch_size"],
                sizes.clone(),
            )?,
            input_batch_size: histogram("input_batch_size", "Rows of a request.")?,
            processed_batch_size: histogram("processed_batch_size", "Rows of a batch, padding included.")?,
        })
    }

    /// Note a request.
    pub fn submitted(&self, rows: usize) {
        self.input_batch_size.observe(rows as f64);
    }

    /// Note how long a request, or a piece of one, has waited.
    pub fn waited(&self, elapsed: Duration) {
        self.queuing_latency.observe(micros(elapsed));
    }

    /// Note a run of `rows` rows, filled up to `size`.
    pub fn batch(&self, rows: usize, size: usize) {
        self.wrapped_run_count.inc();
        self.processed_batch_size.observe(size as f64);
        self.padding_size.with_label_values(&[&size.to_string()]).observe((size - rows) as f64);
    }
}

fn full_name(name: &str) -> String {
    format!(":tensorflow:serving:batching_session:{name}")
}
