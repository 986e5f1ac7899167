"""What the engine can run in place of a TensorFlow session, as an interface."""

from collections.abc import Mapping, Sequence
from typing import Protocol

__all__ = ["Executor", "Tensor"]

# The number in `tensorflow.DataType`, the shape, the elements: bytes of the numbers in native order, or strings.
Tensor = tuple[int, Sequence[int], bytes | Sequence[bytes]]


class Executor(Protocol):
    """A loaded model that is no SavedModel. The engine asks it only for what fits its signatures."""

    @property
    def meta_graph(self) -> bytes:
        """A serialized `MetaGraphDef`, of which the signatures count."""

    @property
    def slots(self) -> int:
        """How many calls it answers at a time; the engine makes as many threads for it."""

    def run(self, signature: str, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> Sequence[Tensor]:
        """Return the outputs with these aliases, in this order.

        Called from several threads, from more than `slots` only by batches and warm-up. It should release the GIL while
        it computes.

        Args:
            signature: one of its signatures.
            inputs: alias -> tensor, for every input of the signature.
            outputs: aliases of outputs of the signature.

        Raises:
            ValueError: the request is to blame (INVALID_ARGUMENT). Any other error is INTERNAL.
        """
