//! Which signatures can be run without leaving a trace: only those may be measured.

use std::collections::HashSet;

use prost::Message;

use super::graph::{Graph, OpDef};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::messages::MetaGraphDef;
use crate::servable::Servable;
use crate::tensorflow::Session;

/// Ops that TensorFlow calls stateful, or that take a reference, and that yet change nothing which outlives a run.
/// Every other stateful op counts as one that does: it may assign, draw random numbers, write, print.
const READING: &[&str] = &[
    // Calls of functions, whose ops are looked at one by one.
    "Case",
    "If",
    "StatefulPartitionedCall",
    "While",
    "XlaCallModule",
    // Variables.
    "IsVariableInitialized",
    "ReadVariableOp",
    "ResourceGather",
    "ResourceGatherNd",
    "VarHandleOp",
    "VarIsInitializedOp",
    "Variable",
    "VariableShape",
    "VariableV2",
    // Tables.
    "HashTable",
    "HashTableV2",
    "LookupTableFind",
    "LookupTableFindV2",
    "LookupTableSize",
    "LookupTableSizeV2",
    "MutableDenseHashTable",
    "MutableDenseHashTableV2",
    "MutableHashTable",
    "MutableHashTableOfTensors",
    "MutableHashTableOfTensorsV2",
    "MutableHashTableV2",
    // Boosted trees.
    "BoostedTreesEnsembleResourceHandleOp",
    "BoostedTreesPredict",
    // tensorflow-text.
    "SentencepieceDetokenizeOp",
    "SentencepieceIdToStringOp",
    "SentencepieceOp",
    "SentencepieceStringToIdOp",
    "SentencepieceTokenizeOp",
    "SentencepieceTokenizeWithOffsetsOp",
    "SentencepieceVocabSizeOp",
    "WordpieceTokenizeWithOffsets",
    // Checks.
    "Assert",
    "CheckNumerics",
    "CheckNumericsV2",
    "GuaranteeConst",
    // State of one run.
    "Empty",
    "StackCloseV2",
    "StackPopV2",
    "StackPushV2",
    "StackV2",
    "StatelessRandomGetAlg",
    "TensorArrayCloseV3",
    "TensorArrayConcatV3",
    "TensorArrayGatherV3",
    "TensorArrayReadV3",
    "TensorArrayScatterV3",
    "TensorArraySizeV3",
    "TensorArraySplitV3",
    "TensorArrayV3",
    "TensorArrayWriteV3",
];

/// The tensors of a version's signatures that can be fetched without leaving a trace.
pub struct ReadOnly(HashSet<String>);

impl ReadOnly {
    /// Look at what each signature runs; `graph` is that of `meta_graph`, the serialized `MetaGraphDef` of the session.
    pub fn outputs_of(session: &Session, graph: &Graph, meta_graph: &[u8]) -> Result<ReadOnly> {
        let definitions = MetaGraphDef::decode(meta_graph).map_err(|error| Error::internal(error.to_string()))?;
        let outputs = definitions.signature_def.values().map(|definition| definition.outputs.values());
        let mut read_only = HashSet::new();
        for outputs in outputs {
            let tensors = || outputs.clone().map(|output| output.name.as_str());
            if graph.ops_behind(tensors()).into_iter().all(|op| reads_only(op, |op| session.op_def(op))) {
                read_only.extend(tensors().map(str::to_owned));
            }
        }
        Ok(ReadOnly(read_only))
    }

    /// Whether this call to `servable` fetches nothing else.
    pub fn allows(&self, servable: &Servable, call: &Call) -> bool {
        call.fetches.iter().all(|endpoint| self.0.contains(servable.tensor_name(*endpoint)))
    }
}

/// Whether running an op any number of times changes nothing; `op_def` gives its serialized `OpDef`, if it is known.
fn reads_only(op: &str, op_def: impl FnOnce(&str) -> Option<Vec<u8>>) -> bool {
    READING.contains(&op) || {
        let known = op_def(op).and_then(|bytes| OpDef::decode(&bytes[..]).ok());
        known.is_some_and(|known| !known.is_stateful && !known.input_arg.iter().any(|argument| argument.is_ref))
    }
}
