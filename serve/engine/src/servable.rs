//! One loaded version of a model: what the protocols and the warm-up see of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use prometheus::{Histogram, IntGauge};
use prost::Message;

use crate::batching::Batching;
use crate::call::{Call, Fed};
use crate::engine::LoadRequest;
use crate::error::{Error, Result};
use crate::executor::{Endpoint, Executable, Executor};
use crate::graph_ops::has_rank_critical_op;
use crate::listeners::runtime_error;
use crate::messages::{Int64Value, MetaGraphDef, ModelSpec, SignatureDef};
use crate::metrics::{Api, InFlight, Metrics, SessionRuns, ShownPlan, micros};
use crate::request_log::ModelLog;
use crate::run_threads::{RunQueue, RunThreads};
use crate::signature::{Port, Signature, or_default};
use crate::tensorflow::{Session, Tensor};
use crate::wire::{Fields, Value, write_bytes};

/// Runs up to this long are done by the thread that read the request; handing them to another one would cost about as
/// much. It is also the longest that one request may keep others of the same thread waiting.
const INLINE_LIMIT: Duration = Duration::from_micros(250);

/// A request with more bytes than this never runs in the thread that read it, however fast the model was so far.
pub const INLINE_MAX_BYTES: usize = 64 << 10;

/// The meters of one version, looked up once.
struct ServableMetrics {
    in_flight: IntGauge,
    /// Of Predict, Classify, Regress.
    runtime: [Histogram; 3],
    /// None if no TensorFlow session runs it.
    session_runs: Option<SessionRuns>,
    execution_plan: OnceLock<ShownPlan>,
}

/// The calls of a model; its versions count them together.
pub struct Calls {
    pub model: String,
    /// So far.
    pub count: u64,
    /// Whether the threads that read requests run them now.
    pub are_inline: bool,
}

/// An executor with its signatures.
pub struct Servable {
    pub model: String,
    pub version: i64,
    /// Of the meta graph.
    pub tags: Vec<String>,
    /// Whether its requests are logged; shared by all versions of the model.
    pub log: Arc<ModelLog>,
    executor: Box<dyn Executor>,
    /// If a run may have to wait for others of this version: threads that do nothing else, so that nobody waits with it.
    own_threads: Option<RunThreads>,
    signatures: Vec<Arc<Signature>>,
    definitions: std::collections::BTreeMap<String, SignatureDef>,
    signature_def_map: Vec<u8>,
    /// Too low a rank would not be an error of the request but the end of the process (see `graph_ops`).
    rank_critical: bool,
    metrics: ServableMetrics,
    batching: Option<Arc<Batching>>,
    /// Where its requests wait for a thread if they run alone.
    pub run_queue: RunQueue,
    /// Moving average of run times in nanoseconds; the start value sends the first requests to the run threads.
    average_run: AtomicU32,
}

impl Servable {
    /// Make what was loaded for `request` ready for its first call.
    pub fn new(
        request: &LoadRequest,
        executable: Executable,
        batching: Option<Arc<Batching>>,
        log: Arc<ModelLog>,
        metrics: &Metrics,
    ) -> Result<Servable> {
        let LoadRequest { model, version, tags, .. } = *request;
        let Executable { mut executor, meta_graph, slots } = executable;
        let definitions = MetaGraphDef::decode(&meta_graph[..])
            .map_err(|error| Error::internal(format!("the model came with an unreadable MetaGraphDef: {error}")))?
            .signature_def;
        let session_runs = slots.is_none().then(|| metrics.session_runs.clone());
        let own_threads = slots.map(RunThreads::start).transpose().map_err(|error| runtime_error(&error))?;
        let signatures = definitions
            .iter()
            .map(|(name, definition)| Signature::resolve(name, definition, &mut *executor).map(Arc::new))
            .collect::<Result<_>>()?;
        Ok(Servable {
            model: model.to_owned(),
            version,
            tags: tags.to_vec(),
            log,
            executor,
            own_threads,
            signatures,
            definitions,
            signature_def_map: signature_def_map(&meta_graph)?,
            rank_critical: has_rank_critical_op(&meta_graph)?,
            metrics: ServableMetrics {
                in_flight: metrics.in_flight(model, version),
                runtime: [Api::Predict, Api::Classify, Api::Regress].map(|api| metrics.runtime(model, api)),
                session_runs,
                execution_plan: OnceLock::new(),
            },
            batching,
            run_queue: RunQueue::default(),
            average_run: AtomicU32::new(u32::MAX),
        })
    }

    /// TensorFlow's session, if one runs it.
    pub fn session(&self) -> Option<&Session> {
        self.executor.session()
    }

    pub fn signatures(&self) -> &[Arc<Signature>] {
        &self.signatures
    }

    /// Whether an input of too few dimensions would end the process.
    pub fn is_rank_critical(&self) -> bool {
        self.rank_critical
    }

    /// The ModelSpec of a reply by the signature of this name, or by none if that is empty.
    pub fn spec(&self, signature: &str) -> ModelSpec {
        ModelSpec {
            name: self.model.clone(),
            version: Some(Int64Value { value: self.version }),
            version_label: None,
            signature_name: signature.to_owned(),
        }
    }

    /// The signature of this name; an empty name means `serving_default`.
    pub fn signature(&self, name: &str) -> Option<&Arc<Signature>> {
        let name = or_default(name);
        self.signatures.iter().find(|signature| signature.name == name)
    }

    /// All signatures as they stand in the model, by name.
    pub fn definitions(&self) -> &std::collections::BTreeMap<String, SignatureDef> {
        &self.definitions
    }

    /// The serialized `SignatureDefMap` that GetModelMetadata answers with, every field of the model's own included.
    pub fn signature_def_map(&self) -> &[u8] {
        &self.signature_def_map
    }

    /// Whether a request of this many bytes should run in the thread that read it.
    pub fn runs_inline(&self, request_bytes: usize) -> bool {
        request_bytes <= INLINE_MAX_BYTES
            && self.own_threads.is_none()
            && u128::from(self.average_run.load(Ordering::Relaxed)) < INLINE_LIMIT.as_nanos()
    }

    /// What has been asked of it.
    pub fn calls(&self) -> Calls {
        Calls {
            model: self.model.clone(),
            count: self.metrics.runtime.iter().map(Histogram::get_sample_count).sum(),
            are_inline: self.runs_inline(0),
        }
    }

    /// The threads that must run it, if they are not those that run all other versions.
    pub fn own_threads(&self) -> Option<&RunThreads> {
        self.own_threads.as_ref()
    }

    /// How requests to this version are batched; None if each runs alone.
    pub fn batching(&self) -> Option<&Arc<Batching>> {
        self.batching.as_ref()
    }

    /// What is to be fed to an input, checked as far as the process depends on it.
    pub fn feed(&self, port: &Port, tensor: Fed) -> Result<(Endpoint, Fed)> {
        if self.rank_critical {
            check_rank(port, &tensor)?;
        }
        Ok((port.endpoint, tensor))
    }

    /// Run a call alone, whatever the batching is.
    pub fn run(&self, call: &Call) -> Result<Vec<Tensor>> {
        let feeds: Vec<_> = call.feeds.iter().map(|(endpoint, tensor)| (*endpoint, &**tensor)).collect();
        let (result, elapsed) = self.counted(|| self.executor.run(&feeds, &call.fetches));
        self.note_run(elapsed);
        self.note_runtime(call.api, elapsed);
        result
    }

    /// Feed and fetch any tensors of the graph by name, and run `targets` too.
    ///
    /// Where too low a rank would end the process, only the inputs of signatures can be fed: their ranks are known.
    pub fn run_named(&self, feeds: &[(&str, Tensor)], fetches: &[&str], targets: &[&str]) -> Result<Vec<Tensor>> {
        if self.rank_critical {
            for (name, tensor) in feeds {
                let same = |port: &&Port| port.tensor_name.trim_end_matches(":0") == name.trim_end_matches(":0");
                let inputs = || self.signatures.iter().flat_map(|signature| &signature.inputs);
                let port = inputs().find(same).ok_or_else(|| {
                    Error::invalid(format!(
                        "{name} is no input of a signature: this model's convolutions need a known rank"
                    ))
                })?;
                check_rank(port, tensor)?;
            }
        }
        self.counted(|| self.executor.run_named(feeds, fetches, targets)).0
    }

    /// Run a call as the requests of clients are run, and wait for it.
    pub fn run_and_wait(self: &Arc<Self>, call: Call) -> Result<Vec<Tensor>> {
        match &self.batching {
            Some(batching) => batching.run_blocking(self, call),
            None => self.run(&call),
        }
    }

    /// Run the executor on what several calls have in common; their own times are for `note_runtime`.
    pub fn run_merged(&self, feeds: &[(Endpoint, &Tensor)], fetches: &[Endpoint]) -> Result<Vec<Tensor>> {
        let (result, elapsed) = self.counted(|| self.executor.run(feeds, fetches));
        self.note_run(elapsed);
        result
    }

    /// Run the executor, count that, and say how long it took.
    fn counted(&self, run: impl FnOnce() -> Result<Vec<Tensor>>) -> (Result<Vec<Tensor>>, Duration) {
        let start = Instant::now();
        let result = run();
        let elapsed = start.elapsed();
        if let Some(session_runs) = &self.metrics.session_runs {
            session_runs.note(elapsed, result.is_ok());
        }
        (result, elapsed)
    }

    /// Note how long a call took.
    pub fn note_runtime(&self, api: Api, elapsed: Duration) {
        if let Some(runtime) = self.metrics.runtime.get(api as usize) {
            runtime.observe(micros(elapsed));
        }
    }

    /// The name in the graph of what an endpoint stands for.
    pub fn tensor_name(&self, endpoint: Endpoint) -> &str {
        let mut ports = self.signatures.iter().flat_map(|signature| signature.inputs.iter().chain(&signature.outputs));
        ports.find(|port| port.endpoint == endpoint).map_or("", |port| &port.tensor_name)
    }

    /// Keep its execution plan among the metrics for as long as it is loaded.
    pub fn keep_shown(&self, plan: ShownPlan) {
        // A version is planned once.
        let _ = self.metrics.execution_plan.set(plan);
    }

    /// Count a request to this version as under way for as long as the result lives.
    pub fn begin_request(&self) -> InFlight {
        InFlight::new(&self.metrics.in_flight)
    }

    fn note_run(&self, elapsed: Duration) {
        let elapsed = u32::try_from(elapsed.as_nanos()).unwrap_or(u32::MAX);
        let average = self.average_run.load(Ordering::Relaxed);
        // One slow run counts at once, a fast one by an eighth: a model must earn the right to run inline. Two threads
        // that write at the same time lose one sample, which does not matter.
        let next = if elapsed > average { elapsed } else { average - (average - elapsed) / 8 };
        self.average_run.store(next, Ordering::Relaxed);
    }
}

/// Ranks are otherwise the graph's own affair.
fn check_rank(port: &Port, tensor: &Tensor) -> Result<()> {
    let (sent, declared) = (tensor.rank(), port.rank.unwrap_or_default());
    if sent < declared {
        return Err(Error::invalid(format!(
            "input {} has {sent} dimensions, the model's convolutions need the {declared} of its signature",
            port.alias
        )));
    }
    Ok(())
}

/// `SignatureDefMap { map<string, SignatureDef> signature_def = 1 }` out of `MetaGraphDef.signature_def = 5`: the entries
/// are copied as they are.
fn signature_def_map(meta_graph: &[u8]) -> Result<Vec<u8>> {
    let mut map = Vec::new();
    for field in Fields::new(meta_graph) {
        if let (5, Value::Bytes(entry)) = field? {
            write_bytes(&mut map, 1, entry);
        }
    }
    Ok(map)
}
