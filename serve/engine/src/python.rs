//! The classes that Python sees; `_engine.pyi` describes them.

mod callbacks;
mod settings;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::engine::{self, BatchPool, ControlPlane, Line, LoadRequest};
use crate::error::{Code, Error};
use crate::execution_plan::ExampleRequest;
use crate::grpc::reflection::Descriptors;
use crate::listen_options::{Answering, ListenOptions, Tls};
use crate::load_loop::Load;
use crate::messages::{ModelVersionStatus, StatusProto};
use crate::python_executor::{Gate, PythonExecutor};
use crate::reload::ReloadConfig;
use crate::report;
use crate::request_log;
use crate::tensorflow::{self, SessionOptions};
use callbacks::{call, load_descriptors, make_example, to_give_way, to_python};
use settings::{batching_options, http2_of};

/// By the name of a code: how many failed with it, and the first one's message.
type Failures = HashMap<&'static str, (u64, String)>;

create_exception!(_engine, EngineError, PyException, "A failure inside the engine, with its canonical status code.");

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        Python::attach(|py| {
            let raised = EngineError::new_err(error.to_string());
            let value = raised.value(py);
            let attributes = value
                .setattr("code", error.code as i32)
                .and_then(|()| value.setattr("code_name", error.code.name()))
                .and_then(|()| value.setattr("message", &error.message));
            attributes.err().unwrap_or(raised)
        })
    }
}

#[pyclass(frozen, get_all, module = "tfs.serve._engine")]
pub struct LoadReport {
    seconds: f64,
    warmup_records: usize,
    signatures: Vec<String>,
    execution: Option<String>,
}

#[pyclass(frozen, get_all, module = "tfs.serve._engine")]
pub struct Addresses {
    grpc: Option<String>,
    rest: Option<String>,
}

#[pyclass(frozen, get_all, module = "tfs.serve._engine")]
pub struct Device {
    name: String,
    kind: String,
    memory_bytes: i64,
}

#[pyclass(frozen, module = "tfs.serve._engine")]
pub struct Engine {
    engine: engine::Engine,
    /// What every executor in Python goes through.
    gate: Arc<Gate>,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, tensorflow_library, op_libraries = Vec::new(), session_config = Vec::new(),
                        in_caller_thread = true, run_threads = 0, batch_threads = 0,
                        batch_pool_name = "batch_threads", log = None, example_request = None, give_way = None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn new(
        py: Python<'_>,
        tensorflow_library: PathBuf,
        op_libraries: Vec<String>,
        session_config: Vec<u8>,
        in_caller_thread: bool,
        run_threads: usize,
        batch_threads: usize,
        batch_pool_name: &str,
        log: Option<Py<PyAny>>,
        example_request: Option<Py<PyAny>>,
        give_way: Option<Py<PyAny>>,
    ) -> PyResult<Engine> {
        let options = SessionOptions { config: session_config, in_caller_thread };
        let pool = (batch_threads > 0).then_some(BatchPool { threads: batch_threads, name: batch_pool_name });
        let control = ControlPlane {
            report: log.map_or_else(report::to_stderr, to_python),
            example: example_request.map(|callback| -> ExampleRequest {
                Arc::new(move |name, signature| make_example(&callback, name, signature))
            }),
            give_way: give_way.map(to_give_way),
        };
        let engine =
            py.detach(|| engine::Engine::new(&tensorflow_library, op_libraries, options, run_threads, pool, control))?;
        Ok(Engine { engine, gate: Arc::default() })
    }

    #[getter]
    fn tensorflow_version(&self) -> String {
        tensorflow::version()
    }

    #[getter]
    fn devices(&self) -> Vec<Device> {
        let copied = |device: &tensorflow::Device| Device {
            name: device.name.clone(),
            kind: device.kind.clone(),
            memory_bytes: device.memory_bytes,
        };
        self.engine.devices().iter().map(copied).collect()
    }

    #[pyo3(signature = (model, version, path, *, tags = vec!["serve".to_owned()], warmup = true, warmup_iterations = 1,
                        batching = None, executor = None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn load(
        &self,
        py: Python<'_>,
        model: &str,
        version: i64,
        path: PathBuf,
        tags: Vec<String>,
        warmup: bool,
        warmup_iterations: usize,
        batching: Option<HashMap<String, Bound<'_, PyAny>>>,
        executor: Option<Bound<'_, PyAny>>,
    ) -> PyResult<LoadReport> {
        let warmup_iterations = warmup.then_some(warmup_iterations);
        let batching = batching.map(batching_options).transpose()?;
        let request = LoadRequest { model, version, path: &path, tags: &tags, warmup_iterations, batching };
        let given = executor.map(|object| PythonExecutor::executable(object, &self.gate)).transpose()?;
        let loaded = py.detach(|| self.engine.load(&request, given))?;
        Ok(LoadReport {
            seconds: loaded.seconds,
            warmup_records: loaded.warmup_records,
            signatures: loaded.signatures,
            execution: loaded.decision.map(|decision| decision.to_string()),
        })
    }

    fn route(&self, py: Python<'_>, model: &str, versions: Vec<i64>, labels: HashMap<String, i64>) -> PyResult<()> {
        Ok(py.detach(|| self.engine.route(model, &versions, labels))?)
    }

    fn publish(&self, py: Python<'_>, model: &str, states: Vec<(i64, i32, i32, String)>) {
        let states = states
            .into_iter()
            .map(|(version, state, error_code, error_message)| ModelVersionStatus {
                version,
                state,
                status: Some(StatusProto { error_code, error_message }),
            })
            .collect();
        py.detach(|| self.engine.publish(model, states));
    }

    fn unload(&self, py: Python<'_>, model: &str, version: i64) -> PyResult<()> {
        Ok(py.detach(|| self.engine.unload(model, version))?)
    }

    fn line(&self, py: Python<'_>) -> (usize, Vec<(String, u64, bool)>) {
        let Line { waiting, calls } = py.detach(|| self.engine.line());
        (waiting, calls.into_iter().map(|calls| (calls.model, calls.count, calls.are_inline)).collect())
    }

    fn log_requests(
        &self,
        py: Python<'_>,
        models: HashMap<String, (PathBuf, f64, Vec<u8>)>,
        max_bytes: u64,
    ) -> PyResult<()> {
        let models = models
            .into_iter()
            .map(|(model, (prefix, rate, sampling_config))| {
                (model, request_log::Config { prefix, rate, sampling_config: sampling_config.into() })
            })
            .collect();
        Ok(py.detach(|| self.engine.log_requests(models, max_bytes))?)
    }

    #[pyo3(signature = (*, grpc, rest, grpc_socket = None, tls = None, rest_timeout_ms = 30_000,
                        check_method_name = false, tensor_content = false, cors = false, metrics_path = None,
                        access_log = false,
                        http2 = HashMap::new(), reload_config = None,
                        descriptors = None))]
    #[allow(clippy::too_many_arguments)] // keyword arguments in Python
    fn listen(
        &self,
        py: Python<'_>,
        grpc: Option<String>,
        rest: Option<String>,
        grpc_socket: Option<PathBuf>,
        tls: Option<(String, String, Option<String>, bool)>,
        rest_timeout_ms: i64,
        check_method_name: bool,
        tensor_content: bool,
        cors: bool,
        metrics_path: Option<String>,
        access_log: bool,
        http2: HashMap<String, u32>,
        reload_config: Option<Py<PyAny>>,
        descriptors: Option<Py<PyAny>>,
    ) -> PyResult<Addresses> {
        let rest_timeout = u64::try_from(rest_timeout_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
        let options = ListenOptions {
            grpc,
            rest,
            grpc_socket,
            tls: tls.map(|(key, certificate, client_ca, client_verify)| Tls {
                key,
                certificate,
                client_ca,
                client_verify,
            }),
            http2: http2_of(&http2)?,
            answering: Answering {
                rest_timeout,
                check_method_name,
                tensor_content,
                cors,
                metrics_path,
                access_log,
                max_message_bytes: http2.get("max_receive_message_bytes").map(|n| *n as usize),
            },
            reload_config: reload_config
                .map(|callback| ReloadConfig::new(Arc::new(move |request| call(&callback, request)))),
            descriptors: descriptors.map(|callback| -> Descriptors { Arc::new(move || load_descriptors(&callback)) }),
        };
        let ports = py.detach(|| self.engine.listen(options))?;
        Ok(Addresses { grpc: ports.grpc, rest: ports.rest })
    }

    #[pyo3(signature = (model, version, requests, *, seconds, threads, rate=None))]
    #[expect(clippy::too_many_arguments, reason = "the keyword arguments of a Python method")]
    fn run_loop(
        &self,
        py: Python<'_>,
        model: &str,
        version: i64,
        requests: Vec<Vec<u8>>,
        seconds: f64,
        threads: usize,
        rate: Option<f64>,
    ) -> PyResult<(f64, Vec<f64>, Failures)> {
        let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
        let load = Load { seconds, threads, rate };
        let runs = py.detach(|| self.engine.run_loop(model, version, &requests, &load))?;
        let failures = runs.failures.into_iter().map(|(error, count)| (error.code.name(), (count, error.message)));
        Ok((runs.seconds, runs.latencies, failures.collect()))
    }

    fn shutdown(&self, py: Python<'_>, drain_seconds: f64) -> PyResult<bool> {
        let drain = Duration::try_from_secs_f64(drain_seconds).map_err(|_| {
            Error::new(Code::InvalidArgument, format!("drain_seconds is {drain_seconds}, not a number of seconds"))
        })?;
        Ok(py.detach(|| {
            let drained = self.engine.shutdown(drain);
            self.gate.close();
            drained
        }))
    }
}
