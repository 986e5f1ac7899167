//! The data plane of tfs: gRPC and REST in front of TensorFlow's C API. Python decides what is served, this serves it.
#![deny(unsafe_code)]
#![cfg_attr(not(feature = "python"), allow(dead_code))]

mod access_log;
mod background;
mod batching;
mod call;
mod connection;
mod engine;
mod error;
mod examples;
mod execution_plan;
mod executor;
mod giving_way;
mod graph_ops;
mod grpc;
mod health;
mod inference;
mod json;
mod listen_options;
mod listeners;
mod load_loop;
mod messages;
mod metrics;
mod predict;
mod predict_messages;
mod predict_request;
#[cfg(feature = "python")]
mod python;
#[cfg(feature = "python")]
mod python_executor;
mod reload;
mod report;
mod request_body;
mod request_log;
mod rest;
mod routing;
mod run_threads;
mod scheduling;
mod servable;
mod serving;
mod signature;
mod tensor;
mod tensorflow;
mod tfrecord;
mod unpacking;
mod warmup;
mod wire;

/// A request's buffers and futures go from thread to thread, and the next one is served from the same memory; TensorFlow
/// keeps its own allocator. Measured in docs/benchmarks.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "python")]
#[pyo3::pymodule]
fn _engine(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
    use pyo3::types::PyModuleMethods;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("EngineError", module.py().get_type::<python::EngineError>())?;
    module.add_class::<python::Engine>()?;
    module.add_class::<python::LoadReport>()?;
    module.add_class::<python::Addresses>()?;
    module.add_class::<python::Device>()
}
