"""What every kind of source gives: something that can be written as a SavedModel."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.exporters.options import ExportOptions

__all__ = ["DEFAULT_SIGNATURE", "PREDICT_METHOD", "ServingFunction", "SourceKind", "Trained"]

DEFAULT_SIGNATURE = "serving_default"
PREDICT_METHOD = "tensorflow/serving/predict"


@dataclass(frozen=True)
class ServingFunction:
    """The function behind one signature.

    Attributes:
        function: a concrete function. Its inputs are tensors, each with a name, its output is a dictionary of tensors:
            these names are what clients see.
        method_name: which request it answers, as in a SignatureDef.
        uses: trackable objects besides the model that may own tables and assets of the function.
        also: trackable objects that are saved with it although it does not capture them.
    """

    function: Any
    method_name: str = PREDICT_METHOD
    uses: tuple[Any, ...] = ()
    also: tuple[Any, ...] = ()


class Trained(ABC):
    """A trained model that a source has given."""

    @abstractmethod
    def write(self, directory: Path, options: ExportOptions) -> None:
        """Write a SavedModel with the signatures that are asked for into an empty directory.

        Raises:
            TfsError: there are no such signatures, or the model cannot be saved.
        """


class SourceKind:
    """A kind of source: recognised by what the options say, or by the object that they name."""

    def claims(self, options: ExportOptions) -> bool:
        """Whether the options alone (a suffix, what a folder holds) say that the source is of this kind.

        TensorFlow is not imported for that.
        """
        return False

    def open(self, options: ExportOptions) -> Trained:
        """Return the model of a source that this kind claims; a kind that never claims one does not define it.

        Raises:
            TfsError: it does not exist or cannot be loaded.
        """
        raise NotImplementedError

    def takes(self, found: object) -> bool:
        """Whether a Python object is a model of this kind; TensorFlow has been imported."""
        return False

    def wrap(self, found: Any, options: ExportOptions) -> Trained:
        """Return the model that a Python object of this kind is; a kind that takes none does not define it.

        Raises:
            TfsError: the object is not complete, such as a model that was never built.
        """
        raise NotImplementedError
