//! A SavedModel's graph as far as one needs it to know which ops a run executes.
//!
//! Field numbers are those of tensorflow/core/framework/{graph,node_def,function,attr_value,op_def}.proto. Constants,
//! which may be large, are passed over and not copied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use prost::Message;

use crate::error::{Error, Result};

#[derive(Clone, PartialEq, Message)]
struct MetaGraphDef {
    #[prost(message, optional, tag = "2")]
    graph_def: Option<GraphDef>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphDef {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeDef>,
    #[prost(message, optional, tag = "2")]
    library: Option<FunctionDefLibrary>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeDef {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    op: String,
    /// `node`, `node:1`, or `^node` for a control input.
    #[prost(string, repeated, tag = "3")]
    input: Vec<String>,
    #[prost(btree_map = "string, message", tag = "5")]
    attr: BTreeMap<String, AttrValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AttrValue {
    #[prost(message, optional, tag = "1")]
    list: Option<ListValue>,
    #[prost(message, optional, tag = "10")]
    func: Option<NameAttrList>,
}

#[derive(Clone, PartialEq, Message)]
struct ListValue {
    #[prost(message, repeated, tag = "9")]
    func: Vec<NameAttrList>,
}

#[derive(Clone, PartialEq, Message)]
struct NameAttrList {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct FunctionDefLibrary {
    #[prost(message, repeated, tag = "1")]
    function: Vec<FunctionDef>,
}

#[derive(Clone, PartialEq, Message)]
struct FunctionDef {
    #[prost(message, optional, tag = "1")]
    signature: Option<OpDef>,
    #[prost(message, repeated, tag = "3")]
    node_def: Vec<NodeDef>,
}

/// What TensorFlow says of an op.
#[derive(Clone, PartialEq, Message)]
pub struct OpDef {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub input_arg: Vec<ArgDef>,
    #[prost(bool, tag = "17")]
    pub is_stateful: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct ArgDef {
    #[prost(bool, tag = "16")]
    pub is_ref: bool,
}

/// The nodes of a graph and the bodies of its functions, by name.
pub struct Graph {
    nodes: HashMap<String, NodeDef>,
    functions: HashMap<String, Vec<NodeDef>>,
}

impl Graph {
    /// Read a serialized `MetaGraphDef`.
    pub fn read(meta_graph: &[u8]) -> Result<Graph> {
        let meta_graph = MetaGraphDef::decode(meta_graph).map_err(|error| Error::internal(error.to_string()))?;
        let graph = meta_graph.graph_def.unwrap_or_default();
        let functions = graph.library.unwrap_or_default().function.into_iter();
        Ok(Graph {
            nodes: graph.node.into_iter().map(|node| (node.name.clone(), node)).collect(),
            functions: functions.map(|def| (def.signature.unwrap_or_default().name, def.node_def)).collect(),
        })
    }

    /// A number that tells graphs of other operations apart: versions of a model that was only trained again share it.
    pub fn outline(&self) -> u64 {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for node in self.nodes.values().chain(self.functions.values().flatten()) {
            // A called function has a name of its own in each version.
            let op = if self.functions.contains_key(&node.op) { "call" } else { &node.op };
            *counts.entry(op).or_default() += 1;
        }
        let mut hasher = DefaultHasher::new();
        counts.hash(&mut hasher);
        hasher.finish()
    }

    /// The ops that a run executes which fetches these tensors: those of all nodes that the tensors depend on, and all
    /// ops in the functions that they call.
    pub fn ops_behind<'g>(&'g self, tensors: impl Iterator<Item = &'g str>) -> HashSet<&'g str> {
        let (mut ops, mut called) = (HashSet::new(), Vec::new());
        let mut visited = HashSet::new();
        let mut to_visit: Vec<_> = tensors.map(node_of).collect();
        while let Some(name) = to_visit.pop() {
            if visited.insert(name)
                && let Some(node) = self.nodes.get(name)
            {
                to_visit.extend(node.input.iter().map(|input| node_of(input)));
                self.note(node, &mut ops, &mut called);
            }
        }
        let mut entered = HashSet::new();
        while let Some(function) = called.pop() {
            if entered.insert(function) {
                for node in self.functions.get(function).into_iter().flatten() {
                    self.note(node, &mut ops, &mut called);
                }
            }
        }
        ops
    }

    /// A function may be called by its name as an op, or through an attribute.
    fn note<'g>(&'g self, node: &'g NodeDef, ops: &mut HashSet<&'g str>, called: &mut Vec<&'g str>) {
        if self.functions.contains_key(&node.op) {
            called.push(&node.op);
        } else {
            ops.insert(&node.op);
        }
        for attr in node.attr.values() {
            let listed = attr.list.iter().flat_map(|list| &list.func);
            called.extend(attr.func.iter().chain(listed).map(|func| func.name.as_str()));
        }
    }
}

/// The node of `node`, `node:1` or `^node`.
fn node_of(tensor: &str) -> &str {
    let tensor = tensor.trim_start_matches('^');
    tensor.split_once(':').map_or(tensor, |(node, _)| node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, op: &str, inputs: &[&str]) -> NodeDef {
        let input = inputs.iter().map(|input| (*input).to_owned()).collect();
        NodeDef { name: name.to_owned(), op: op.to_owned(), input, attr: BTreeMap::new() }
    }

    fn calling(name: &str, op: &str, functions: &[&str]) -> NodeDef {
        let func = functions.iter().map(|name| NameAttrList { name: (*name).to_owned() }).collect();
        let attr = AttrValue { list: Some(ListValue { func }), func: None };
        NodeDef { attr: BTreeMap::from([("branches".to_owned(), attr)]), ..node(name, op, &[]) }
    }

    fn function(name: &str, body: Vec<NodeDef>) -> FunctionDef {
        FunctionDef { signature: Some(OpDef { name: name.to_owned(), ..OpDef::default() }), node_def: body }
    }

    fn ops(nodes: Vec<NodeDef>, functions: Vec<FunctionDef>, fetch: &str) -> Vec<String> {
        let library = Some(FunctionDefLibrary { function: functions });
        let meta_graph = MetaGraphDef { graph_def: Some(GraphDef { node: nodes, library }) };
        let graph = Graph::read(&meta_graph.encode_to_vec()).expect("readable");
        let mut ops: Vec<_> = graph.ops_behind([fetch].into_iter()).into_iter().map(str::to_owned).collect();
        ops.sort();
        ops
    }

    #[test]
    fn what_the_fetched_tensor_does_not_depend_on_is_not_run() {
        let nodes = vec![
            node("x", "Placeholder", &[]),
            node("w", "Const", &[]),
            node("y", "Mul", &["x", "w:0"]),
            node("save", "SaveV2", &["y"]),
        ];
        assert_eq!(ops(nodes, Vec::new(), "y:0"), ["Const", "Mul", "Placeholder"]);
    }

    #[test]
    fn control_inputs_are_run_too() {
        let nodes = vec![node("count", "AssignAddVariableOp", &[]), node("y", "Identity", &["^count"])];
        assert_eq!(ops(nodes, Vec::new(), "y"), ["AssignAddVariableOp", "Identity"]);
    }

    #[test]
    fn functions_are_followed_through_attributes_and_names_even_in_circles() {
        let nodes = vec![calling("y", "If", &["then", "else"])];
        let functions = vec![
            function("then", vec![node("a", "legacy", &[])]),
            function("else", vec![calling("b", "While", &["else"])]),
            function("legacy", vec![node("c", "AssignVariableOp", &[])]),
            function("unused", vec![node("d", "RandomUniform", &[])]),
        ];
        assert_eq!(ops(nodes, functions, "y:0"), ["AssignVariableOp", "If", "While"]);
    }
}
