"""How models are executed: what the flags, or the config files they name, make of sessions, tags and warm-up."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.serve.batching import BatchingPlan, batching_of, batching_plan
from tfs.serve.devices import choose_devices
from tfs.serve.options import ExecutionMode, ServerOptions
from tfs.serve.source import SAVED_MODEL_FILES, TFLITE_FILE
from tfs.serve.text_protos import config_message, parse_text, read_config_text

__all__ = ["Execution", "execution_of"]

_logger = logging.getLogger(__name__)

_ON = 1  # RewriterConfig.Toggle


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How every model is executed.

    Args:
        session_config: a serialized `tensorflow.ConfigProto`.
        in_caller_thread: whether a request's operations run one after the other in one thread.
        measured: whether each version may get another plan than this, if that is measured to be better.
        tags: tags of the meta graph to load.
        warmup: whether warm-up records are replayed.
        warmup_iterations: how often each is.
        batching: how requests are batched; None runs each alone.
        tflite_interpreters: of each version with a TFLite model; 0 never looks for one.
    """

    session_config: bytes
    in_caller_thread: bool
    measured: bool
    tags: tuple[str, ...]
    warmup: bool
    warmup_iterations: int
    batching: BatchingPlan | None
    tflite_interpreters: int

    @property
    def model_files(self) -> Sequence[str]:
        """The files of which a version has at least one."""
        return (*SAVED_MODEL_FILES, TFLITE_FILE) if self.tflite_interpreters else SAVED_MODEL_FILES


def execution_of(options: ServerOptions) -> Execution:
    """Return how the options want models to be executed.

    A `--platform_config_file` takes the place of all flags about sessions, batching, tags, warm-up and TFLite; those
    that choose devices hold beside it.

    Raises:
        TfsError: a file that the options name cannot be read, or does not hold what it should.
    """
    _check_thread_pool_factory(options.thread_pool_factory_config_file)
    if options.platform_config_file:
        return _of_platform_config(options)
    session_config, in_caller_thread, measured = _completed(_session_config(options), options.execution)
    return Execution(
        session_config=session_config,
        in_caller_thread=in_caller_thread,
        measured=measured,
        tags=options.tags,
        warmup=options.enable_model_warmup,
        warmup_iterations=max(options.num_request_iterations_for_warmup, 1),
        batching=batching_of(options),
        tflite_interpreters=_tflite_interpreters(options),
    )


def _completed(config: Any, mode: ExecutionMode) -> tuple[bytes, bool, bool]:
    """Complete a session's config: what it says of threads holds, and the mode says the rest.

    Returns it serialized, whether operations run in the request's own thread, and whether other ways are measured.

    TensorFlow's own default, a pool over all cores for each operation, is made for training. With several requests at a
    time the cores are busy anyway, and a request that stays in one thread pays for no hand-over.
    """
    told = _thread_fields(config)
    if told and mode == ExecutionMode.AUTO:
        _logger.info("--execution=auto measures nothing: the config of sessions has %s", " and ".join(told))
    if mode != ExecutionMode.DEFAULT:
        config.intra_op_parallelism_threads = config.intra_op_parallelism_threads or 1
    has_pool = config.inter_op_parallelism_threads > 0 or bool(config.session_inter_op_thread_pool)
    in_caller_thread = mode in (ExecutionMode.AUTO, ExecutionMode.CALLER) and not has_pool
    return bytes(config.SerializeToString()), in_caller_thread, mode == ExecutionMode.AUTO and not told


def _tflite_interpreters(flags: Any) -> int:
    """Return what the TFLite flags mean, be they options or fields of a SessionBundleConfig."""
    if not flags.prefer_tflite_model:
        return 0
    pools: int = flags.num_tflite_pools or os.cpu_count() or 1
    per_pool: int = flags.num_tflite_interpreters_per_pool
    return max(pools, 1) * max(per_pool, 1)


def _thread_fields(config: Any) -> list[str]:
    """Return the fields of a ConfigProto that say something of threads."""
    names = ("intra_op_parallelism_threads", "inter_op_parallelism_threads", "session_inter_op_thread_pool")
    return [name for name in (*names, "use_per_session_threads") if getattr(config, name)]


def _session_config(options: ServerOptions) -> Any:
    """Return the ConfigProto of `--tensorflow_session_config_file`, if there is one, with the flags written over it."""
    from tfs.savedmodel.protos import load

    config = load("config_pb2").ConfigProto()
    if path := options.tensorflow_session_config_file:
        parse_text(read_config_text(path, "tensorflow_session_config_file"), config, source=path)
    if threads := options.tensorflow_intra_op_parallelism or options.tensorflow_session_parallelism:
        config.intra_op_parallelism_threads = max(threads, 0)
    if threads := options.tensorflow_inter_op_parallelism or options.tensorflow_session_parallelism:
        config.inter_op_parallelism_threads = max(threads, 0)
    if options.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = options.per_process_gpu_memory_fraction
    choose_devices(config, options)
    if options.mixed_precision == "bfloat16":
        config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = _ON
    elif options.mixed_precision:
        _logger.warning("--mixed_precision=%s has no effect: only bfloat16 is known", options.mixed_precision)
    return config


def _check_thread_pool_factory(path: str) -> None:
    """Refuse a config that asks for a factory: tensorflow_model_server registers none in its public builds either."""
    if not path:
        return
    config = config_message("ThreadPoolFactoryConfig")
    parse_text(read_config_text(path, "thread_pool_factory_config_file"), config, source=path)
    if not config.HasField("thread_pool_factory_config"):
        return
    type_url: str = config.thread_pool_factory_config.type_url
    _, slash, message_type = type_url.rpartition("/")
    hint = "no thread pool factory is built in; leave --thread_pool_factory_config_file out"
    if not slash or not message_type:
        raise TfsError(f"`{path}`: Supplied config's type_url could not be parsed: {type_url}", hint)
    raise TfsError(f"`{path}`: Couldn't find factory for config proto message type {message_type}", hint)


def _of_platform_config(options: ServerOptions) -> Execution:
    from tfs.savedmodel.protos import load

    path = options.platform_config_file
    platforms = load("platform_config_pb2").PlatformConfigMap()
    adapter = config_message("SavedModelBundleSourceAdapterConfig")
    parse_text(read_config_text(path, "platform_config_file"), platforms, source=path)
    if "tensorflow" not in platforms.platform_configs:
        raise TfsError(
            f"`{path}` configures no platform `tensorflow`", 'add platform_configs { key: "tensorflow" ... }'
        )
    config = platforms.platform_configs["tensorflow"].source_adapter_config
    if not config.Unpack(adapter):
        raise TfsError(f"`{path}`: the platform `tensorflow` has no {adapter.DESCRIPTOR.full_name}")
    bundle = adapter.legacy_config
    choose_devices(bundle.session_config, options)
    session_config, in_caller_thread, measured = _completed(bundle.session_config, options.execution)
    return Execution(
        session_config=session_config,
        in_caller_thread=in_caller_thread,
        measured=measured,
        tags=tuple(bundle.saved_model_tags) or ("serve",),
        warmup=bundle.enable_model_warmup,
        warmup_iterations=max(bundle.model_warmup_options.num_request_iterations.value, 1),
        batching=batching_plan(bundle.batching_parameters) if bundle.HasField("batching_parameters") else None,
        tflite_interpreters=_tflite_interpreters(bundle),
    )
