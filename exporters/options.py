"""What an export is asked for: the flags of `tfs export`, and the `export:` section of a recipe."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ExportOptions"]


class ExportOptions(BaseModel):
    """Options of `tfs export`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="A .keras or .h5 file, or pkg.mod:object, or file.py:object.")
    signatures: dict[str, str] = Field(default={}, description="Signature name -> pkg.mod:fn or file.py:fn.")
