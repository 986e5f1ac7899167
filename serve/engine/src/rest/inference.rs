//! `POST ...:classify` and `POST ...:regress`

use std::time::Instant;

use bytes::Bytes;

use super::examples::{self, Examples};
use super::path::Target;
use crate::call::Call;
use crate::error::Result;
use crate::examples::to_tensor;
use crate::inference::{self, Answer, Method};
use crate::json::write_string;
use crate::messages::{ClassificationResult, RegressionResult};
use crate::servable::Servable;
use crate::serving::{Reply, Serving};
use crate::tensor::encode_number::write_single;
use crate::tensorflow::Tensor;

pub async fn answer(serving: &Serving, target: &Target, method: Method, text: Bytes) -> Result<Vec<u8>> {
    // Body and examples come before the model: malformed ones are the client's first mistake.
    let name = if method == Method::Classify { "classify" } else { "regress" };
    let request = examples::parse(&text, name)?;
    let servable = serving.routes.resolve(&target.model, target.choice())?;
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
    let reply = move |_: &Servable, tensors: Vec<Tensor>| {
        Ok(match answering.only_answer(&tensors)?.1 {
            Answer::Classification(result) => write_classifications(&result),
            Answer::Regression(result) => write_regressions(&result),
        })
    };
    Ok((call, reply))
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
