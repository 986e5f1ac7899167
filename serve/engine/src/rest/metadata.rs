//! `GET /v1/models/NAME/metadata`: the signatures as proto JSON with every field printed.

use super::path::Target;
use crate::error::Result;
use crate::json::write_string;
use crate::messages::{SignatureDef, TensorInfo};
use crate::serving::Serving;
use crate::tensorflow::DataType;

pub fn answer(serving: &Serving, target: &Target) -> Result<Vec<u8>> {
    let servable = serving.routes.resolve(&target.model, target.choice())?;
    let mut json = Writer { out: Vec::new(), depth: 0, first: true };
    json.object(|json| {
        json.key("model_spec").object(|json| {
            json.key("name").string(&servable.model);
            json.key("signature_name").string("");
            json.key("version").string(&servable.version.to_string());
        });
        json.key("metadata").object(|json| {
            json.key("signature_def").object(|json| {
                json.key("signature_def").object(|json| {
                    for (name, definition) in servable.definitions() {
                        json.key(name).object(|json| signature(json, definition));
                    }
                });
            });
        });
    });
    json.out.push(b'\n');
    Ok(json.out)
}

fn signature(json: &mut Writer, definition: &SignatureDef) {
    for (key, ports) in [("inputs", &definition.inputs), ("outputs", &definition.outputs)] {
        json.key(key).object(|json| {
            for (alias, info) in ports {
                json.key(alias).object(|json| tensor_info(json, info));
            }
        });
    }
    json.key("method_name").string(&definition.method_name);
    // Defaults are tensors of any size; upstream prints the map, its clients only look whether it is there.
    json.key("defaults").object(|_| {});
}

fn tensor_info(json: &mut Writer, info: &TensorInfo) {
    json.key("dtype").string(DataType::from_number(info.dtype).map_or("DT_INVALID", DataType::proto_name));
    let shape = info.tensor_shape.clone().unwrap_or_default();
    json.key("tensor_shape").object(|json| {
        json.key("dim").array(shape.dim.iter(), |json, dim| {
            json.object(|json| {
                json.key("size").string(&dim.size.to_string());
                json.key("name").string(&dim.name);
            });
        });
        json.key("unknown_rank").raw(if shape.unknown_rank { "true" } else { "false" });
    });
    match &info.coo_sparse {
        None => json.key("name").string(&info.name),
        Some(sparse) => json.key("coo_sparse").object(|json| {
            json.key("values_tensor_name").string(&sparse.values_tensor_name);
            json.key("indices_tensor_name").string(&sparse.indices_tensor_name);
            json.key("dense_shape_tensor_name").string(&sparse.dense_shape_tensor_name);
        }),
    }
}

/// Writes indented JSON; commas and line breaks follow from the order of the calls.
struct Writer {
    out: Vec<u8>,
    depth: usize,
    first: bool,
}

impl Writer {
    fn line(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        self.out.push(b'\n');
        self.out.resize(self.out.len() + self.depth, b' ');
    }

    fn nested(&mut self, open: u8, close: u8, body: impl FnOnce(&mut Writer)) {
        self.out.push(open);
        self.depth += 1;
        self.first = true;
        body(self);
        self.depth -= 1;
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + self.depth, b' ');
        }
        self.out.push(close);
    }

    fn object(&mut self, body: impl FnOnce(&mut Writer)) {
        self.nested(b'{', b'}', body);
    }

    fn array<T>(&mut self, items: impl Iterator<Item = T>, item: impl Fn(&mut Writer, T)) {
        self.nested(b'[', b']', |json| {
            for value in items {
                json.line();
                item(json, value);
            }
        });
    }

    fn key(&mut self, key: &str) -> &mut Writer {
        self.line();
        write_string(&mut self.out, key.as_bytes());
        self.out.extend_from_slice(b": ");
        self
    }

    fn string(&mut self, value: &str) {
        write_string(&mut self.out, value.as_bytes());
    }

    fn raw(&mut self, value: &str) {
        self.out.extend_from_slice(value.as_bytes());
    }
}
