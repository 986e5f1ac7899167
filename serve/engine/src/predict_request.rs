//! `PredictRequest` as it stands in the network buffer, its strings and tensors left where they are.

use std::collections::HashSet;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::routing::VersionChoice;
use crate::wire::{Fields, Value, malformed};

/// A `ModelSpec`.
#[derive(Default)]
pub struct Spec<'a> {
    pub model: &'a str,
    version: Option<i64>,
    label: Option<&'a str>,
    pub signature: &'a str,
}

impl<'a> Spec<'a> {
    /// The spec of a serialized `PredictRequest`, of which nothing else is read; None if it has none.
    pub fn find(message: &'a [u8]) -> Result<Option<Spec<'a>>> {
        Self::find_in(message).map_err(named)
    }

    fn find_in(message: &'a [u8]) -> Result<Option<Spec<'a>>> {
        let mut spec = None;
        for field in Fields::new(message) {
            if let (1, value) = field? {
                spec.get_or_insert_with(Spec::default).read(value.bytes()?)?;
            }
        }
        Ok(spec)
    }

    fn read(&mut self, message: &'a [u8]) -> Result<()> {
        for field in Fields::new(message) {
            match field? {
                (1, name) => self.model = name.string()?,
                (2, wrapped) => {
                    self.label = None;
                    self.version = Some(0);
                    for field in Fields::new(wrapped.bytes()?) {
                        if let (1, Value::Varint(number)) = field? {
                            self.version = Some(number as i64);
                        }
                    }
                }
                (3, name) => self.signature = name.string()?,
                (4, label) => {
                    self.version = None;
                    self.label = Some(label.string()?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn choice(&self) -> VersionChoice<'a> {
        VersionChoice::of(self.version, self.label)
    }
}

/// What a request asks of the version that its spec has led to.
#[derive(Default)]
pub struct PredictRequest<'a> {
    pub signature: &'a str,
    /// Alias and serialized TensorProto; of equal aliases the last one counts, as in any protobuf map.
    pub inputs: Vec<(&'a str, &'a [u8])>,
    pub output_filter: Vec<&'a str>,
    /// Where all this stands, if large tensors may share it.
    pub buffer: Option<&'a Bytes>,
}

impl<'a> PredictRequest<'a> {
    pub fn parse(message: &'a [u8]) -> Result<PredictRequest<'a>> {
        let mut request = PredictRequest::default();
        request.read(message).map_err(named)?;
        Ok(request)
    }

    /// The same for a message in a buffer that its tensors may share.
    pub fn parse_shared(message: &'a Bytes) -> Result<PredictRequest<'a>> {
        Ok(PredictRequest { buffer: Some(message), ..PredictRequest::parse(message)? })
    }

    fn read(&mut self, message: &'a [u8]) -> Result<()> {
        let mut spec = Spec::default();
        for field in Fields::new(message) {
            match field? {
                (1, value) => spec.read(value.bytes()?)?,
                (2, entry) => self.inputs.push(read_map_entry(entry.bytes()?)?),
                (3, alias) => self.output_filter.push(alias.string()?),
                _ => {}
            }
        }
        self.signature = spec.signature;
        if self.inputs.len() > 1 {
            let mut known = HashSet::with_capacity(self.inputs.len());
            self.inputs.reverse();
            self.inputs.retain(|(alias, _)| known.insert(*alias));
        }
        Ok(())
    }
}

fn read_map_entry(message: &[u8]) -> Result<(&str, &[u8])> {
    let (mut key, mut value) = ("", &[][..]);
    for field in Fields::new(message) {
        match field? {
            (1, name) => key = name.string()?,
            (2, Value::Bytes(bytes)) => value = bytes,
            (2, _) => return Err(malformed()),
            _ => {}
        }
    }
    Ok((key, value))
}

fn named(error: Error) -> Error {
    Error::invalid(format!("PredictRequest: {}", error.message))
}
