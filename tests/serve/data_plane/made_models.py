"""What make_models.py wrote for a test session."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Made:
    """SavedModels, and TensorFlow's own answers.

    Attributes:
        kinds: a SavedModel with many signatures.
        text: a SavedModel with tensorflow-text's ops, or None where that package is not installed.
        decoded: name of a case -> the TensorProto that TensorFlow decodes it to; None if TensorFlow refuses it.
    """

    kinds: Path
    text: Path | None
    decoded: dict[str, bytes | None]
