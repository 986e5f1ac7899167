"""Estimators, canned or custom, of a TensorFlow that has them (2.15), through their own export."""

import re
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfs.exporters.options import ExportOptions
from tfs.exporters.serving_receiver import ReceivedFeatures, Receiver, check_all_read, receive
from tfs.exporters.sources.checkpoints import checkpoint_prefix
from tfs.exporters.sources.own_signatures import described_receiver, keep_wanted, write_declared
from tfs.exporters.sources.trained import DEFAULT_SIGNATURE, SourceKind, Trained
from tfs.exporters.tensorflow_runtime import first_line
from tfs.savedmodel.errors import TfsError
from tfs.savedmodel.protos import saved_model_pb2
from tfs.savedmodel.reading import saved_model_file

__all__ = ["Estimators"]

_MISSING = re.compile(r"Key (\S+) not found in checkpoint")


class Estimators(SourceKind):
    """Objects of `tf.estimator`, also those that `tf.keras.estimator.model_to_estimator` makes."""

    def takes(self, found: object) -> bool:  # noqa: D102 - see SourceKind
        if "tensorflow_estimator" not in sys.modules:  # a second to load, and nobody has made an Estimator yet
            return False
        import tensorflow as tf

        return isinstance(found, tf.compat.v1.estimator.Estimator)

    def wrap(self, found: Any, options: ExportOptions) -> Trained:  # noqa: D102
        receiver = described_receiver(options, f"the {_kind_of(found)}")
        if options.checkpoint is not None:
            checkpoint = checkpoint_prefix(str(options.checkpoint))
        elif (checkpoint := found.latest_checkpoint()) is None:
            raise TfsError(f"there is no checkpoint in `{found.model_dir}`", "train the Estimator before the export")
        return _TrainedEstimator(found, checkpoint, receiver)


@dataclass(frozen=True)
class _TrainedEstimator(Trained):
    estimator: Any
    checkpoint: str
    receiver: Receiver

    def write(self, directory: Path, options: ExportOptions) -> None:
        write_declared(self._write, directory, options)

    def _write(self, directory: Path, options: ExportOptions) -> None:
        received = self._export(directory)
        file = saved_model_file(directory)
        saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        signatures = saved_model.meta_graphs[0].signature_def
        check_all_read(self.receiver, received, signatures)
        # A canned classifier's default takes examples: a raw receiver leaves it out, and clients would have to know.
        if DEFAULT_SIGNATURE not in signatures and "predict" in signatures:
            signatures[DEFAULT_SIGNATURE].CopyFrom(signatures["predict"])
        keep_wanted(signatures, options)
        file.write_bytes(saved_model.SerializeToString(deterministic=True))

    def _export(self, directory: Path) -> ReceivedFeatures:
        """Let the Estimator write itself into an empty directory; return what its model has got."""
        import tensorflow as tf

        received: list[ReceivedFeatures] = []

        def serving_input_receiver() -> Any:
            received.append(receive(self.receiver))
            return tf.estimator.export.ServingInputReceiver(
                received[0].features, received[0].inputs, received[0].alternatives or None
            )

        with tempfile.TemporaryDirectory(dir=directory) as base, warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`tf\.")  # what is deprecated: all of it
            try:
                written = self.estimator.export_saved_model(
                    base, serving_input_receiver, checkpoint_path=self.checkpoint
                )
            except TfsError:
                raise
            except Exception as error:  # the model_fn's own code runs
                raise self._failed(error) from error
            for entry in Path(written.decode()).iterdir():
                entry.rename(directory / entry.name)
        return received[0]

    def _failed(self, error: Exception) -> TfsError:
        if missing := _MISSING.search(str(error)):
            return TfsError(
                f"checkpoint `{self.checkpoint}` has no values for `{missing[1]}`", "it is of another model"
            )
        return TfsError(
            f"the {_kind_of(self.estimator)} cannot be exported: {first_line(error)}", "tfs --debug shows where"
        )


def _kind_of(estimator: Any) -> str:
    return type(estimator).__name__.removesuffix("V2")  # what tf.estimator calls it
