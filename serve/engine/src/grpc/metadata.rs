//! GetModelMetadata: the signatures of a version, as they stand in the model.

use bytes::Bytes;
use prost::Message;

use super::unary::{Reply, Request};
use crate::error::{Error, Result};
use crate::messages::{Any, GetModelMetadataRequest, GetModelMetadataResponse, Int64Value, ModelSpec};
use crate::serving::Serving;

/// PredictionService.GetModelMetadata.
pub fn get_model_metadata(serving: &Serving, request: Request) -> Reply<'_> {
    Box::pin(async move { Ok(metadata(serving, &request.message)?.encode_to_vec().into()) })
}

fn metadata(serving: &Serving, message: &Bytes) -> Result<GetModelMetadataResponse> {
    let request = super::parse::<GetModelMetadataRequest>(message)?;
    let spec = request.model_spec.ok_or_else(|| Error::invalid("Missing ModelSpec"))?;
    if request.metadata_field.is_empty() {
        return Err(Error::invalid("GetModelMetadataRequest must specify at least one metadata_field"));
    }
    if let Some(field) = request.metadata_field.iter().find(|field| *field != "signature_def") {
        return Err(Error::invalid(format!("Metadata field {field} is not supported")));
    }
    let servable = super::resolve(serving, &spec)?;
    let signatures = Any {
        type_url: "type.googleapis.com/tensorflow.serving.SignatureDefMap".to_owned(),
        value: Bytes::copy_from_slice(servable.signature_def_map()),
    };
    Ok(GetModelMetadataResponse {
        model_spec: Some(ModelSpec {
            name: spec.name,
            version: Some(Int64Value { value: servable.version }),
            ..ModelSpec::default()
        }),
        metadata: [("signature_def".to_owned(), signatures)].into(),
    })
}
