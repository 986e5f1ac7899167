//! Which ops a SavedModel has, read from the wire of its MetaGraphDef without building the graph in memory.

use crate::error::Result;
use crate::wire::{Fields, Value};

/// Convolutions whose oneDNN kernels end the whole process (a failed CHECK in TensorFlow's `tensor_format.h`) when their
/// input has fewer dimensions than they need, instead of returning an error. Seen with TensorFlow 2.21.
const FATAL_BELOW_RANK: [&[u8]; 3] = [b"Conv2D", b"DepthwiseConv2dNative", b"Conv3D"];

/// Whether graph or function library of a serialized `MetaGraphDef` have an op that must not see too low a rank.
pub fn has_rank_critical_op(meta_graph: &[u8]) -> Result<bool> {
    for field in Fields::new(meta_graph) {
        // MetaGraphDef.graph_def = 2
        if let (2, Value::Bytes(graph)) = field?
            && graph_has(graph)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn graph_has(graph: &[u8]) -> Result<bool> {
    for field in Fields::new(graph) {
        let found = match field? {
            // GraphDef.node = 1
            (1, Value::Bytes(node)) => node_is_critical(node)?,
            // GraphDef.library = 2, FunctionDefLibrary.function = 1, FunctionDef.node_def = 3
            (2, Value::Bytes(library)) => any_nested(library, 1, |function| any_nested(function, 3, node_is_critical))?,
            _ => false,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn any_nested(message: &[u8], number: u32, check: impl Fn(&[u8]) -> Result<bool>) -> Result<bool> {
    for field in Fields::new(message) {
        if let (found, Value::Bytes(nested)) = field?
            && found == number
            && check(nested)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn node_is_critical(node: &[u8]) -> Result<bool> {
    for field in Fields::new(node) {
        // NodeDef.op = 2
        if let (2, Value::Bytes(op)) = field? {
            return Ok(FATAL_BELOW_RANK.contains(&op));
        }
    }
    Ok(false)
}
