"""`tfs inspect --json`: the documents and their JSON Schema."""

import re
from dataclasses import asdict
from typing import Any

from tfs.cli.signature_view import SignatureJson, signature_json
from tfs.savedmodel.comparison import Comparison
from tfs.savedmodel.description import Description
from tfs.savedmodel.request_samples import RequestSample
from tfs.serve.client.served_model import ServedModel

__all__ = ["description_json", "json_schema", "served_json"]

_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def description_json(description: Description) -> dict[str, Any]:
    """Return what `--json` prints for a version directory or a frozen graph."""
    return {**asdict(description), "signatures": _signatures(description)}


def served_json(model: ServedModel) -> dict[str, Any]:
    """Return what `--json` prints for a model of a running server."""
    return {**asdict(model), "signatures": _signatures(model)}


def _signatures(holder: Description | ServedModel) -> dict[str, Any]:
    return {name: signature_json(signature) for name, signature in holder.signatures.items()}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of everything that `--json` prints: the dataclasses' own, with their documentation."""
    from pydantic import TypeAdapter

    documents = Description | ServedModel | Comparison | list[Description] | list[RequestSample]
    schema = TypeAdapter(documents).json_schema(mode="serialization")
    printed = TypeAdapter(SignatureJson).json_schema(mode="serialization")
    definitions = schema["$defs"]
    definitions |= printed.pop("$defs")
    definitions["Signature"] = printed
    del definitions["TensorInfo"]
    for definition in definitions.values():
        _spread_documentation(definition)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tfs inspect --json",
        "description": "A version or frozen graph, a list of these, a served model (--url), a comparison (--diff), or "
        "requests (--request).",
        **schema,
    }


def _spread_documentation(definition: dict[str, Any]) -> None:
    """Move what a docstring says of each attribute to the property of that name."""
    text, _, attributes = definition.get("description", "").partition("\n\nAttributes:\n")
    definition["description"] = " ".join(text.split())
    for name, about in _ATTRIBUTE.findall(attributes):
        definition["properties"][name]["description"] = " ".join(about.split())
    definition["required"] = list(definition["properties"])
    definition["additionalProperties"] = False
