//! The engine without Python: models, routes and listeners of one process.

mod load;
mod rehearsal;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::access_log::AccessLog;
use crate::batching::{self, BatchThreads};
use crate::error::{Code, Error, Result};
use crate::execution_plan::{ExampleRequest, Planner};
use crate::giving_way::{GiveWay, StartsThreads, behind_others};
use crate::health::HealthTable;
use crate::listen_options::ListenOptions;
use crate::listeners::{Listeners, runtime_error};
use crate::load_loop::{Load, Runs};
use crate::messages::ModelVersionStatus;
use crate::metrics::Metrics;
use crate::predict;
use crate::predict_request::PredictRequest;
use crate::report::{Level, Report};
use crate::request_log::{self, RequestLogs};
use crate::routing::Routes;
use crate::run_threads::RunThreads;
use crate::servable::{Calls, Servable};
use crate::serving::Shared;
use crate::tensorflow::{self, Device, Session, SessionOptions};

pub use load::LoadRequest;

/// What the engine asks of the control plane.
pub struct ControlPlane {
    pub report: Report,
    /// Without it no execution plans are measured.
    pub example: Option<ExampleRequest>,
    /// Without it nothing gives way to requests.
    pub give_way: Option<GiveWay>,
}

/// The threads that run batches.
pub struct BatchPool<'a> {
    pub threads: usize,
    pub name: &'a str,
}

pub struct Engine {
    runtime: Runtime,
    run_threads: RunThreads,
    batch_threads: Option<Arc<BatchThreads>>,
    routes: Arc<Routes>,
    session_options: SessionOptions,
    /// None if every version has the plan of the session options.
    planner: Option<Planner>,
    devices: Vec<Device>,
    /// Custom-op libraries that no model has asked for yet.
    op_libraries: Mutex<Vec<String>>,
    servables: Mutex<HashMap<(String, i64), Arc<Servable>>>,
    listeners: Mutex<Option<Listeners>>,
    health: HealthTable,
    metrics: Arc<Metrics>,
    request_logs: RequestLogs,
    report: Report,
    /// None if nothing gives way to requests.
    give_way: Option<GiveWay>,
}

impl Engine {
    pub fn new(
        library: &Path,
        op_libraries: Vec<String>,
        session_options: SessionOptions,
        run_threads: usize,
        batch_pool: Option<BatchPool>,
        control: ControlPlane,
    ) -> Result<Engine> {
        tensorflow::open(library)?;
        let devices = Session::empty(&session_options)?.devices()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Where an accelerator computes, the threads of the CPU decide little, and memory is short.
        let ControlPlane { report, example, give_way } = control;
        let example = example.filter(|_| devices.iter().all(|device| device.kind == "CPU"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("tfs-io")
            .on_thread_unpark(batching::thread_has_slept)
            .enable_all()
            .build()
            .map_err(|error| runtime_error(&error))?;
        let metrics = Arc::new(Metrics::new()?);
        metrics.devices(&devices);
        let batch_threads = batch_pool.map(|pool| start_batch_threads(&pool, &metrics)).transpose()?;
        let health = runtime.block_on(HealthTable::new());
        Ok(Engine {
            runtime,
            run_threads: RunThreads::start(run_threads).map_err(|error| runtime_error(&error))?,
            batch_threads,
            routes: Arc::default(),
            planner: example.and_then(|example| Planner::new(&session_options, cores, example, Arc::clone(&report))),
            session_options,
            devices,
            op_libraries: Mutex::new(op_libraries),
            servables: Mutex::default(),
            listeners: Mutex::default(),
            health,
            request_logs: RequestLogs::new(&metrics, Arc::clone(&report)),
            report,
            give_way,
            metrics,
        })
    }

    /// What models are computed on.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Let requests reach exactly these versions.
    pub fn route(&self, model: &str, versions: &[i64], labels: HashMap<String, i64>) -> Result<()> {
        let loaded = lock(&self.servables);
        let versions = versions
            .iter()
            .map(|version| {
                let servable = loaded.get(&(model.to_owned(), *version)).ok_or_else(|| not_loaded(model, *version))?;
                Ok((*version, Arc::clone(servable)))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        self.runtime.block_on(self.health.set_model(model, !versions.is_empty()));
        self.routes.route(model, versions, labels);
        Ok(())
    }

    /// Set what GetModelStatus answers.
    pub fn publish(&self, model: &str, states: Vec<ModelVersionStatus>) {
        self.routes.publish(model, states);
    }

    /// Wait until no request uses the version, then free it.
    pub fn unload(&self, model: &str, version: i64) -> Result<()> {
        if self.routes.is_routed(model, version) {
            let message = format!("version {version} of model {model} is still routed");
            return Err(Error::new(Code::FailedPrecondition, message));
        }
        let mut servable =
            lock(&self.servables).remove(&(model.to_owned(), version)).ok_or_else(|| not_loaded(model, version))?;
        // Requests hold clones. An unload is rare and may take its time, so it looks now and then instead of making
        // every request tell it.
        loop {
            match Arc::try_unwrap(servable) {
                Ok(last) => {
                    // If no thread can be started it is freed here.
                    let _ = self.beside_requests(StartsThreads::No, || {
                        drop(last);
                        Ok(())
                    });
                    self.metrics.drop_version(model, version);
                    return Ok(());
                }
                Err(shared) => servable = shared,
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// How threads that load or free a version give way, if requests may be under way meanwhile.
    fn way_to_give(&self) -> Option<&GiveWay> {
        let serves = || lock(&self.listeners).is_some() && !lock(&self.servables).is_empty();
        self.give_way.as_ref().filter(|_| serves())
    }

    /// Do a version's work without taking time from requests.
    fn beside_requests<T: Send>(
        &self,
        starts_threads: StartsThreads,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        match self.way_to_give() {
            Some(give_way) => behind_others(give_way, starts_threads, work),
            None => work(),
        }
    }

    /// What stands in line for the threads that run models.
    pub fn line(&self) -> Line {
        let batches = self.batch_threads.as_ref().map_or(0, |threads| threads.waiting());
        let calls = lock(&self.servables).values().map(|servable| servable.calls()).collect();
        Line { waiting: self.run_threads.waiting() + batches, calls }
    }

    /// Open the ports.
    pub fn listen(&self, options: ListenOptions) -> Result<Ports> {
        let mut listeners = lock(&self.listeners);
        if listeners.is_some() {
            return Err(Error::new(Code::FailedPrecondition, "this engine listens already"));
        }
        let access_log = options.answering.access_log.then(AccessLog::start).transpose();
        let shared = Shared {
            access_log: access_log.map_err(|error| runtime_error(&error))?,
            routes: Arc::clone(&self.routes),
            run_threads: self.run_threads.clone(),
            metrics: Arc::clone(&self.metrics),
            answering: options.answering.clone(),
            reload_config: options.reload_config.clone(),
        };
        let opened = self.runtime.block_on(Listeners::open(&options, shared.into(), self.health.service()))?;
        let ports = Ports { grpc: opened.grpc.map(|at| at.to_string()), rest: opened.rest.map(|at| at.to_string()) };
        *listeners = Some(opened);
        Ok(ports)
    }

    /// Log the requests to these models from now on, and to no others.
    pub fn log_requests(&self, models: HashMap<String, request_log::Config>, max_bytes: u64) -> Result<()> {
        self.request_logs.replace(models, max_bytes)
    }

    /// Close the ports after up to `drain`, and write what the logs have accepted; true if every request under way was
    /// answered.
    pub fn shutdown(&self, drain: Duration) -> bool {
        let listeners = lock(&self.listeners).take();
        let answered = listeners.is_none_or(|listeners| listeners.shutdown(self.runtime.handle(), drain));
        if !self.request_logs.flush() {
            (self.report)(Level::Error, "the disk of the request log does not answer: the last requests are not in it");
        }
        answered
    }

    /// Run a version over and over with no network between; each thread takes the requests in turn.
    pub fn run_loop(&self, model: &str, version: i64, requests: &[&[u8]], load: &Load) -> Result<Runs> {
        let servable = lock(&self.servables)
            .get(&(model.to_owned(), version))
            .cloned()
            .ok_or_else(|| not_loaded(model, version))?;
        let decode = |request: &&[u8]| Ok(predict::decode(&servable, &PredictRequest::parse(request)?)?.call);
        let calls: Vec<Result<_>> = requests.iter().map(decode).collect();
        if calls.is_empty() {
            return Err(Error::invalid("a load needs a request"));
        }
        load.run(|number| match &calls[(number % calls.len() as u64) as usize] {
            Ok(call) => servable.run(call).map(drop),
            Err(error) => Err(error.clone()),
        })
    }
}

/// Who waits for the threads that run models.
pub struct Line {
    /// Batches, or requests that run alone.
    pub waiting: usize,
    /// Of each version that is loaded.
    pub calls: Vec<Calls>,
}

/// The addresses that were bound.
pub struct Ports {
    pub grpc: Option<String>,
    pub rest: Option<String>,
}

fn start_batch_threads(pool: &BatchPool, metrics: &Metrics) -> Result<Arc<BatchThreads>> {
    let started = BatchThreads::start(pool.threads, pool.name, metrics.batching(pool.name)?);
    Ok(Arc::new(started.map_err(|error| runtime_error(&error))?))
}

fn not_loaded(model: &str, version: i64) -> Error {
    Error::new(Code::NotFound, format!("version {version} of model {model} is not loaded"))
}

/// A panic while the lock was held cannot leave these maps half-changed, so its poison is ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
