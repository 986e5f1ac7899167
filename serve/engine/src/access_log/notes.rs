//! What those who answer a request note for its line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{number, text};
use crate::servable::Servable;

/// The notes on one request; without an access log nothing is kept, and noting costs a branch.
#[derive(Clone, Default)]
pub struct Notes(Option<Arc<Mutex<Noted>>>);

#[derive(Default)]
struct Noted {
    model: Option<String>,
    version: Option<i64>,
    signature: Option<String>,
    request_bytes: usize,
    response_bytes: usize,
}

impl Notes {
    pub(super) fn new() -> Notes {
        Notes(Some(Arc::default()))
    }

    /// The model, as requested.
    pub fn model(&self, name: &str) {
        self.note(|noted| noted.model = Some(name.to_owned()));
    }

    /// The signature's effective name.
    pub fn signature(&self, name: &str) {
        self.note(|noted| noted.signature = Some(name.to_owned()));
    }

    /// Who answers.
    pub fn servable(&self, servable: &Servable) {
        self.note(|noted| noted.version = Some(servable.version));
    }

    /// The size of the message or body that has come.
    pub fn received(&self, bytes: usize) {
        self.note(|noted| noted.request_bytes = bytes);
    }

    /// The size of the one that goes back.
    pub fn sent(&self, bytes: usize) {
        self.note(|noted| noted.response_bytes = bytes);
    }

    pub(super) fn write(&self, line: &mut Vec<u8>) {
        let Some(noted) = self.lock() else { return };
        noted.model.iter().for_each(|model| text(line, "model", model));
        noted.version.iter().for_each(|version| number(line, "version", *version));
        noted.signature.iter().for_each(|signature| text(line, "signature", signature));
        number(line, "request_bytes", noted.request_bytes as i64);
        number(line, "response_bytes", noted.response_bytes as i64);
    }

    fn note(&self, change: impl FnOnce(&mut Noted)) {
        if let Some(mut noted) = self.lock() {
            change(&mut noted);
        }
    }

    /// One request is noted on by one thread at a time.
    fn lock(&self) -> Option<MutexGuard<'_, Noted>> {
        self.0.as_ref().map(|noted| noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
