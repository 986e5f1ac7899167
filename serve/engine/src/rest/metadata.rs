//! `GET /v1/models/NAME/metadata`: the signatures as proto JSON with every field printed.

use bytes::Bytes;
use prost::Message;

use super::default_tensor::{TensorProto, tensor_shape};
use super::json_writer::Writer;
use super::path::Target;
use crate::error::{Error, Result};
use crate::messages::{SignatureDef, TensorInfo};
use crate::serving::Serving;
use crate::tensorflow::DataType;

pub fn answer(serving: &Serving, target: &Target) -> Result<Vec<u8>> {
    let servable = serving.routes.resolve(&target.model, target.choice())?;
    serving.notes.servable(&servable);
    let signatures = servable
        .definitions()
        .iter()
        .map(|(name, definition)| Ok((name, definition, read_defaults(definition)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut json = Writer::default();
    json.object(|json| {
        json.key("model_spec").object(|json| {
            json.key("name").string(&servable.model);
            json.key("signature_name").string("");
            json.key("version").string(&servable.version.to_string());
        });
        json.key("metadata").object(|json| {
            json.key("signature_def").object(|json| {
                json.key("signature_def").object(|json| {
                    for (name, definition, defaults) in &signatures {
                        json.key(name).object(|json| signature(json, definition, defaults));
                    }
                });
            });
        });
    });
    Ok(json.finish())
}

type Defaults<'a> = Vec<(&'a String, TensorProto)>;

fn read_defaults(definition: &SignatureDef) -> Result<Defaults<'_>> {
    let read = |(alias, proto): (_, &Bytes)| {
        let tensor = TensorProto::decode(&proto[..])
            .map_err(|error| Error::internal(format!("the default of {alias} cannot be read: {error}")))?;
        Ok((alias, tensor))
    };
    definition.defaults.iter().map(read).collect()
}

fn signature(json: &mut Writer, definition: &SignatureDef, defaults: &Defaults) {
    for (key, ports) in [("inputs", &definition.inputs), ("outputs", &definition.outputs)] {
        json.key(key).object(|json| {
            for (alias, info) in ports {
                json.key(alias).object(|json| tensor_info(json, info));
            }
        });
    }
    json.key("method_name").string(&definition.method_name);
    json.key("defaults").object(|json| {
        for (alias, tensor) in defaults {
            json.key(alias).object(|json| tensor.write(json));
        }
    });
}

fn tensor_info(json: &mut Writer, info: &TensorInfo) {
    json.key("dtype").string(DataType::from_number(info.dtype).map_or("DT_INVALID", DataType::proto_name));
    let shape = info.tensor_shape.clone().unwrap_or_default();
    json.key("tensor_shape").object(|json| tensor_shape(json, &shape));
    match &info.coo_sparse {
        None => json.key("name").string(&info.name),
        Some(sparse) => json.key("coo_sparse").object(|json| {
            json.key("values_tensor_name").string(&sparse.values_tensor_name);
            json.key("indices_tensor_name").string(&sparse.indices_tensor_name);
            json.key("dense_shape_tensor_name").string(&sparse.dense_shape_tensor_name);
        }),
    }
}
