"""Where a version comes from, as far as its files say."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from tfs.savedmodel.protos import fingerprint_pb2

__all__ = ["Provenance", "provenance_of"]

_FINGERPRINT = "fingerprint.pb"
_EXPORT = Path("assets.extra", "tfs_export.json")
_CHANGES = Path("assets.extra", "provenance.json")


@dataclass(frozen=True)
class Provenance:
    """What wrote a version.

    Attributes:
        tensorflow_version: that wrote it; empty if the file does not say.
        tensorflow_git_version: the commit of that release; likewise.
        producer: the graph's version number (GraphDef.versions.producer); a server's TensorFlow must know it.
        min_consumer: the oldest graph version that a reader must know.
        stripped_default_attributes: whether attributes with their default value were left out, for older readers.
        fingerprint: hashes of graph, signatures, objects and variables by name, in hexadecimal, and the `uuid` of the
            save, if there is a `fingerprint.pb`: two versions with the same hashes are the same model.
        export: what `tfs export` has written down: its `options`, `sha256` of the files that they name, `git` commit,
            versions and `time`; null if something else has written the version.
        changes: what was done to it since, in order: of `tfs optimize` its `transforms` and versions.
    """

    tensorflow_version: str
    tensorflow_git_version: str
    producer: int
    min_consumer: int
    stripped_default_attributes: bool
    fingerprint: dict[str, str]
    export: dict[str, Any] | None
    changes: tuple[dict[str, Any], ...]


def provenance_of(graph: Any, directory: Path | None) -> Provenance:
    """Return what a MetaGraphDef, and the version directory if it is from one, say about their origin.

    Files that are damaged count as absent, since no server reads them.
    """
    export = None if directory is None else _json(directory / _EXPORT)
    changes = None if directory is None else _json(directory / _CHANGES)
    meta = graph.meta_info_def
    return Provenance(
        meta.tensorflow_version,
        meta.tensorflow_git_version,
        graph.graph_def.versions.producer,
        graph.graph_def.versions.min_consumer,
        meta.stripped_default_attrs,
        {} if directory is None else _fingerprint(directory / _FINGERPRINT),
        export if isinstance(export, dict) else None,
        tuple(entry for entry in changes if isinstance(entry, dict)) if isinstance(changes, list) else (),
    )


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _fingerprint(file: Path) -> dict[str, str]:
    try:
        proto = fingerprint_pb2.FingerprintDef.FromString(file.read_bytes())
    except (OSError, DecodeError):
        return {}
    hashes = {
        field.name: f"{value:016x}" for field, value in proto.ListFields() if field.cpp_type == field.CPPTYPE_UINT64
    }
    return {**hashes, "uuid": proto.uuid} if proto.uuid else hashes
