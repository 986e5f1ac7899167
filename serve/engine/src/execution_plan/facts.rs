//! What planning has to know of a version's graph.

use super::effects::ReadOnly;
use super::graph::Graph;
use crate::error::Result;
use crate::tensorflow::Session;

pub struct Facts {
    /// What may be run for measuring.
    pub read_only: ReadOnly,
    /// See `Graph::outline`.
    pub outline: u64,
}

impl Facts {
    /// Look at the graph of a session; `meta_graph` is its serialized `MetaGraphDef`.
    pub fn of(session: &Session, meta_graph: &[u8]) -> Result<Facts> {
        let graph = Graph::read(meta_graph)?;
        let read_only = ReadOnly::outputs_of(session, &graph, meta_graph)?;
        Ok(Facts { read_only, outline: graph.outline() })
    }
}
