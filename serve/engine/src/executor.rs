//! What computes the answers of a loaded version: a TensorFlow session, or an object of the control plane.

use crate::error::Result;
use crate::tensorflow::{Session, Tensor};

/// An input or output of an executor: its place in the executor's own table. Only valid in the executor that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint(pub usize);

/// Runs calls that were checked against a signature and decoded. May be used from any number of threads at once.
pub trait Executor: Send + Sync {
    /// Resolve an input or output of a signature, once, at load time; None if there is no such tensor. What is the same
    /// tensor in several signatures may be the same endpoint.
    fn endpoint(&mut self, signature: &str, alias: &str, tensor_name: &str) -> Option<Endpoint>;

    /// Feed `feeds`, fetch `fetches`, and wait for the result: one tensor for each fetch, in their order.
    fn run(&self, feeds: &[(Endpoint, &Tensor)], fetches: &[Endpoint]) -> Result<Vec<Tensor>>;

    /// The same with any tensors of the graph, by name; operations in `targets` are run although nobody wants their
    /// outputs.
    fn run_named(&self, feeds: &[(&str, Tensor)], fetches: &[&str], targets: &[&str]) -> Result<Vec<Tensor>>;

    /// The TensorFlow session that this is, if it is one.
    fn session(&self) -> Option<&Session> {
        None
    }
}

/// An executor with what it can be asked for.
pub struct Executable {
    pub executor: Box<dyn Executor>,
    /// A serialized `MetaGraphDef`, of which the signatures count.
    pub meta_graph: Vec<u8>,
    /// How many runs it does at a time, where a further one would block its thread until another ends.
    pub slots: Option<usize>,
}
