//! Replaying warm-up records: `<version>/assets.extra/tf_serving_warmup_requests`, a TFRecord file of PredictionLogs.
//!
//! Any failure fails the load: a version whose own examples do not run should not take over.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use prost::Message;

use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::examples;
use crate::inference::{self, Answering, Method, Plan};
use crate::messages::{ExamplesRequest, MultiInferenceRequest};
use crate::predict;
use crate::predict_request::PredictRequest;
use crate::servable::Servable;
use crate::tensorflow::Tensor;
use crate::tfrecord;
use crate::wire::{Fields, Value};

/// Upstream's limit; a longer file is refused, not cut.
const MAX_RECORDS: usize = 1000;

/// Where a version keeps its records.
const FILE: &str = "assets.extra/tf_serving_warmup_requests";

/// Replay the records of the version in `directory`, each `iterations` times (at least once), and count them.
pub fn replay(servable: &Arc<Servable>, directory: &Path, iterations: usize) -> Result<usize> {
    let path = directory.join(FILE);
    let Some(mut records) = open(&path)? else { return Ok(0) };
    let mut count = 0;
    while let Some(record) = read_record(&mut records, &path)? {
        count += 1;
        if count > MAX_RECORDS {
            return Err(Error::invalid(format!(
                "Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {}",
                path.display()
            )));
        }
        replay_record(servable, &record, iterations).map_err(|error| {
            Error::new(error.code, format!("warm-up record {count} of {}: {}", path.display(), error.message))
        })?;
    }
    Ok(count)
}

/// The calls of the first records in `directory`, at most `limit` of them; none if there are no records.
pub fn first_calls(servable: &Servable, directory: &Path, limit: usize) -> Result<Vec<Call>> {
    let path = directory.join(FILE);
    let Some(mut records) = open(&path)? else { return Ok(Vec::new()) };
    let mut calls = Vec::new();
    while calls.len() < limit
        && let Some(record) = read_record(&mut records, &path)?
    {
        for (number, request) in requests_of(&record)? {
            calls.push(call_of(servable, number, request)?.0);
        }
    }
    Ok(calls)
}

/// None if there is no such file.
fn open(path: &Path) -> Result<Option<BufReader<File>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(Code::Unavailable, format!("cannot read {}: {error}", path.display()))),
    }
}

fn replay_record(servable: &Arc<Servable>, record: &[u8], iterations: usize) -> Result<()> {
    for (number, request) in requests_of(record)? {
        for _ in 0..iterations.max(1) {
            let (call, answering) = call_of(servable, number, request)?;
            let tensors = servable.run_and_wait(call)?;
            if let Some(answering) = answering {
                answering.answers(&tensors)?;
            }
        }
    }
    Ok(())
}

/// The requests of a PredictionLog, each with its field in log_type: one, or none.
fn requests_of(record: &[u8]) -> Result<Vec<(u32, &[u8])>> {
    let mut requests = Vec::new();
    for field in Fields::new(record) {
        let field =
            field.map_err(|error| Error::invalid(format!("Failed to parse warmup record: {}", error.message)))?;
        if let (number @ 2..=7, Value::Bytes(log)) = field {
            requests.push((number, request_of(log)?));
        }
    }
    Ok(requests)
}

/// The request of a PredictLog, ClassifyLog, ...: field 1 in each of them.
fn request_of(log: &[u8]) -> Result<&[u8]> {
    let mut request = &[][..];
    for field in Fields::new(log) {
        if let (1, Value::Bytes(bytes)) = field? {
            request = bytes;
        }
    }
    Ok(request)
}

/// The call that a request makes, and for examples what answers it. `number` is its field in PredictionLog's log_type.
fn call_of(servable: &Servable, number: u32, request: &[u8]) -> Result<(Call, Option<Answering>)> {
    match number {
        2 => call_of_examples(servable, Method::Classify, request),
        3 => call_of_examples(servable, Method::Regress, request),
        4 => {
            let request = MultiInferenceRequest::decode(request).map_err(|error| Error::invalid(error.to_string()))?;
            // The name in a record does not matter: it may have been recorded under another one.
            let request = request.for_model(&servable.model);
            let examples = examples::read_input(&request.input)?;
            call_of_plans(servable, inference::plan_several(servable, &request.tasks, false)?, examples)
        }
        6 => Ok((predict::decode(servable, &PredictRequest::parse(request)?)?.call, None)),
        _ => Err(Error::new(Code::Unimplemented, format!("Unsupported log_type for warmup: {number}"))),
    }
}

fn call_of_examples(servable: &Servable, method: Method, request: &[u8]) -> Result<(Call, Option<Answering>)> {
    let request = ExamplesRequest::decode(request).map_err(|error| Error::invalid(error.to_string()))?;
    let signature = request.model_spec.map(|spec| spec.signature_name).unwrap_or_default();
    let plan = inference::plan_one(servable, &signature, method, false)?;
    call_of_plans(servable, vec![plan], examples::read_input(&request.input)?)
}

fn call_of_plans(servable: &Servable, plans: Vec<Plan>, examples: Tensor) -> Result<(Call, Option<Answering>)> {
    let (call, answering) = inference::call(servable, plans, examples)?;
    Ok((call, Some(answering)))
}

/// The next record of the file; None at its end.
fn read_record(file: &mut impl Read, path: &Path) -> Result<Option<Vec<u8>>> {
    tfrecord::read(file).map_err(|what| {
        let message = format!("{what} in {}. Please verify your warmup data is in TFRecord format.", path.display());
        Error::new(Code::DataLoss, message)
    })
}
