"""The flags of `tfs export` as a recipe: where both say something, the flag wins."""

from pathlib import Path
from typing import Any

from tfs.cli.recipe import Recipe, checked_recipe, read_content
from tfs.savedmodel.errors import UsageError

__all__ = ["named_signatures", "named_values", "recipe_of_flags"]


def named_values(flag: str, form: str, options: list[str] | None) -> dict[str, str]:
    """Return the `NAME=VALUE` options of a flag as a dictionary in their order.

    Raises:
        UsageError: an option has another form, or a name comes twice.
    """
    values: dict[str, str] = {}
    for option in options or []:
        name, equals, value = option.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{flag} `{option}` has not the form {form}")
        if name in values:
            raise UsageError(f"{flag} names `{name}` twice")
        values[name] = value
    return values


def named_signatures(options: list[str] | None) -> dict[str, Any]:
    """Return the values of --signature as a recipe has them: a function, or inputs and outputs by name.

    Raises:
        UsageError: an option has another form, or a name comes twice.
    """
    values = named_values("--signature", "NAME=pkg.mod:function or NAME='INPUT, ... -> OUTPUT, ...'", options)
    return {name: _names(value) if "->" in value else value for name, value in values.items()}


def _names(text: str) -> dict[str, dict[str, str]]:
    """Parse `INPUT, ... -> OUTPUT, ...`; each is a tensor or `ALIAS=TENSOR`, as `images=input/images:0`."""
    declared: dict[str, dict[str, str]] = {}
    for key, side in zip(("inputs", "outputs"), text.split("->", maxsplit=1), strict=True):
        parts = [part.strip().rpartition("=") for part in side.split(",")]
        if not all(tensor for _, _, tensor in parts):
            raise UsageError(f"--signature `{text}` has an empty name", "as 'images:0 -> scores:0'")
        declared[key] = {alias or tensor.split(":")[0].rpartition("/")[2]: tensor for alias, _, tensor in parts}
    return declared


def recipe_of_flags(
    file: Path | None, common: dict[str, Any], export: dict[str, Any], methods: dict[str, str]
) -> Recipe:
    """Return the recipe that the flags, and the file where they leave something out, describe.

    Args:
        file: a recipe; None if all is said by flags.
        common: values of a recipe's own keys; those that are None, False or empty were not given.
        export: likewise those of its `export` section. A dictionary is joined with that of the file.
        methods: which requests signatures answer, by their names.

    Raises:
        UsageError: something is missing, or is no value of that key.
    """
    content = {} if file is None else read_content(file)
    section = dict(content.get("export") or {})
    for key, value in _given(export).items():
        section[key] = {**(section.get(key) or {}), **value} if isinstance(value, dict) else value
    content = {**content, **_given(common), "export": section}
    for name, method in methods.items():
        declared = (section.get("signatures") or {}).get(name) or {}
        spec = {"function": declared} if isinstance(declared, str) else declared
        section["signatures"] = {**(section.get("signatures") or {}), name: {**spec, "method": method}}
    if "source" not in section and "model_fn" not in section:
        raise UsageError("no SOURCE is given", "tfs export SOURCE --output BASE")
    if "output" not in content:
        raise UsageError("no --output is given", "tfs export SOURCE --output BASE")
    _check_version(content.get("version"))
    return checked_recipe(content, "the flags" if file is None else f"recipe `{file}`")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def _check_version(version: object) -> None:
    words = ("auto", "timestamp")
    if isinstance(version, str) and version not in words and not (version.isascii() and version.isdecimal()):
        raise UsageError(f"--version `{version}` is no number and neither `auto` nor `timestamp`")
