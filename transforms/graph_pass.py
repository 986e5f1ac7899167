"""The interface of a pass: options in the constructor, a graph view in, a graph view and a report out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, TypeVar

from tfs.transforms.graph_view import GraphView

__all__ = ["REGISTERED", "Argument", "GraphPass", "Invariant", "PassResult", "Skip", "Value", "transform"]

Value = bool | int | float | str


class Invariant(Enum):
    """What holds for the graph after a pass if it held before; the pipeline checks what a pass declares."""

    INPUTS_EXIST = "every input names a node"
    ROOTS_STAY = "signature tensors, init op, assets and saver stay"
    CONTROL_LAST = "control inputs stand behind data inputs"
    NO_NEW_INPUTS = "no placeholder is added"
    ACYCLIC = "no node depends on itself"


@dataclass(frozen=True)
class Argument:
    """One argument of a transform.

    Attributes:
        key: its name in the transform string.
        kind: the Python type that its value is read as.
        required: whether it has to be given.
        repeatable: whether it may be given more than once; its value is then a tuple.
    """

    key: str
    kind: type[Value] = str
    required: bool = False
    repeatable: bool = False


@dataclass(frozen=True)
class Skip:
    """Something that a pass looked at and left alone.

    Attributes:
        node: the node's name.
        reason: why, as the rest of a sentence about it.
    """

    node: str
    reason: str


@dataclass(frozen=True)
class PassResult:
    """What came of a pass.

    Attributes:
        view: the graph afterwards; the one from before if nothing changed.
        done: what was done, as counts by sentence part ("kernels scaled": 3); empty if nothing changed.
        skipped: what was left alone and why.
        renamed: old and new name of each root that has another name now; `view.roots` has the new ones.
    """

    view: GraphView
    done: Mapping[str, int] = field(default_factory=dict)
    skipped: tuple[Skip, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


class GraphPass(ABC):
    """One transform. Subclasses are pure: same view and options, same result; the view is never changed.

    Attributes:
        name: its name in the transform string.
        summary: what it does, in one line.
        arguments: what it may be told; `ignore_errors` is the pipeline's and not listed.
        aliases: further names that scripts use.
        rounding: the difference, relative to an output's largest value, that the pass may make by design; 0 if it keeps
            every value but for the order of float operations.
        bodies: whether the pipeline applies it to function bodies (branches, loops) as well as to the main graph.
        invariants: what the pipeline holds it to.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    arguments: ClassVar[tuple[Argument, ...]] = ()
    aliases: ClassVar[tuple[str, ...]] = ()
    rounding: ClassVar[float] = 0.0
    bodies: ClassVar[bool] = True
    invariants: ClassVar[frozenset[Invariant]] = frozenset(Invariant)

    @abstractmethod
    def __call__(self, view: GraphView) -> PassResult:
        """Return the changed graph and what was done.

        Raises:
            TfsError: the graph is not fit for this pass.
        """


REGISTERED: MutableMapping[str, type[GraphPass]] = {}
_Class = TypeVar("_Class", bound=type[GraphPass])


def transform(graph_pass: _Class) -> _Class:
    """Register a pass under its name, so that transform strings can ask for it.

    Raises:
        ValueError: another pass has that name.
    """
    if REGISTERED.setdefault(graph_pass.name, graph_pass) is not graph_pass:
        raise ValueError(f"two transforms are called `{graph_pass.name}`")
    return graph_pass
