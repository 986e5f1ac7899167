"""A request for a version that has no warm-up records, to measure with how it is best executed."""

import os

from tfs.savedmodel.errors import TfsError

__all__ = ["example_request"]

# A request takes this much at most; larger ones are rare, and measuring should not need a lot of memory.
_MAX_BYTES = 64 << 20


def example_request(name: str, definition: bytes) -> bytes:
    """Return a serialized `PredictRequest` with one generated row for the signature of this name.

    Args:
        name: the signature's name.
        definition: its serialized `SignatureDef`.

    Raises:
        TfsError: no values can be generated, or they would be too large.
    """
    # numpy would start a thread per core for linear algebra, which nobody needs here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Here, since a server whose versions bring records needs none of it.
    from tfs.savedmodel.protos import load, meta_graph_pb2
    from tfs.savedmodel.reading import signature_of
    from tfs.savedmodel.synthetic import generate
    from tfs.savedmodel.tensors import proto_from_array

    signature = signature_of(name, meta_graph_pb2.SignatureDef.FromString(definition))
    inputs = generate(signature, batch_size=1, seed=0)
    size = sum(array.nbytes for array in inputs.values())
    if size > _MAX_BYTES:
        raise TfsError(f"an input for signature `{name}` has {size >> 20} MiB")
    request = load("predict_pb2").PredictRequest()
    request.model_spec.signature_name = name
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(proto_from_array(array))
    return bytes(request.SerializeToString())
