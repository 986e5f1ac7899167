//! One record: a serialized `PredictionLog`, in parts, so that request and reply are copied only into the file.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;

use super::Target;
use crate::inference::Method;
use crate::servable::Servable;
use crate::tfrecord::{self, FRAME_BYTES};
use crate::wire::{delimited_len, write_bytes, write_delimited_head, write_varint_field};

/// Which `<kind>_log` of a PredictionLog; the numbers are those of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Classify = 2,
    Regress = 3,
    MultiInference = 4,
    SessionRun = 5,
    Predict = 6,
}

impl Kind {
    /// The kind of a request with one method.
    pub fn of(method: Method) -> Kind {
        match method {
            Method::Classify => Kind::Classify,
            Method::Regress => Kind::Regress,
        }
    }
}

/// A request that was answered.
pub struct Record {
    pub target: Arc<Target>,
    /// Everything up to the request's own bytes, and from these to the reply's own.
    heads: [Vec<u8>; 2],
    request: Bytes,
    response: Vec<u8>,
}

impl Record {
    /// The record of a request that a servable answered by the signature of this name (empty where none is meant).
    pub fn new(
        target: Arc<Target>,
        kind: Kind,
        servable: &Servable,
        signature: &str,
        request: Bytes,
        response: Vec<u8>,
    ) -> Record {
        // LogMetadata { model_spec = 1, sampling_config = 2, saved_model_tags = 3, timestamp_secs = 4 }
        let mut metadata = Vec::new();
        write_bytes(&mut metadata, 1, &servable.spec(signature).encode_to_vec());
        write_bytes(&mut metadata, 2, &target.sampling_config);
        servable.tags.iter().for_each(|tag| write_bytes(&mut metadata, 3, tag.as_bytes()));
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        write_varint_field(&mut metadata, 4, seconds);
        // PredictionLog { log_metadata = 1, <kind>_log { request = 1, response = 2 } }
        let mut first = Vec::with_capacity(metadata.len() + 16);
        write_bytes(&mut first, 1, &metadata);
        let log_len = delimited_len(1, request.len()) + delimited_len(2, response.len());
        write_delimited_head(&mut first, kind as u32, log_len);
        write_delimited_head(&mut first, 1, request.len());
        let mut second = Vec::new();
        write_delimited_head(&mut second, 2, response.len());
        Record { target, heads: [first, second], request, response }
    }

    /// What it takes in a file.
    pub fn len(&self) -> usize {
        FRAME_BYTES + self.heads.iter().map(Vec::len).sum::<usize>() + self.request.len() + self.response.len()
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let [first, second] = &self.heads;
        tfrecord::write(out, &[first, &self.request, second, &self.response]);
    }
}
