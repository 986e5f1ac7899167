"""Protocol buffers in files of their own: binary, or as text in a `.pbtxt`."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError

from tfs.savedmodel.errors import TfsError

__all__ = ["read_proto"]


def read_proto(file: Path, message: Any, hint: str = "") -> Any:
    """Return the message of a type (as `graph_pb2.GraphDef`) that a file holds.

    Args:
        file: whose suffix tells text (`.pbtxt`) from binary.
        message: the generated class.
        hint: what to do about a damaged file.

    Raises:
        TfsError: the file cannot be read, is truncated, or holds something else.
    """
    try:
        if file.suffix == ".pbtxt":
            return text_format.Parse(file.read_text(encoding="utf-8"), message())
        return message.FromString(file.read_bytes())
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        name = message.DESCRIPTOR.name
        raise TfsError(f"`{file}` is truncated or no {name}: {error}", hint) from error
    except OSError as error:
        raise TfsError(f"`{file}` cannot be read: {error.strerror}") from error
