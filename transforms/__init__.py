"""Graph passes under the Graph Transform Tool's names, a pipeline around them, and verification.

`optimize` is what `tfs optimize` does. One's own pass is a function from a `GraphView` to a `GraphView`, or a
`GraphPass` if it has arguments or a report; a transform string names it as `package.module:object`.
"""

from tfs.transforms.graph_edit import GraphEdit
from tfs.transforms.graph_pass import Argument, GraphPass, PassResult, Skip
from tfs.transforms.graph_view import GraphView, Tensor, node_def
from tfs.transforms.optimizing import OptimizeReport, optimize

__all__ = [
    "Argument",
    "GraphEdit",
    "GraphPass",
    "GraphView",
    "OptimizeReport",
    "PassResult",
    "Skip",
    "Tensor",
    "node_def",
    "optimize",
]
