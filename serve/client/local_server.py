"""A version on disk, served in this process over a unix socket for as long as a block lasts."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfs.savedmodel.native_log import hold_back_native_log
from tfs.savedmodel.reading import saved_model_file
from tfs.savedmodel.tflite_file import is_tflite_only
from tfs.serve.client.address import Address, parse_address
from tfs.serve.options import ExecutionMode
from tfs.serve.server import Server

__all__ = ["LOCAL_MODEL", "serve_locally"]

LOCAL_MODEL = "local"


@contextmanager
def serve_locally(directory: Path) -> Iterator[Address]:
    """Serve a version directory, as the only version of `LOCAL_MODEL`, and yield where.

    Its warm-up records are not replayed, and nothing is measured: it is there for a few requests.

    Raises:
        TfsError: `directory` is no version (the message says what it is), or it cannot be loaded.
    """
    tflite = is_tflite_only(directory)
    if not tflite:
        saved_model_file(directory)
    with tempfile.TemporaryDirectory(prefix="tfs-local-") as folder:
        base = Path(folder) / "base"
        base.mkdir()
        (base / "1").symlink_to(directory.absolute())
        socket = Path(folder) / "grpc.sock"
        server = Server(
            model_name=LOCAL_MODEL,
            model_base_path=str(base),
            port=-1,
            rest_api_port=0,
            grpc_socket_path=str(socket),
            enable_model_warmup=False,
            execution=ExecutionMode.CALLER,
            prefer_tflite_model=tflite,
            max_num_load_retries=0,
            file_system_poll_wait_seconds=0,
        )
        # TensorFlow tells a failure at length on stderr; the error says it in one line.
        with hold_back_native_log():
            server.start()
        try:
            yield parse_address(f"unix:{socket}")
        finally:
            server.stop()
