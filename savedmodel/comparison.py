"""What changes from one version to another, and whether clients of the old one can go on unchanged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tfs.savedmodel.description import Description
from tfs.savedmodel.reading import Signature, TensorInfo

__all__ = ["Comparison", "SignatureChange", "compare", "compare_signatures"]


@dataclass(frozen=True)
class SignatureChange:
    """One difference between two signatures of the same name, or a signature that only one side has.

    Attributes:
        signature: its name.
        change: a sentence on what is different.
        incompatible: whether a request that was right for the old side may fail, or its answer be read wrongly.
    """

    signature: str
    change: str
    incompatible: bool


@dataclass(frozen=True)
class Comparison:
    """What is different in `path`, seen from `other`.

    Attributes:
        path: the new side.
        other: the old side.
        incompatible: whether any of the signature changes is.
        signatures: what changed in them.
        ops: how many more (or, negative, fewer) nodes have each op; those with as many are left out.
        variables: a sentence for each variable that came, went or has another dtype or shape.
        sizes: bytes before and after, of `graph`, `variables` and `assets`.
    """

    path: str
    other: str
    incompatible: bool
    signatures: tuple[SignatureChange, ...]
    ops: dict[str, int]
    variables: tuple[str, ...]
    sizes: dict[str, tuple[int, int]]


def compare(new: Description, old: Description) -> Comparison:
    """Return what changes for those who go from `old` to `new`."""
    changes = compare_signatures(new.signatures, old.signatures)
    ops = {op: new.ops.get(op, 0) - old.ops.get(op, 0) for op in sorted(new.ops.keys() | old.ops.keys())}
    return Comparison(
        path=new.path,
        other=old.path,
        incompatible=any(change.incompatible for change in changes),
        signatures=changes,
        ops={op: difference for op, difference in ops.items() if difference},
        variables=tuple(_variable_changes(new, old)),
        sizes={
            "graph": (old.graph_size, new.graph_size),
            "variables": (old.variables_size, new.variables_size),
            "assets": (sum(old.assets.values()), sum(new.assets.values())),
        },
    )


def compare_signatures(new: dict[str, Signature], old: dict[str, Signature]) -> tuple[SignatureChange, ...]:
    """Return every difference between two sets of signatures, by name."""
    changes: list[SignatureChange] = []
    for name in sorted(new.keys() | old.keys()):
        if name not in new:
            changes.append(SignatureChange(name, "is gone", True))
        elif name not in old:
            changes.append(SignatureChange(name, "is new", False))
        else:
            found = _signature_changes(new[name], old[name])
            changes.extend(SignatureChange(name, text, incompatible) for text, incompatible in found)
    return tuple(changes)


def _signature_changes(new: Signature, old: Signature) -> Iterator[tuple[str, bool]]:
    if new.method_name != old.method_name:
        # Classify and Regress go by it.
        yield f"method: {old.method_name or 'none'} -> {new.method_name or 'none'}", True
    for alias in sorted(new.inputs.keys() | old.inputs.keys()):
        if alias not in old.inputs:
            yield f"input `{alias}` is new, and requests must have every input", True
        elif alias not in new.inputs:
            yield f"input `{alias}` is gone, and requests with it are refused", True
        else:
            # What was accepted must still be accepted.
            yield from _tensor_changes("input", alias, new.inputs[alias], old.inputs[alias], wider_is_fine=True)
    for alias in sorted(new.outputs.keys() | old.outputs.keys()):
        if alias not in old.outputs:
            # Over REST a single output stands bare, several are named.
            alone = len(old.outputs) == 1
            yield f"output `{alias}` is new{', and REST now names the outputs' if alone else ''}", alone
        elif alias not in new.outputs:
            yield f"output `{alias}` is gone", True
        else:
            # What was promised must still hold.
            yield from _tensor_changes("output", alias, new.outputs[alias], old.outputs[alias], wider_is_fine=False)


def _tensor_changes(
    kind: str, alias: str, new: TensorInfo, old: TensorInfo, *, wider_is_fine: bool
) -> Iterator[tuple[str, bool]]:
    if new.dtype != old.dtype:
        yield f"{kind} `{alias}`: {old.dtype} -> {new.dtype}", True
    if new.shape != old.shape:
        fits = _within(old.shape, new.shape) if wider_is_fine else _within(new.shape, old.shape)
        yield f"{kind} `{alias}`: {_shape_text(old.shape)} -> {_shape_text(new.shape)}", not fits
    if bool(new.components) != bool(old.components):
        yield f"{kind} `{alias}`: {'dense -> sparse or composite' if new.components else 'no longer sparse'}", True


def _within(inner: tuple[int | None, ...] | None, outer: tuple[int | None, ...] | None) -> bool:
    """Tell whether every tensor of the inner shape is one of the outer shape."""
    if outer is None:
        return True
    if inner is None or len(inner) != len(outer):
        return False
    return all(wide is None or wide == narrow for narrow, wide in zip(inner, outer, strict=True))


def _shape_text(shape: tuple[int | None, ...] | None) -> str:
    if shape is None:
        return "unknown rank"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def _variable_changes(new: Description, old: Description) -> Iterable[str]:
    after = {variable.name: f"{variable.dtype}{list(variable.shape)}" for variable in new.variables}
    before = {variable.name: f"{variable.dtype}{list(variable.shape)}" for variable in old.variables}
    for name in sorted(after.keys() | before.keys()):
        if name not in before:
            yield f"`{name}` {after[name]} is new"
        elif name not in after:
            yield f"`{name}` {before[name]} is gone"
        elif after[name] != before[name]:
            yield f"`{name}`: {before[name]} -> {after[name]}"
