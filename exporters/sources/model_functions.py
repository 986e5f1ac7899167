"""The `model_fn` of a custom Estimator with its checkpoint; TensorFlow needs no `tf.estimator` for it."""

import inspect
import warnings
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tfs.exporters.estimator_names import ModeKeys, RunConfig, estimator_names, hint_for
from tfs.exporters.options import ExportOptions
from tfs.exporters.serving_receiver import ReceivedFeatures, Receiver, receive
from tfs.exporters.sources.python_objects import call_factory, load_object
from tfs.exporters.sources.trained import SourceKind, Trained
from tfs.exporters.suggestions import suggestion
from tfs.exporters.tensorflow_runtime import first_line, import_tensorflow
from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.reading import SERVE_TAG

__all__ = ["ModelFunctions", "described_receiver", "find_checkpoint", "keep_wanted"]


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
        checkpoint = find_checkpoint(options.checkpoint)
        with estimator_names():  # annotations and default values are evaluated while the modules load
            function = load_object(name)
            params = _parameters(options.params)
        if not callable(function):
            raise TfsError(f"`{name}` is no function")
        return _ModelFunction(function, name, checkpoint, params, receiver)


def described_receiver(options: ExportOptions, source: str) -> Receiver:
    """Return the receiver that the options describe for an Estimator, which a message calls `source`.

    Raises:
        UsageError: they describe none, or signatures, which an Estimator has by itself.
    """
    if options.receiver is None:
        raise UsageError(f"{source} does not say what its features are", "describe them with --receiver")
    if options.signatures:
        raise UsageError(f"the signatures of {source} are its own export outputs", "leave `signatures` out")
    return options.receiver


def find_checkpoint(path: Path) -> str:
    """Return the prefix of the latest checkpoint of a folder, or of the one that `path` is the prefix of.

    Raises:
        TfsError: there is none.
    """
    import tensorflow as tf

    if not path.is_dir():
        if not path.with_name(f"{path.name}.index").is_file():
            raise TfsError(f"there is no checkpoint `{path}`", "name the folder of checkpoints or one without .index")
        return str(path)
    latest = tf.train.latest_checkpoint(str(path))
    if latest is None:
        raise TfsError(f"there is no checkpoint in `{path}`", "it is the model_dir of the training")
    return str(latest)


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


@dataclass(frozen=True)
class _ModelFunction(Trained):
    function: Callable[..., Any]
    name: str
    checkpoint: str
    params: dict[str, Any]
    receiver: Receiver

    def write(self, directory: Path, options: ExportOptions) -> None:
        import tensorflow as tf

        with estimator_names(), tf.Graph().as_default():
            if "global_step" in _shapes_in(self.checkpoint):
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
                self._restore(saver, session)
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

    def _restore(self, saver: Any, session: Any) -> None:
        import tensorflow as tf

        stored = _shapes_in(self.checkpoint)
        wanted = {variable.op.name: variable.shape.as_list() for variable in tf.compat.v1.global_variables()}
        for name, shape in wanted.items():  # a Saver takes values of another shape without a word
            if name in stored and shape != stored[name]:
                raise TfsError(
                    f"variable `{name}` has shape {shape}, but {stored[name]} in checkpoint `{self.checkpoint}`",
                    "give the --params of the training",
                )
        try:
            saver.restore(session, self.checkpoint)
        except (tf.errors.OpError, ValueError) as error:
            if missing := sorted(wanted.keys() - stored.keys()):
                names = ", ".join(f"`{name}`" for name in missing)
                raise TfsError(f"checkpoint `{self.checkpoint}` has no values for {names}") from error
            raise TfsError(f"checkpoint `{self.checkpoint}` cannot be restored: {first_line(error)}") from error


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


def _shapes_in(checkpoint: str) -> dict[str, list[int]]:
    import tensorflow as tf

    try:
        return {name: list(shape) for name, shape in tf.train.list_variables(checkpoint)}
    except (tf.errors.OpError, ValueError) as error:
        raise TfsError(f"checkpoint `{checkpoint}` cannot be read: {first_line(error)}") from error
