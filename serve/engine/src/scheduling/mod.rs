//! Who runs next: queues of waiting work, and threads that take from them.
//!
//! The same for requests that run alone (`run_threads`) and for those that run in batches (`batching`): a queue for all
//! that may run together, turns between versions, bounds, and deadlines that are kept or refused early.

mod costs;
mod piece;
mod pool;
mod queue;
mod turns;

pub use costs::{Costs, Fit};
pub use piece::{Limits, Piece, Refusal};
pub use pool::{Gathered, OnEach, Pool, Work, guarded};
