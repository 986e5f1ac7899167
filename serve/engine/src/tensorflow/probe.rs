//! Runs and questions for the choice of an execution plan; no request of a client comes here.

use std::ffi::CString;
use std::time::Duration;

use super::api::api;
use super::session::{Buffer, IN_CALLER_THREAD, IN_POOL, Session};
use super::status::Status;
use super::tensor::Tensor;
use crate::error::Result;
use crate::executor::Endpoint;
use crate::wire::write_varint;

/// Fields of `tensorflow.RunOptions`, all varints: number and wire type in one.
const TRACE_LEVEL: u8 = 1 << 3;
const TIMEOUT_IN_MS: u8 = 2 << 3;

/// `RunOptions.SOFTWARE_TRACE`: times of operations, without asking the devices.
const SOFTWARE_TRACE: u8 = 1;

impl Session {
    /// Run as `run` does, in the calling thread or in the inter-op pool, whichever the session has been set to.
    pub fn run_in(
        &self,
        in_caller_thread: bool,
        inputs: &[(Endpoint, &Tensor)],
        outputs: &[Endpoint],
    ) -> Result<Vec<Tensor>> {
        let options = if in_caller_thread { IN_CALLER_THREAD } else { IN_POOL };
        self.run_with(options, inputs, outputs, None)
    }

    /// Run in the inter-op pool, where a run can be called off: after `limit` it fails with DEADLINE_EXCEEDED, as soon
    /// as its current operations have ended.
    pub fn run_within(
        &self,
        limit: Duration,
        inputs: &[(Endpoint, &Tensor)],
        outputs: &[Endpoint],
    ) -> Result<Vec<Tensor>> {
        let mut options = IN_POOL.to_vec();
        options.push(TIMEOUT_IN_MS);
        write_varint(&mut options, limit.as_millis().max(1) as u64);
        self.run_with(&options, inputs, outputs, None)
    }

    /// Run in the calling thread and return TensorFlow's record of it, a serialized `RunMetadata` with `step_stats`.
    pub fn trace(&self, inputs: &[(Endpoint, &Tensor)], outputs: &[Endpoint]) -> Result<Vec<u8>> {
        let mut options = IN_CALLER_THREAD.to_vec();
        options.extend([TRACE_LEVEL, SOFTWARE_TRACE]);
        let metadata = Buffer::new();
        self.run_with(&options, inputs, outputs, Some(&metadata))?;
        Ok(metadata.to_vec())
    }

    /// The serialized `OpDef` of an op that the graph may use; None if TensorFlow does not know it.
    pub fn op_def(&self, op: &str) -> Option<Vec<u8>> {
        let name = CString::new(op).ok()?;
        let (op_def, status) = (Buffer::new(), Status::new());
        // SAFETY: graph, name, buffer and status live across the call; the graph guards itself by a lock.
        unsafe { (api().TF_GraphGetOpDef)(self.graph(), name.as_ptr(), op_def.0.as_ptr(), status.as_ptr()) };
        status.into_result().ok().map(|()| op_def.to_vec())
    }
}
