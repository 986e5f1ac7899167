//! What is measured of loads: attempts, warm-up, and where a version comes from.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::{Maker, micros, status, time_buckets};
use crate::error::{Code, Result};

/// Where a version keeps its key in an ML Metadata store.
const MLMD_FILE: &str = "assets.extra/mlmd_uuid";

/// A UUID has 36 characters; what is longer is cut, as a label should be short.
const MLMD_MAX_BYTES: u64 = 256;

pub struct LoadMetrics {
    attempts: IntCounterVec,
    latency: IntCounterVec,
    warmup_latency: HistogramVec,
    warmup_records: IntCounterVec,
    mlmd_map: IntGaugeVec,
    mlmd_info: IntGaugeVec,
    execution_plan: IntGaugeVec,
}

impl LoadMetrics {
    pub fn register(make: &Maker) -> prometheus::Result<LoadMetrics> {
        Ok(LoadMetrics {
            attempts: make.counter(
                ":tensorflow:cc:saved_model:load_attempt_count",
                "Attempts to load a version, by outcome.",
                &["model_path", "status"],
            )?,
            latency: make.counter(
                ":tensorflow:cc:saved_model:load_latency",
                "Microseconds spent on loading a version.",
                &["model_path"],
            )?,
            warmup_latency: make.histogram(
                ":tensorflow:serving:model_warmup_latency",
                "Microseconds to replay the warm-up records of a version.",
                &["model_path", "status"],
                time_buckets()?,
            )?,
            warmup_records: make.counter(
                ":tensorflow:serving:model_warmup_records_read",
                "Warm-up records replayed.",
                &["model_path", "status"],
            )?,
            mlmd_map: make.gauges(
                ":tensorflow:serving:mlmd_map",
                "Versions with a key in an ML Metadata store, which tfs_mlmd_info shows.",
                &["model_name", "version"],
            )?,
            mlmd_info: make.gauges(
                "tfs_mlmd_info",
                "1 for each version that was loaded and has a key in an ML Metadata store.",
                &["model_name", "version", "mlmd_uuid"],
            )?,
            execution_plan: make.gauges(
                "tfs_execution_plan",
                "1 for the execution plan of each loaded version.",
                &["model_name", "version", "plan"],
            )?,
        })
    }

    /// Note an attempt to load the version in `path`.
    pub fn attempt(&self, path: &str, elapsed: Duration, failed: Option<Code>) {
        let outcome = if failed.is_none() { "success" } else { "fail" };
        self.attempts.with_label_values(&[path, outcome]).inc();
        self.latency.with_label_values(&[path]).inc_by(micros(elapsed) as u64);
    }

    /// Note a replay of warm-up records.
    pub fn warmup(&self, path: &str, elapsed: Duration, outcome: &Result<usize>) {
        let status = status(outcome.as_ref().err().map(|error| error.code));
        self.warmup_latency.with_label_values(&[path, status]).observe(micros(elapsed));
        self.warmup_records.with_label_values(&[path, status]).inc_by(*outcome.as_ref().unwrap_or(&0) as u64);
    }

    /// Show the key of the version in `directory`, if it has one.
    pub fn show_mlmd(&self, model: &str, version: i64, directory: &Path) {
        let Some(key) = mlmd_key(directory) else { return };
        let version = version.to_string();
        // Upstream's value is a text, of which its page for Prometheus prints 0.
        self.mlmd_map.with_label_values(&[model, &version]).set(0);
        self.mlmd_info.with_label_values(&[model, &version, &key]).set(1);
    }

    /// Show how a version is executed, for as long as the result lives.
    pub fn show_plan(&self, model: &str, version: i64, plan: &str) -> ShownPlan {
        let labels = [model, &version.to_string(), plan].map(str::to_owned);
        self.execution_plan.with_label_values(&labels).set(1);
        ShownPlan { gauges: self.execution_plan.clone(), labels }
    }
}

/// Keeps the execution plan of a version among the metrics.
pub struct ShownPlan {
    gauges: IntGaugeVec,
    labels: [String; 3],
}

impl Drop for ShownPlan {
    fn drop(&mut self) {
        // It was set when this was made, so there is nothing to be told.
        let _ = self.gauges.remove_label_values(&self.labels);
    }
}

/// None if there is no such file, or if it cannot be read: a version is served without it.
fn mlmd_key(directory: &Path) -> Option<String> {
    let mut key = Vec::new();
    std::fs::File::open(directory.join(MLMD_FILE)).ok()?.take(MLMD_MAX_BYTES).read_to_end(&mut key).ok()?;
    Some(String::from_utf8_lossy(&key).trim().to_owned())
}
