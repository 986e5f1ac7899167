//! `POST ...:predict`

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::path::Target;
use crate::access_log::Notes;
use crate::call::{Call, Fed};
use crate::error::{Error, Result};
use crate::executor::Endpoint;
use crate::metrics::Api;
use crate::predict_messages::{write_request, write_response};
use crate::request_log::Kind;
use crate::servable::Servable;
use crate::serving::{Reply, Serving};
use crate::signature::{Signature, or_default};
use crate::tensor::decode_json::{self, Body, Format};
use crate::tensor::encode_json;
use crate::tensorflow::Tensor;

pub async fn answer(serving: &Serving, target: &Target, text: Bytes) -> Result<Vec<u8>> {
    let servable = match serving.routes.resolve(&target.model, target.choice()) {
        Ok(servable) => servable,
        // Malformed JSON is the client's first mistake, also for a model that is not there.
        Err(error) => {
            serving.notes.signature(or_default(&Body::parse(&text)?.signature));
            return Err(error);
        }
    };
    serving.notes.servable(&servable);
    let notes = serving.notes.clone();
    let deadline = serving.answering.rest_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    serving.execute(servable, text.len(), deadline, move |servable| decode(servable, &text, &notes)).await
}

fn decode(servable: &Servable, text: &[u8], notes: &Notes) -> Result<(Call, impl Reply<Vec<u8>> + use<>)> {
    let usable = |name: &str| servable.signature(name).filter(|signature| signature.check_usable().is_ok());
    let (signature, format, inputs) = match decode_json::read_usual(text, usable) {
        Some(read) => read,
        None => read_any(servable, text, notes)?,
    };
    notes.signature(&signature.name);
    let feed = |(port, tensor)| servable.feed(port, Fed::Own(tensor));
    let feeds = signature.inputs.iter().zip(inputs).map(feed).collect::<Result<_>>()?;
    let feeds: Vec<(Endpoint, Fed)> = feeds;
    let capture = servable.log.capture(Kind::Predict, || {
        let inputs = signature.inputs.iter().zip(feeds.iter().map(|(_, tensor)| &**tensor));
        write_request(&servable.spec(&signature.name), inputs).map(Bytes::from)
    });
    let fetches = signature.outputs.iter().map(|port| port.endpoint).collect();
    let signature = Arc::clone(signature);
    let reply = move |servable: &Servable, tensors: Vec<Tensor>| {
        let outputs: Vec<_> = signature.outputs.iter().map(|port| port.alias.as_str()).zip(&tensors).collect();
        let reply = match format {
            Format::Row => encode_json::rows(&outputs),
            Format::Columnar => encode_json::columns(&outputs),
        }?;
        if let Some(capture) = capture {
            let all: Vec<_> = (0..tensors.len()).collect();
            let response = || write_response(servable, &signature, &all, &tensors, false);
            capture.succeeded(servable, &signature.name, response);
        }
        Ok(reply)
    };
    Ok((Call { api: Api::Predict, feeds, fetches }, reply))
}

/// Read a body of any form, or say what is wrong with it: malformed JSON first, wherever it stands.
fn read_any<'s>(
    servable: &'s Servable,
    text: &[u8],
    notes: &Notes,
) -> Result<(&'s Arc<Signature>, Format, Vec<Tensor>)> {
    let body = Body::parse(text)?;
    let name = or_default(&body.signature);
    notes.signature(name);
    let signature = servable
        .signature(name)
        .ok_or_else(|| Error::invalid(format!("Serving signature name: \"{name}\" not found in signature def")))?;
    signature.check_usable()?;
    let (format, inputs) = body.tensors(signature)?;
    Ok((signature, format, inputs))
}
