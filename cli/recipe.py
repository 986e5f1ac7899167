"""What a recipe may say, and how its stages become one published version."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tfs.exporters.options import ExportOptions
from tfs.savedmodel.errors import TfsError, UsageError

__all__ = [
    "Inspection",
    "OptimizeStage",
    "Recipe",
    "RecipeResult",
    "WarmupStage",
    "checked_recipe",
    "read_content",
    "read_recipe",
    "run_recipe",
]

_STAGES = ("export", "optimize", "warmup", "publish")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OptimizeStage(_Section):
    """Options of `tfs optimize`."""

    transforms: str | list[str] = Field(
        default="serving", description="The transform string, or a list of such; names of presets are taken."
    )
    verify_result: bool = Field(default=True, alias="verify", description="Compare the result with the original.")
    rtol: float | None = Field(
        default=None,
        gt=0,
        description="Tolerance, relative to the largest value of an output; left out: 1e-3, more for lossy transforms.",
    )
    atol: float = Field(default=1e-6, ge=0, description="Tolerance on top of it.")


class WarmupStage(_Section):
    """Options of `tfs warmup`; without data or a log the records are generated."""

    data: Path | None = Field(
        default=None, description="JSON lines (.jsonl), arrays by input name (.npz) or tf.Examples (.tfrecord)."
    )
    from_log: str | list[str] | None = Field(
        default=None, description="Request log of a server: its filename_prefix, or files of it."
    )
    signature: str | None = Field(
        default=None,
        description="The signature, where the data names none; left out: serving_default, and every one where inputs "
        "are generated.",
    )
    records: int | None = Field(default=None, ge=1, le=1000, description="At most this many records.")
    batching_parameters_file: Path | None = Field(
        default=None, description="The server's; adds a record of each batch size that it allows."
    )

    @model_validator(mode="after")
    def _one_source(self) -> "WarmupStage":
        if self.from_log and (self.data or self.batching_parameters_file):
            raise ValueError("from_log stands alone, without data and batching_parameters_file")
        return self


class Recipe(_Section):
    """The stages from a trained model to a published version; those left out are skipped."""

    output: str = Field(description="The base path or its URL: the version appears as OUTPUT/VERSION.")
    version: Annotated[int, Field(ge=0)] | Literal["auto", "timestamp"] = Field(
        default="auto",
        description="The version; auto is one more than the highest, timestamp the seconds since 1970.",
    )
    overwrite: bool = Field(default=False, description="Replace the version if it exists.")
    export: ExportOptions
    optimize: OptimizeStage | None = None
    warmup: WarmupStage | None = None


class Inspection(_Section):
    """What `tfs inspect` finds in the finished version; one with problems is not published."""

    signatures: list[str]
    nodes: int
    bytes: int


class RecipeResult(_Section):
    """What a run has published."""

    path: Path | str  # a string if it is a URL
    version: int
    optimized: dict[str, Any] | None
    warmup_records: int | None
    warmup_notes: list[str]
    inspection: Inspection


def read_recipe(file: Path, changes: list[str]) -> Recipe:
    """Read and check a recipe.

    Args:
        file: the YAML file.
        changes: `key.key=value` each, in place of what the file says; values are YAML.

    Raises:
        TfsError: the file cannot be read or is no YAML.
        UsageError: a key or value is not what a recipe has.
    """
    content = read_content(file)
    for change in changes:
        _apply(content, change)
    return checked_recipe(content, f"recipe `{file}`")


def read_content(file: Path, kind: str = "recipe", page: str = "docs/run.md") -> dict[str, Any]:
    """Read a recipe, or another kind of YAML file that a page describes, without a look at its keys.

    Raises:
        TfsError: the file cannot be read or is no YAML.
        UsageError: it holds no mapping of keys.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise TfsError(f"{kind} `{file}` cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TfsError(f"{kind} `{file}` is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{kind} `{file}` holds no mapping of keys", f"see {page} for an example")
    return content


def checked_recipe(content: dict[str, Any], name: str) -> Recipe:
    """Return the content of a recipe, which a message calls `name`.

    Raises:
        UsageError: a key or value is not what a recipe has.
    """
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(_key(content, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{name}, key `{key}`: {message}", "see docs/run.md for all keys") from error


def _key(content: Any, location: tuple[str | int, ...]) -> Iterator[str]:
    """Drop what pydantic adds below a key: which of several types of its value it has tried."""
    for part in location:
        if not isinstance(content, dict | list):
            return
        yield str(part)
        content = content.get(part) if isinstance(content, dict) else content[int(part)]


def _apply(content: dict[str, Any], change: str) -> None:
    path, equals, value = change.partition("=")
    if not equals or not path:
        raise UsageError(f"--set `{change}` is not KEY=VALUE", "--set export.source=other.keras")
    *parents, last = path.split(".")
    for parent in parents:
        if content.get(parent) is None:
            content[parent] = {}
        below = content[parent]
        if not isinstance(below, dict):
            raise UsageError(f"--set `{path}`: `{parent}` is a value and has no keys")
        content = below
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"--set `{change}`: the value is no YAML: {error}") from error


def run_recipe(recipe: Recipe, progress: Callable[[str, int, int], None]) -> RecipeResult:
    """Run the stages in a folder that no server looks at, then publish the finished version by one rename.

    A server that polls the base path sees the version optimized and with its warm-up records, or not at all.
    """
    from tfs.exporters.exporting import finish, write_servable
    from tfs.savedmodel.version_publishing import publish_version

    publishing = publish_version(recipe.output, recipe.version, overwrite=recipe.overwrite)
    with publishing as staged, tempfile.TemporaryDirectory(prefix="tfs-run-") as scratch:
        exported = Path(scratch) / "exported"
        exported.mkdir()
        progress(_STAGES[0], 0, len(_STAGES))
        write_servable(recipe.export, exported)
        progress(_STAGES[1], 1, len(_STAGES))
        finished, optimized = _optimize(recipe.optimize, exported, Path(scratch))
        progress(_STAGES[2], 2, len(_STAGES))
        records, notes = _warm_up(recipe.warmup, finished)
        progress(_STAGES[3], 3, len(_STAGES))
        inspection = _inspect(finished)
        finish(recipe.export, finished)
        shutil.copytree(finished, staged.directory, dirs_exist_ok=True)
    return RecipeResult(
        path=staged.path,
        version=staged.number,
        optimized=optimized,
        warmup_records=records,
        warmup_notes=notes,
        inspection=inspection,
    )


def _optimize(stage: OptimizeStage | None, exported: Path, scratch: Path) -> tuple[Path, dict[str, Any] | None]:
    if stage is None:
        return exported, None
    from tfs.transforms.comparing import Tolerance
    from tfs.transforms.optimizing import optimize

    tolerance = Tolerance(rtol=stage.rtol, atol=stage.atol) if stage.verify_result else None
    report = optimize(exported, stage.transforms, output=scratch / "optimized", verification=tolerance)
    # The folders it names are gone when the run has ended.
    return scratch / "optimized", {
        key: value for key, value in report.to_dict().items() if key not in ("saved_model", "output")
    }


def _warm_up(stage: WarmupStage | None, version: Path) -> tuple[int | None, list[str]]:
    """Write the records, each of which is run first; return how many, and what was left out of a log."""
    if stage is None:
        return None, []
    from tfs.savedmodel.warmup_log import add_warmup_from_log
    from tfs.savedmodel.warmup_sources import Selection, add_warmup
    from tfs.serve.warmup_trial import batch_sizes_of, trial_of

    check = trial_of(version, stage.batching_parameters_file)
    if stage.from_log:
        sources = [stage.from_log] if isinstance(stage.from_log, str) else stage.from_log
        found = add_warmup_from_log(version, sources, records=stage.records, check=check)
        return found.count, found.notes
    sizes = tuple(batch_sizes_of(stage.batching_parameters_file)) if stage.batching_parameters_file else ()
    return add_warmup(version, stage.data, Selection(stage.signature, stage.records, sizes), check=check), []


def _inspect(version: Path) -> Inspection:
    from tfs.savedmodel.description import describe

    description = describe(version)
    if description.problems:
        raise TfsError(f"the version was not published: {description.problems[0]}")
    return Inspection(
        signatures=sorted(description.signatures),
        nodes=description.nodes + description.function_nodes,
        bytes=description.graph_size + description.variables_size,
    )
