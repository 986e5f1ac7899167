"""What an export is asked for: the flags of `tfs export`, and the `export:` section of a recipe."""

from pydantic import BaseModel, ConfigDict, Field

from tfs.exporters.signature_spec import DeclaredSignature

__all__ = ["ExportOptions"]


class ExportOptions(BaseModel):
    """Options of `tfs export`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="A .keras or .h5 file, or pkg.mod:object, or file.py:object.")
    signatures: dict[str, DeclaredSignature] = Field(
        default={}, description="Signature name -> what it takes and gives, or pkg.mod:fn that makes it."
    )
