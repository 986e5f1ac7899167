"""The `model_fn` of a custom Estimator with its checkpoint; TensorFlow needs no `tf.estimator` for it."""

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tfs.exporters.estimator_names import ModeKeys, RunConfig, estimator_names, hint_for
from tfs.exporters.options import ExportOptions
from tfs.exporters.serving_receiver import ReceivedFeatures, Receiver, check_all_read, receive
from tfs.exporters.sources.checkpoints import checkpoint_prefix, restore_variables, shapes_in
from tfs.exporters.sources.own_signatures import described_receiver, keep_wanted, write_declared
from tfs.exporters.sources.python_objects import call_factory, load_object
from tfs.exporters.sources.trained import SourceKind, Trained
from tfs.exporters.tensorflow_runtime import first_line, import_tensorflow
from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.reading import SERVE_TAG

__all__ = ["ModelFunctions"]


class ModelFunctions(SourceKind):
    """Sources given as `--model-fn` and `--checkpoint`."""

    def claims(self, options: ExportOptions) -> bool:  # noqa: D102 - see SourceKind
        return options.model_fn is not None

    def open(self, options: ExportOptions) -> Trained:  # noqa: D102
        name = options.model_fn or ""
        receiver = described_receiver(options, f"the model_fn `{name}`")
        if options.checkpoint is None:
            raise UsageError(f"the model_fn `{name}` needs the checkpoint of its training", "give --checkpoint")
        import_tensorflow()
        checkpoint = checkpoint_prefix(str(options.checkpoint))
        with estimator_names():  # annotations and default values are evaluated while the modules load
            function = load_object(name)
            params = _parameters(options.params)
        if not callable(function):
            raise TfsError(f"`{name}` is no function")
        return _ModelFunction(function, name, checkpoint, params, receiver)


@dataclass(frozen=True)
class _ModelFunction(Trained):
    function: Callable[..., Any]
    name: str
    checkpoint: str
    params: dict[str, Any]
    receiver: Receiver

    def write(self, directory: Path, options: ExportOptions) -> None:
        write_declared(self._write, directory, options)

    def _write(self, directory: Path, options: ExportOptions) -> None:
        import tensorflow as tf

        with estimator_names(), tf.Graph().as_default():
            if "global_step" in shapes_in(self.checkpoint):
                tf.compat.v1.train.create_global_step()
            received = receive(self.receiver)
            spec = self._call(received)
            signatures = self._signatures(spec, received)
            keep_wanted(signatures, options)
            scaffold = spec.scaffold or tf.compat.v1.train.Scaffold()
            saver = scaffold.saver or tf.compat.v1.train.Saver(sharded=True, allow_empty=True)
            main_op = scaffold.local_init_op
            if main_op is None:
                main_op = tf.compat.v1.train.Scaffold.default_local_init_op()
            with tf.compat.v1.Session() as session:
                restore_variables(session, saver, self.checkpoint, "give the --params of the training")
                check_all_read(self.receiver, received, signatures)
                builder = tf.compat.v1.saved_model.Builder(str(directory))
                builder.add_meta_graph_and_variables(
                    session,
                    [SERVE_TAG],
                    signature_def_map=signatures,
                    assets_collection=tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS),
                    main_op=main_op,
                    strip_default_attrs=True,
                    saver=saver,
                )
                builder.save()

    def _call(self, received: ReceivedFeatures) -> Any:
        """Call the function with those of its arguments that it has, as an Estimator does."""
        given = {"labels": None, "mode": ModeKeys.PREDICT, "params": self.params, "config": RunConfig()}
        taken = inspect.signature(self.function).parameters
        arguments = {name: value for name, value in given.items() if name in taken}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", r"`tf\.")  # what is deprecated: the whole function is
                spec = self.function(received.features, **arguments)
        except Exception as error:
            raise TfsError(f"`{self.name}` failed: {first_line(error)}", hint_for(error)) from error
        if not all(hasattr(spec, name) for name in ("predictions", "export_outputs", "scaffold")):
            raise TfsError(f"`{self.name}` returns a {type(spec).__name__}, not a tf.estimator.EstimatorSpec")
        return spec

    def _signatures(self, spec: Any, received: ReceivedFeatures) -> dict[str, Any]:
        from tensorflow.python.saved_model import model_utils

        if spec.predictions is None and not spec.export_outputs:
            raise TfsError(
                f"`{self.name}` returns neither predictions nor export_outputs in mode PREDICT",
                "return tf.estimator.EstimatorSpec(mode, predictions=...)",
            )
        try:
            outputs = model_utils.get_export_outputs(spec.export_outputs or None, spec.predictions)
        except (TypeError, ValueError) as error:
            raise TfsError(f"`{self.name}` returns export_outputs that are none: {first_line(error)}") from error
        signatures: dict[str, Any] = model_utils.build_all_signature_defs(
            received.inputs, outputs, received.alternatives
        )
        if not signatures:
            raise TfsError(
                f"`{self.name}` gives no signature that can be served",
                "Classify and Regress take examples: receiver kind `parsing` or `both`",
            )
        return signatures


def _parameters(given: str | dict[str, Any]) -> dict[str, Any]:
    try:
        params = yaml.safe_load(given) if isinstance(given, str) else given
    except yaml.YAMLError as error:
        raise UsageError(f"--params `{given}` is no YAML: {error}") from error
    if isinstance(params, str):
        params = load_object(params)
        if callable(params):
            params = call_factory(params, str(given))
    if not isinstance(params, dict):
        raise TfsError(f"`{given}` gives a {type(params).__name__}, not a dictionary of params")
    return params
