"""The C++ stand-in for tensorflow_model_server's request path: an executable that somebody has built in a folder."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models import Model

from tfs.savedmodel.reading import read_signatures
from tfs.savedmodel.tensorflow_paths import tensorflow_library

__all__ = ["standin"]


@contextmanager
def standin(folder: Path, model: Model) -> Iterator[str]:
    """Serve version 1 of a model with one input and one output with TensorFlow's default settings; yield its address.

    Raises:
        RuntimeError: it does not start.
    """
    signature = read_signatures(model.base_path / "1")["serving_default"]
    [(alias_in, tensor_in)], [(alias_out, tensor_out)] = signature.inputs.items(), signature.outputs.items()
    ends = [
        f"{alias}:{tensor.name.partition(':')[0]}" for alias, tensor in ((alias_in, tensor_in), (alias_out, tensor_out))
    ]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(folder / "standin"),
        str(tensorflow_library()),
        str(model.base_path / "1"),
        *ends,
        "default",
        str(port),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "up":
            raise RuntimeError(f"the stand-in did not start: {' '.join(command)}")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(30)
