//! What the engine asks of the control plane.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{Code, Error};
use crate::giving_way::{GiveWay, StartsThreads};
use crate::report::Report;

/// Hand lines to the control plane's log; one for which there is no Python any more goes to stderr.
pub fn to_python(callback: Py<PyAny>) -> Report {
    Arc::new(move |level, line| {
        let told = Python::try_attach(|py| callback.call1(py, (level as i32, line)).is_ok());
        if told != Some(true) {
            eprintln!("{line}");
        }
    })
}

/// A thread that cannot give way runs as all others do.
pub fn to_give_way(callback: Py<PyAny>) -> GiveWay {
    Arc::new(move |threads, starts_threads| {
        let starts_threads = starts_threads == StartsThreads::Yes;
        Python::try_attach(|py| {
            callback.call1(py, (threads, starts_threads)).map_err(|error| error.write_unraisable(py, None)).ok()
        });
    })
}

/// Ask the control plane; an exception that leaves it is its mistake, not the client's.
pub fn call(callback: &Py<PyAny>, request: &[u8]) -> (i32, String) {
    Python::attach(|py| {
        let answer = callback.call1(py, (PyBytes::new(py, request),)).and_then(|answer| answer.extract(py));
        answer.unwrap_or_else(|error| (Code::Internal as i32, error.to_string()))
    })
}

pub fn load_descriptors(callback: &Py<PyAny>) -> Result<Vec<u8>, Error> {
    Python::attach(|py| callback.call0(py).and_then(|descriptors| descriptors.extract(py)))
        .map_err(|error| Error::internal(error.to_string()))
}

pub fn make_example(callback: &Py<PyAny>, name: &str, signature: &[u8]) -> Result<Vec<u8>, Error> {
    Python::attach(|py| callback.call1(py, (name, PyBytes::new(py, signature))).and_then(|request| request.extract(py)))
        .map_err(|error| Error::invalid(error.to_string()))
}
