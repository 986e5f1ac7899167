"""What an export is asked for: the flags of `tfs export`, and the `export:` section of a recipe."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tfs.exporters.serving_receiver import Receiver
from tfs.exporters.signature_spec import DeclaredSignature
from tfs.savedmodel.reading import SERVE_TAG

__all__ = ["ExportOptions"]


class ExportOptions(BaseModel):
    """Options of `tfs export`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(
        default="",
        description="A .keras or .h5 file, a SavedModel, a frozen graph (.pb) or meta graph (.meta), or "
        "pkg.mod:object or file.py:object.",
    )
    weights: str | None = Field(
        default=None, description="Weights for the model of the source: a file of save_weights, or a checkpoint."
    )
    inputs: dict[str, str] = Field(
        default={}, description="What a subclassed model is called with: name -> dtype[shape], as float32[?,4]."
    )
    sample: Path | None = Field(
        default=None,
        description="Inputs by name (.npz or .json), in place of `inputs`; the first dimension is the batch.",
    )
    signatures: dict[str, DeclaredSignature] = Field(
        default={}, description="Signature name -> what it takes and gives, or pkg.mod:fn that makes it."
    )
    keep_signatures: list[str] | None = Field(
        default=None, description="Of the signatures that the source has, only these; left out: all."
    )
    tags: Annotated[list[str], Field(min_length=1)] = Field(
        default=[SERVE_TAG], description="The tags that loaders ask for."
    )
    as_text: bool = Field(default=False, description="Write saved_model.pbtxt in place of saved_model.pb.")
    receiver: Receiver | None = Field(default=None, description="How requests reach the features of an Estimator.")
    model_fn: str | None = Field(
        default=None, description="In place of source: the model_fn of an Estimator, pkg.mod:fn or file.py:fn."
    )
    checkpoint: Path | None = Field(
        default=None, description="Of a model_fn or an Estimator: a folder, whose latest is taken, or one's prefix."
    )
    params: str | dict[str, Any] = Field(
        default={},
        description="Of a model_fn: a mapping, or pkg.mod:object, a dictionary or a function that returns one.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> "ExportOptions":
        if bool(self.source) == (self.model_fn is not None):
            raise ValueError("it needs either a source or a model_fn")
        return self
