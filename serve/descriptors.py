"""The descriptors of the gRPC services, for server reflection."""

from typing import Any

from google.protobuf import descriptor_pb2

from tfs.savedmodel.protos import load

__all__ = ["service_descriptors"]

_SERVICES = ("prediction_service_pb2", "model_service_pb2", "session_service_pb2")


def service_descriptors() -> bytes:
    """Return a serialized `FileDescriptorSet`: the files of all services and what they import, imports first."""
    files: dict[str, Any] = {}
    for name in _SERVICES:
        _add(load(name).DESCRIPTOR, files)
    descriptors = descriptor_pb2.FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(descriptors.file.add())
    serialized: bytes = descriptors.SerializeToString()
    return serialized


def _add(file: Any, files: dict[str, Any]) -> None:
    if file.name not in files:
        for dependency in file.dependencies:
            _add(dependency, files)
        files[file.name] = file
