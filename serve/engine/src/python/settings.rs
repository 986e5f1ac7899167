//! Settings that Python gives by name.

use std::collections::HashMap;
use std::time::Duration;

use pyo3::prelude::*;

use crate::batching::BatchingOptions;
use crate::error::Error;
use crate::listen_options::Http2;

/// The limits of HTTP/2 connections.
pub fn http2_of(settings: &HashMap<String, u32>) -> Result<Http2, Error> {
    let mut http2 = Http2::default();
    for (name, number) in settings {
        let duration = Some(Duration::from_millis(u64::from(*number)));
        match name.as_str() {
            "keepalive_time_ms" => http2.keepalive_time = duration,
            "keepalive_timeout_ms" => http2.keepalive_timeout = duration,
            "max_connection_age_ms" => http2.max_connection_age = duration,
            "max_connection_age_grace_ms" => http2.max_connection_age_grace = duration,
            "max_concurrent_streams" => http2.max_concurrent_streams = Some(*number),
            "max_receive_message_bytes" => {}
            _ => return Err(Error::invalid(format!("http2 has no setting {name}"))),
        }
    }
    Ok(http2)
}

/// How a version is batched. Keys that are left out have upstream's values.
pub fn batching_options(given: HashMap<String, Bound<'_, PyAny>>) -> PyResult<BatchingOptions> {
    let mut options = BatchingOptions::default();
    for (key, value) in given {
        match key.as_str() {
            "max_batch_size" => options.max_batch_size = value.extract()?,
            "batch_timeout_micros" => options.batch_timeout_micros = value.extract()?,
            "max_enqueued_batches" => options.max_enqueued_batches = value.extract()?,
            "enable_large_batch_splitting" => options.enable_large_batch_splitting = value.extract()?,
            "max_execution_batch_size" => options.max_execution_batch_size = Some(value.extract()?),
            "allowed_batch_sizes" => options.allowed_batch_sizes = value.extract()?,
            "pad_variable_length_inputs" => options.pad_variable_length_inputs = value.extract()?,
            "adaptive" => options.adaptive = value.extract()?,
            _ => return Err(Error::invalid(format!("{key} is no batching parameter of a version")).into()),
        }
    }
    Ok(options)
}
