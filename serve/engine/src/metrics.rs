//! What the server counts and times, under upstream's metric names, in Prometheus' text format.
//!
//! TensorFlow's `/tensorflow/serving/request_count` is `:tensorflow:serving:request_count` in Prometheus. Times are in
//! microseconds.

mod loading;
mod process;
mod runs;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use prometheus::proto::{Metric, MetricFamily};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    exponential_buckets,
};

use crate::batching::BatchMetrics;
use crate::error::{Code, Error, Result};
use crate::tensorflow::Device;
use loading::LoadMetrics;
pub use loading::ShownPlan;
use process::ProcessMetrics;
pub use runs::SessionRuns;

/// The protocol a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrypoint {
    Grpc,
    Rest,
}

/// The method a request called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Predict,
    Classify,
    Regress,
    /// Status, metadata, and paths that name no method; REST only.
    Other,
}

impl Api {
    /// As upstream writes it: capitalised for gRPC and the runtime, as in the path for REST.
    fn label(self, entrypoint: Entrypoint) -> &'static str {
        match (self, entrypoint) {
            (Api::Predict, Entrypoint::Grpc) => "Predict",
            (Api::Classify, Entrypoint::Grpc) => "Classify",
            (Api::Regress, Entrypoint::Grpc) => "Regress",
            (Api::Predict, Entrypoint::Rest) => "predict",
            (Api::Classify, Entrypoint::Rest) => "classify",
            (Api::Regress, Entrypoint::Rest) => "regress",
            (Api::Other, _) => "",
        }
    }
}

/// All metrics of one engine.
pub struct Metrics {
    registry: Registry,
    request_count: IntCounterVec,
    request_latency: HistogramVec,
    runtime_latency: HistogramVec,
    request_example_counts: HistogramVec,
    request_example_count_total: IntCounterVec,
    pub request_log_count: IntCounterVec,
    in_flight: IntGaugeVec,
    pub loading: LoadMetrics,
    /// All runs of all sessions.
    pub session_runs: SessionRuns,
    process: ProcessMetrics,
}

/// Registers metrics as they are made.
pub struct Maker(Registry);

impl Maker {
    pub fn counter(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: Vec<f64>,
    ) -> prometheus::Result<HistogramVec> {
        let metric = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let metric = IntGauge::new(name, help)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

impl Metrics {
    pub fn new() -> Result<Metrics> {
        Self::register().map_err(|error| Error::internal(format!("metrics cannot be registered: {error}")))
    }

    fn register() -> prometheus::Result<Metrics> {
        let make = Maker(Registry::new());
        let times = time_buckets()?;
        Ok(Metrics {
            request_count: make.counter(
                ":tensorflow:serving:request_count",
                "Requests by model and outcome.",
                &["model_name", "status"],
            )?,
            request_latency: make.histogram(
                ":tensorflow:serving:request_latency",
                "Microseconds to answer a request that succeeded.",
                &["model_name", "API", "entrypoint"],
                times.clone(),
            )?,
            runtime_latency: make.histogram(
                ":tensorflow:serving:runtime_latency",
                "Microseconds that TensorFlow ran for a request.",
                &["model_name", "API", "runtime"],
                times,
            )?,
            request_example_counts: make.histogram(
                ":tensorflow:serving:request_example_counts",
                "Examples in a MultiInference request.",
                &["model"],
                exponential_buckets(1.0, 2.0, 15)?,
            )?,
            request_example_count_total: make.counter(
                ":tensorflow:serving:request_example_count_total",
                "Examples in all MultiInference requests.",
                &["model"],
            )?,
            request_log_count: make.counter(
                ":tensorflow:serving:request_log_count",
                "Requests that were drawn to be logged, by what became of it.",
                &["model_name", "status_code"],
            )?,
            in_flight: make.gauges(
                "tfs_requests_in_flight",
                "Requests that a version is answering now.",
                &["model_name", "version"],
            )?,
            loading: LoadMetrics::register(&make)?,
            session_runs: SessionRuns::register(&make)?,
            process: ProcessMetrics::register(&make)?,
            registry: make.0,
        })
    }

    /// Meters for a pool of batch threads of this name.
    pub fn batching(&self, pool: &str) -> Result<BatchMetrics> {
        BatchMetrics::register(&Maker(self.registry.clone()), pool).map_err(|error| Error::internal(error.to_string()))
    }

    /// Show what models are computed on.
    pub fn devices(&self, devices: &[Device]) {
        self.process.show_devices(devices);
    }

    /// Begin to time a request.
    pub fn measure(&self, entrypoint: Entrypoint, api: Api) -> Measured<'_> {
        Measured { metrics: self, entrypoint, api, start: Instant::now(), model: String::new() }
    }

    /// The timer of a model's runs by one method.
    pub fn runtime(&self, model: &str, api: Api) -> Histogram {
        self.runtime_latency.with_label_values(&[model, api.label(Entrypoint::Grpc), "TF1"])
    }

    /// The number of requests under way to one version.
    pub fn in_flight(&self, model: &str, version: i64) -> IntGauge {
        self.in_flight.with_label_values(&[model, &version.to_string()])
    }

    /// Forget a version that is gone.
    pub fn drop_version(&self, model: &str, version: i64) {
        // It is not there if no request came.
        let _ = self.in_flight.remove_label_values(&[model, &version.to_string()]);
    }

    /// Note the size of a MultiInference request.
    pub fn examples(&self, model: &str, count: usize) {
        self.request_example_counts.with_label_values(&[model]).observe(count as f64);
        self.request_example_count_total.with_label_values(&[model]).inc_by(count as u64);
    }

    /// The value of each counter or gauge of TensorFlow's name, all its labels added up; 0 if there is none of that name.
    pub fn totals(&self, names: &[String]) -> Vec<i64> {
        let families = self.registry.gather();
        let totals: HashMap<_, _> = families.iter().map(|family| (family.name(), total(family))).collect();
        names.iter().map(|name| totals.get(prometheus_name(name).as_str()).copied().unwrap_or_default()).collect()
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self) -> Result<Vec<u8>> {
        self.process.refresh();
        let mut families = self.registry.gather();
        // Upstream's page has none, and scripts read it line by line; what each metric means stands in the docs.
        families.iter_mut().for_each(|family| family.set_help(String::new()));
        let mut out = Vec::new();
        TextEncoder::new()
            .encode(&families, &mut out)
            .map_err(|error| Error::internal(format!("metrics cannot be written: {error}")))?;
        Ok(out)
    }
}

/// A request that is being answered.
pub struct Measured<'m> {
    metrics: &'m Metrics,
    entrypoint: Entrypoint,
    api: Api,
    start: Instant,
    /// The model's name as requested, as soon as it is known.
    pub model: String,
}

impl Measured<'_> {
    /// Count the request, and time it if it succeeded.
    pub fn end<T>(self, outcome: &Result<T>) {
        let failed = outcome.as_ref().err().map(|error| error.code);
        self.metrics.request_count.with_label_values(&[self.model.as_str(), status(failed)]).inc();
        if failed.is_none() {
            let entrypoint = if self.entrypoint == Entrypoint::Grpc { "GRPC" } else { "REST" };
            let labels = [self.model.as_str(), self.api.label(self.entrypoint), entrypoint];
            self.metrics.request_latency.with_label_values(&labels).observe(micros(self.start.elapsed()));
        }
    }
}

/// Counts a request to a version as under way for as long as it lives.
pub struct InFlight(IntGauge);

impl InFlight {
    pub fn new(gauge: &IntGauge) -> InFlight {
        gauge.inc();
        InFlight(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `:tensorflow:serving:request_count` for `/tensorflow/serving/request_count`.
fn prometheus_name(name: &str) -> String {
    name.replace(|character: char| !character.is_ascii_alphanumeric() && character != '_', ":")
}

/// A histogram has no value of its own, as upstream.
fn total(family: &MetricFamily) -> i64 {
    let value = |metric: &Metric| metric.get_counter().get_value() + metric.get_gauge().get_value();
    family.get_metric().iter().map(value).sum::<f64>() as i64
}

fn status(failed: Option<Code>) -> &'static str {
    failed.map_or("OK", Code::name)
}

/// Upstream's bounds of times: 10 us times powers of 1.8.
fn time_buckets() -> prometheus::Result<Vec<f64>> {
    exponential_buckets(10.0, 1.8, 33)
}

pub fn micros(elapsed: Duration) -> f64 {
    elapsed.as_nanos() as f64 / 1000.0
}
