"""The signatures that an Estimator has by itself, and those that are declared around them."""

import tempfile
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.serving_receiver import Receiver
from tfs.exporters.sources.saved_models import open_saved_model
from tfs.exporters.suggestions import suggestion
from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.reading import SERVE_TAG

__all__ = ["described_receiver", "keep_wanted", "write_declared"]


def described_receiver(options: ExportOptions, source: str) -> Receiver:
    """Return the receiver that the options describe for an Estimator, which a message calls `source`.

    Raises:
        UsageError: they describe none.
    """
    if options.receiver is None:
        raise UsageError(f"{source} does not say what its features are", "describe them with --receiver")
    return options.receiver


def keep_wanted(signatures: MutableMapping[str, Any], options: ExportOptions) -> None:
    """Drop the signatures that the options do not keep.

    Raises:
        TfsError: there is none of a name that they keep.
    """
    if options.keep_signatures is None:
        return
    for name in options.keep_signatures:
        if name not in signatures:
            raise TfsError(f"the source has no signature `{name}`", suggestion(name, signatures))
    for name in signatures.keys() - set(options.keep_signatures):
        del signatures[name]


def write_declared(write: Callable[[Path, ExportOptions], None], directory: Path, options: ExportOptions) -> None:
    """Write a SavedModel with `write`; where the options declare signatures, they stand around those that it writes."""
    if not options.signatures:
        write(directory, options)
        return
    with tempfile.TemporaryDirectory(prefix="tfs-export-") as folder:
        write(Path(folder), options.model_copy(update={"keep_signatures": None}))
        open_saved_model(Path(folder), [SERVE_TAG]).write(directory, options)
