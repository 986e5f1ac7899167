//! One call of a servable: what is fed and what is fetched, with nothing borrowed, so that it can wait in a queue.

use std::ops::Deref;
use std::sync::Arc;

use crate::executor::Endpoint;
use crate::metrics::Api;
use crate::tensorflow::Tensor;

/// A tensor to feed.
pub enum Fed {
    Own(Tensor),
    /// Fed in several places, or by several calls.
    Shared(Arc<Tensor>),
}

impl Deref for Fed {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        match self {
            Fed::Own(tensor) => tensor,
            Fed::Shared(tensor) => tensor,
        }
    }
}

/// What one request wants of its servable.
pub struct Call {
    pub api: Api,
    pub feeds: Vec<(Endpoint, Fed)>,
    /// The outputs come in this order.
    pub fetches: Vec<Endpoint>,
}
