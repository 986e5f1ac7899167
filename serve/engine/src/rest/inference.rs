//! `POST ...:classify` and `POST ...:regress`

use std::time::Instant;

use bytes::Bytes;
use prost::Message;

use super::examples::{self, Examples};
use super::path::Target;
use crate::call::Call;
use crate::error::Result;
use crate::examples::to_tensor;
use crate::inference::{self, Answer, Method};
use crate::json::write_string;
use crate::messages::{ClassificationResult, ExamplesRequest, ModelSpec, RegressionResult};
use crate::request_log::Kind;
use crate::servable::Servable;
use crate::serving::{Reply, Serving};
use crate::signature::or_default;
use crate::tensor::encode_number::write_single;
use crate::tensorflow::Tensor;
use crate::wire::write_bytes;

pub async fn answer(serving: &Serving, target: &Target, method: Method, text: Bytes) -> Result<Vec<u8>> {
    // Body and examples come before the model: malformed ones are the client's first mistake.
    let name = if method == Method::Classify { "classify" } else { "regress" };
    let request = examples::parse(&text, name)?;
    serving.notes.signature(or_default(&request.signature));
    let servable = serving.routes.resolve(&target.model, target.choice())?;
    serving.notes.servable(&servable);
    let deadline = serving.answering.rest_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let check_method_name = serving.answering.check_method_name;
    let decode = move |servable: &Servable| decode(servable, method, &request, check_method_name);
    serving.execute(servable, text.len(), deadline, decode).await
}

fn decode(
    servable: &Servable,
    method: Method,
    request: &Examples,
    check_method_name: bool,
) -> Result<(Call, impl Reply<Vec<u8>> + use<>)> {
    let plan = inference::plan_one(servable, &request.signature, method, check_method_name)?;
    let (call, answering) = inference::call(servable, vec![plan], to_tensor(&request.serialized)?)?;
    let kind = Kind::of(method);
    let capture = servable.log.capture(kind, || Ok(write_request(servable.spec(&request.signature), request)));
    let reply = move |servable: &Servable, tensors: Vec<Tensor>| {
        let (signature, answer) = answering.only_answer(&tensors)?;
        let reply = match &answer {
            Answer::Classification(result) => write_classifications(result),
            Answer::Regression(result) => write_regressions(result),
        };
        if let Some(capture) = capture {
            let spec = servable.spec(&signature.name);
            capture.succeeded(servable, &signature.name, || Ok(answer.into_response(spec)));
        }
        Ok(reply)
    };
    Ok((call, reply))
}

/// The request as it would have come over gRPC, with each example merged with its context.
fn write_request(spec: ModelSpec, request: &Examples) -> Bytes {
    let mut list = Vec::new();
    request.serialized.iter().for_each(|example| write_bytes(&mut list, 1, example));
    let mut input = Vec::new();
    write_bytes(&mut input, 1, &list);
    ExamplesRequest { model_spec: Some(spec), input: input.into() }.encode_to_vec().into()
}

/// `{"results": [[["label", score], ...], ...]}`
fn write_classifications(result: &ClassificationResult) -> Vec<u8> {
    let mut out = b"{\n    \"results\": [".to_vec();
    for (row, classes) in result.classifications.iter().enumerate() {
        out.extend_from_slice(if row > 0 { b", [" } else { b"[" });
        for (column, class) in classes.classes.iter().enumerate() {
            out.extend_from_slice(if column > 0 { b", [" } else { b"[" });
            write_string(&mut out, &class.label);
            out.extend_from_slice(b", ");
            write_single(&mut out, class.score);
            out.push(b']');
        }
        out.push(b']');
    }
    out.extend_from_slice(b"]\n}");
    out
}

/// `{"results": [value, ...]}`
fn write_regressions(result: &RegressionResult) -> Vec<u8> {
    let mut out = b"{\n    \"results\": [".to_vec();
    for (row, regression) in result.regressions.iter().enumerate() {
        if row > 0 {
            out.extend_from_slice(b", ");
        }
        write_single(&mut out, regression.value);
    }
    out.extend_from_slice(b"]\n}");
    out
}
