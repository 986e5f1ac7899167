//! The request log: a sample of the requests that succeeded, with their replies, as TFRecord files of PredictionLogs.
//!
//! Whether a request is logged is drawn before it runs, so that only such a one keeps what the log needs. A thread of its
//! own writes; a request never waits for it and never fails by it.

mod files;
mod record;
mod writer;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use prometheus::IntCounterVec;

use crate::background::Background;
use crate::error::{Code, Result};
use crate::listeners::runtime_error;
use crate::metrics::Metrics;
use crate::report::{Level, Report};
use crate::servable::Servable;
pub use record::Kind;
use record::Record;
use writer::{Order, Writer};

/// Records that may wait to be written, and the bytes of their requests and replies.
const QUEUE_RECORDS: usize = 4096;
const QUEUE_BYTES: usize = 64 << 20;

/// How long the control plane waits for the thread, which may have all of the queue before it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How one model is logged.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Absolute; the name of every file begins so.
    pub prefix: PathBuf,
    /// The part of the requests that is logged, 0 to 1.
    pub rate: f64,
    /// A serialized `SamplingConfig`, for the records.
    pub sampling_config: Bytes,
}

/// Where a model's records go.
pub struct Target {
    model: String,
    prefix: PathBuf,
    rate: f64,
    sampling_config: Bytes,
    queue: Arc<Background<Order>>,
    outcomes: Outcomes,
}

/// Counts what has become of records: `request_log_count{model_name, status_code}`.
#[derive(Clone)]
pub struct Outcomes(IntCounterVec);

impl Outcomes {
    fn count(&self, model: &str, failed: Option<Code>, count: u64) {
        self.0.with_label_values(&[model, failed.map_or("OK", Code::name)]).inc_by(count);
    }
}

/// Whether and where the requests of one model are logged; its versions share it, and it changes while they are served.
#[derive(Default)]
pub struct ModelLog {
    /// What a request looks at when nothing is logged.
    on: AtomicBool,
    target: ArcSwapOption<Target>,
}

impl ModelLog {
    /// Draw whether a request is logged; only then it is asked for in serialized form.
    pub fn capture(&self, kind: Kind, request: impl FnOnce() -> Result<Bytes>) -> Option<Capture> {
        if !self.on.load(Ordering::Relaxed) {
            return None;
        }
        let target = self.target.load_full().filter(|target| fastrand::f64() < target.rate)?;
        match request() {
            Ok(request) => Some(Capture { target, kind, request }),
            Err(error) => {
                target.outcomes.count(&target.model, Some(error.code), 1);
                None
            }
        }
    }

    fn set(&self, target: Option<Arc<Target>>) {
        let on = target.as_ref().is_some_and(|target| target.rate > 0.0);
        self.target.store(target);
        self.on.store(on, Ordering::Relaxed);
    }
}

/// A request that was drawn; it is forgotten with this, unless it succeeds.
pub struct Capture {
    target: Arc<Target>,
    kind: Kind,
    request: Bytes,
}

impl Capture {
    /// Log the request with its reply.
    ///
    /// `signature` is the effective one, empty where there is none or more than one.
    pub fn succeeded(self, servable: &Servable, signature: &str, response: impl FnOnce() -> Result<Vec<u8>>) {
        let Capture { target, kind, request } = self;
        // Asked first: where there is no room the reply need not be copied.
        if !target.queue.has_room(request.len()) {
            target.queue.refuse();
            return target.outcomes.count(&target.model, Some(Code::ResourceExhausted), 1);
        }
        let response = match response() {
            Ok(response) => response,
            Err(error) => return target.outcomes.count(&target.model, Some(error.code), 1),
        };
        let record = Record::new(Arc::clone(&target), kind, servable, signature, request, response);
        let bytes = record.len();
        if !target.queue.offer(Order::Write(record), bytes) {
            target.outcomes.count(&target.model, Some(Code::ResourceExhausted), 1);
        }
    }
}

/// The request logs of all models.
pub struct RequestLogs {
    state: Mutex<State>,
    outcomes: Outcomes,
    report: Report,
}

#[derive(Default)]
struct State {
    models: HashMap<String, Arc<ModelLog>>,
    /// From the first config that logs on.
    queue: Option<Arc<Background<Order>>>,
}

impl RequestLogs {
    pub fn new(metrics: &Metrics, report: Report) -> RequestLogs {
        RequestLogs { state: Mutex::default(), outcomes: Outcomes(metrics.request_log_count.clone()), report }
    }

    /// The log of a model, for its servables.
    pub fn of(&self, model: &str) -> Arc<ModelLog> {
        Arc::clone(self.lock().models.entry(model.to_owned()).or_default())
    }

    /// Log these models from now on and no others; each prefix keeps up to `max_bytes` on disk.
    pub fn replace(&self, configs: HashMap<String, Config>, max_bytes: u64) -> Result<()> {
        let mut state = self.lock();
        if state.queue.is_none() {
            if configs.is_empty() {
                return Ok(());
            }
            let writer = Writer::new(self.outcomes.clone(), Arc::clone(&self.report));
            let started = Background::start("tfs-request-log", QUEUE_RECORDS, QUEUE_BYTES, writer);
            state.queue = Some(Arc::new(started.map_err(|error| runtime_error(&error))?));
        }
        let Some(queue) = state.queue.clone() else { return Ok(()) };
        let prefixes = configs.values().map(|config| config.prefix.clone()).collect();
        for (model, log) in &state.models {
            if !configs.contains_key(model) {
                log.set(None);
            }
        }
        // Behind the records of models that are no longer logged, before those of models that are new.
        if !queue.insist(Order::Keep(prefixes, max_bytes), PATIENCE) {
            (self.report)(Level::Error, "the disk of the request log does not answer: files stay open");
        }
        for (model, config) in configs {
            let Config { prefix, rate, sampling_config } = config;
            let (queue, outcomes) = (Arc::clone(&queue), self.outcomes.clone());
            // Shown from the beginning: a rate needs a first value.
            outcomes.count(&model, None, 0);
            let target = Target { model: model.clone(), prefix, rate, sampling_config, queue, outcomes };
            state.models.entry(model).or_default().set(Some(Arc::new(target)));
        }
        Ok(())
    }

    /// Write everything that was accepted; false if it takes too long.
    pub fn flush(&self) -> bool {
        let queue = self.lock().queue.clone();
        queue.is_none_or(|queue| queue.flush(PATIENCE))
    }

    /// A panic while the lock was held cannot leave the map half-changed, so its poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
