//! HandleReloadConfigRequest's way to the control plane.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};

use crate::error::{Code, Error, Result};

/// Takes a serialized ReloadConfigRequest; returns a canonical status code, 0 for OK, and a message. It may block.
pub type Handler = dyn Fn(&[u8]) -> (i32, String) + Send + Sync;

/// More reloads than this at a time are a client in a loop. Each may wait for a new model for as long as it takes.
const MOST_AT_A_TIME: usize = 16;

/// Hands new configs to the control plane; cheap to clone.
#[derive(Clone)]
pub struct ReloadConfig {
    handler: Arc<Handler>,
    slots: Arc<Semaphore>,
}

impl ReloadConfig {
    pub fn new(handler: Arc<Handler>) -> ReloadConfig {
        ReloadConfig { handler, slots: Arc::new(Semaphore::new(MOST_AT_A_TIME)) }
    }

    /// Apply a serialized ReloadConfigRequest. It is carried out even if the caller is gone before it ends.
    pub async fn apply(&self, request: Bytes) -> Result<()> {
        let slot = Arc::clone(&self.slots)
            .try_acquire_owned()
            .map_err(|_| Error::new(Code::ResourceExhausted, "too many configs are being applied at the same time"))?;
        let handler = Arc::clone(&self.handler);
        let (done, outcome) = oneshot::channel();
        // A thread of its own: the runtime waits for its blocking threads when it is dropped, which would stand still
        // if that happened under Python's lock while the handler waits for it.
        std::thread::Builder::new()
            .name("tfs-reload".to_owned())
            .spawn(move || {
                // Whoever asked may be gone.
                let _ = done.send(handler(&request));
                drop(slot);
            })
            .map_err(|error| Error::new(Code::ResourceExhausted, format!("cannot start a thread: {error}")))?;
        match outcome.await {
            Ok((0, _)) => Ok(()),
            Ok((code, message)) => Err(Error::new(Code::from_number(code), message)),
            Err(_) => Err(Error::internal("the handler of the new config ended without an answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(reload: &ReloadConfig, request: &'static [u8]) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(reload.apply(Bytes::from_static(request)))
    }

    #[test]
    fn the_handlers_code_and_message_are_the_answer() {
        let reload = ReloadConfig::new(Arc::new(|request| (request.len() as i32, "refused".to_owned())));
        assert!(apply(&reload, b"").is_ok());
        let error = apply(&reload, b"12345").expect_err("NOT_FOUND");
        assert_eq!((error.code, error.message.as_str()), (Code::NotFound, "refused"));
    }

    #[test]
    fn a_handler_that_panics_is_an_internal_error() {
        let reload = ReloadConfig::new(Arc::new(|_| panic!("on purpose")));
        assert_eq!(apply(&reload, b"").expect_err("an error").code, Code::Internal);
    }

    #[test]
    fn only_so_many_are_applied_at_a_time() {
        let reload = ReloadConfig::new(Arc::new(|_| (0, String::new())));
        let all = reload.slots.try_acquire_many(MOST_AT_A_TIME as u32).expect("nothing runs");
        assert_eq!(apply(&reload, b"").expect_err("an error").code, Code::ResourceExhausted);
        drop(all);
        assert!(apply(&reload, b"").is_ok());
    }
}
