"""Keep a native library's talk off the terminal while it is loaded."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["hold_back_native_log"]


@contextmanager
def hold_back_native_log() -> Iterator[None]:
    """Drop what C++ code writes to file descriptor 2 within the block; if the block fails, print it after all.

    TensorFlow greets with CUDA and oneDNN notices before its log level counts. The descriptor belongs to the process,
    so nothing else should write to stderr meanwhile.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(terminal, held_back.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
