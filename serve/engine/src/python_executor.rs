//! An executor that is a Python object: of the kinds of models that TensorFlow does not run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::error::{Code, Error, Result};
use crate::executor::{Endpoint, Executable, Executor};
use crate::tensorflow::{DataType, Tensor};

/// Lets calls into Python until it is closed.
///
/// A thread that is inside when Python ends takes the whole process with it: Python then ends the thread where it stands,
/// and neither C++ nor Rust can be unwound like that.
#[derive(Default)]
pub struct Gate {
    closed: AtomicBool,
    inside: AtomicUsize,
}

impl Gate {
    fn pass<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let _inside = Inside::count(&self.inside);
        // Looked at only now: `close` either sees this call, or is seen by it.
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(Code::Unavailable, "the server is stopping"));
        }
        call()
    }

    /// Let nobody in any more and wait until nobody is inside.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        while self.inside.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Counts a call for as long as it lives.
struct Inside<'a>(&'a AtomicUsize);

impl Inside<'_> {
    fn count(inside: &AtomicUsize) -> Inside<'_> {
        inside.fetch_add(1, Ordering::SeqCst);
        Inside(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The object and what its endpoints stand for; `_engine.pyi` says what it has to be able to do.
pub struct PythonExecutor {
    object: Py<PyAny>,
    /// Signature and alias of each endpoint; whether it is an input or an output shows where it is used.
    ports: Vec<(String, String)>,
    gate: Arc<Gate>,
}

impl PythonExecutor {
    /// What `object` says about itself, asked once.
    pub fn executable(object: Bound<'_, PyAny>, gate: &Arc<Gate>) -> PyResult<Executable> {
        let meta_graph = object.getattr("meta_graph")?.extract()?;
        let slots = object.getattr("slots")?.extract()?;
        let executor = PythonExecutor { object: object.unbind(), ports: Vec::new(), gate: Arc::clone(gate) };
        Ok(Executable { executor: Box::new(executor), meta_graph, slots: Some(slots) })
    }

    fn alias(&self, endpoint: Endpoint) -> &str {
        &self.ports[endpoint.0].1
    }

    /// The one signature that all endpoints of a call belong to.
    fn signature(&self, mut endpoints: impl Iterator<Item = Endpoint>) -> Result<&str> {
        let Some(first) = endpoints.next() else { return Err(Error::invalid("nothing is fed and nothing is fetched")) };
        let signature = &self.ports[first.0].0;
        if endpoints.any(|endpoint| self.ports[endpoint.0].0 != *signature) {
            return Err(Error::new(Code::Unimplemented, "this model answers one signature at a time"));
        }
        Ok(signature)
    }

    fn call(&self, py: Python, feeds: &[(Endpoint, &Tensor)], fetches: &[Endpoint]) -> Result<Vec<Tensor>> {
        let endpoints = feeds.iter().map(|feed| feed.0).chain(fetches.iter().copied());
        let signature = self.signature(endpoints)?;
        let answer = || -> PyResult<Vec<Bound<PyAny>>> {
            let inputs = PyDict::new(py);
            for (endpoint, tensor) in feeds {
                inputs.set_item(self.alias(*endpoint), to_python(py, tensor)?)?;
            }
            let outputs: Vec<_> = fetches.iter().map(|endpoint| self.alias(*endpoint)).collect();
            self.object.bind(py).call_method1("run", (signature, inputs, outputs))?.extract()
        };
        let answer = answer().map_err(|error| refused(py, &error))?;
        if answer.len() != fetches.len() {
            return Err(Error::internal("the model gave another number of outputs than were fetched"));
        }
        answer.iter().map(from_python).collect()
    }
}

impl Executor for PythonExecutor {
    fn endpoint(&mut self, signature: &str, alias: &str, _: &str) -> Option<Endpoint> {
        self.ports.push((signature.to_owned(), alias.to_owned()));
        Some(Endpoint(self.ports.len() - 1))
    }

    fn run(&self, feeds: &[(Endpoint, &Tensor)], fetches: &[Endpoint]) -> Result<Vec<Tensor>> {
        self.gate.pass(|| Python::attach(|py| self.call(py, feeds, fetches)))
    }

    fn run_named(&self, _: &[(&str, Tensor)], _: &[&str], _: &[&str]) -> Result<Vec<Tensor>> {
        Err(Error::new(Code::Unimplemented, "SessionRun needs a TensorFlow graph, which this version has not"))
    }
}

/// Number of the dtype, shape, elements: bytes in native order, or a list of `bytes` for strings.
fn to_python<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    let dtype = tensor.dtype().map_or(0, |dtype| dtype as i32);
    let elements = if tensor.dtype() == Some(DataType::String) {
        PyList::new(py, tensor.strings().map(|string| PyBytes::new(py, string)).collect::<Vec<_>>())?.into_any()
    } else {
        PyBytes::new(py, tensor.bytes()).into_any()
    };
    Ok((dtype, tensor.dims(), elements).into_pyobject(py)?.into_any())
}

fn from_python(answer: &Bound<'_, PyAny>) -> Result<Tensor> {
    let broken = |error: PyErr| Error::internal(format!("an output of the model is no tensor: {error}"));
    let (number, dims, elements): (i32, Vec<i64>, Bound<PyAny>) = answer.extract().map_err(broken)?;
    match DataType::from_number(number) {
        Some(DataType::String) => {
            let strings: Vec<Bound<PyBytes>> = elements.extract().map_err(broken)?;
            let strings: Vec<&[u8]> = strings.iter().map(|string| string.as_bytes()).collect();
            Tensor::from_strings(&dims, &strings)
        }
        Some(dtype) => {
            let bytes = elements.cast::<PyBytes>().map_err(|error| broken(error.into()))?;
            Tensor::from_bytes(dtype, &dims, bytes.as_bytes())
        }
        None => Err(Error::internal(format!("an output of the model has the dtype {number}, which does not exist"))),
    }
}

/// A ValueError is the request's fault, anything else the model's.
fn refused(py: Python, error: &PyErr) -> Error {
    let code = if error.is_instance_of::<PyValueError>(py) { Code::InvalidArgument } else { Code::Internal };
    let text = error.value(py).to_string();
    Error::new(code, text.split_whitespace().collect::<Vec<_>>().join(" "))
}
