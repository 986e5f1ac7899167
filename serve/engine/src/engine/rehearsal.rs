//! A version's first runs on the threads that will run it.
//!
//! Warm-up records are replayed by the thread that loads the version. Memory and kernels keep something of their own for
//! each thread, which the first request there would have to make.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Engine;
use super::load::LoadRequest;
use crate::error::Result;
use crate::execution_plan::Decision;
use crate::scheduling::OnEach;
use crate::servable::Servable;
use crate::warmup;

/// For how long all of it may keep threads, one at a time, from other requests.
const LIMIT: Duration = Duration::from_millis(500);

/// Warm-up records that are run on each thread: the first ones.
const MAX_RECORDS: usize = 4;

impl Engine {
    /// Run the first warm-up records of a version on each thread that will run it, if its runs are known to change
    /// nothing. They are not counted among its runs.
    pub fn rehearse(&self, request: &LoadRequest, servable: &Arc<Servable>, decision: &Decision) -> Result<()> {
        if !decision.was_tried() {
            return Ok(());
        }
        let until = Instant::now() + LIMIT;
        let calls = warmup::first_calls(servable, request.path, MAX_RECORDS)?;
        let (servable, in_caller_thread) = (Arc::clone(servable), decision.plan.in_caller_thread);
        let work: OnEach = Arc::new(move || {
            let Some(session) = servable.session() else { return };
            for call in calls.iter().take_while(|_| Instant::now() < until) {
                let feeds: Vec<_> = call.feeds.iter().map(|(endpoint, tensor)| (*endpoint, &**tensor)).collect();
                // It has run before; if it fails now the requests will tell.
                let _ = session.run_in(in_caller_thread, &feeds, &call.fetches);
            }
        });
        match (&request.batching, &self.batch_threads) {
            (Some(_), Some(threads)) => threads.on_each(&work, until),
            _ => self.run_threads.on_each(&work, until),
        }
        Ok(())
    }
}
