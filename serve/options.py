"""The options of the server: one field per flag of `tfs serve`, with its default, its unit and its help text.

The command line is generated from these fields, so a new flag is one more field here. Names and defaults are those of
tensorflow_model_server, except that both ports are on and that the server listens on 127.0.0.1.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, get_args, get_type_hints

from tfs.savedmodel.errors import UsageError

__all__ = ["DeviceChoice", "ExecutionMode", "Flag", "LogFormat", "ServerOptions", "Transition"]

_MODEL = "Model"
_VERSIONS = "Versions and loading"
_NETWORK = "Network"
_EXECUTION = "Execution"
_LOGS = "Logs"

_THREADS = "one thread per CPU reads and writes for all connections"
_PROFILER = "no function of TensorFlow's C API collects a profile"

# Upstream flushes what a file system of TensorFlow's keeps in the process; the kernel's page cache it leaves alone too.
_NO_CACHE = "URLs are listed anew at each look, and local files are cached by the kernel only"

_ALTS = "ALTS works on Google Cloud only, and gRPC would be in plain text without it"

_XLA = "models may always be compiled with XLA; TF_XLA_FLAGS in the environment says which parts are"


@dataclass(frozen=True)
class Flag:
    """What the command line says about an option.

    Args:
        panel: the part of the help it stands in.
        text: its help text.
        without_effect: why this server accepts it and does nothing; empty if it does something.
        refused: why this server does not start with it; empty if it does.
    """

    panel: str
    text: str
    without_effect: str = ""
    refused: str = ""


class Transition(str, Enum):
    """In which order the versions of a model change over."""

    AVAILABILITY_PRESERVING = "availability_preserving"
    RESOURCE_PRESERVING = "resource_preserving"


class LogFormat(str, Enum):
    """What the lines of the log look like."""

    TEXT = "text"
    JSON = "json"


class DeviceChoice(str, Enum):
    """What models are computed on."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


class ExecutionMode(str, Enum):
    """Which threads run a model's operations."""

    AUTO = "auto"
    DEFAULT = "default"
    CALLER = "caller"
    POOL = "pool"


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Everything that `tfs serve` can be told.

    Raises:
        UsageError: there is no model to serve, or options contradict each other.
    """

    model_name: Annotated[str, Flag(_MODEL, "Name of the single model.")] = "default"
    model_base_path: Annotated[
        str, Flag(_MODEL, "Directory that holds the versions: PATH/1, PATH/2, ... Required unless --model_config_file.")
    ] = ""
    model_config_file: Annotated[
        str, Flag(_MODEL, "ModelServerConfig in protobuf's text format; wins over --model_name and --model_base_path.")
    ] = ""
    model_config_file_poll_wait_seconds: Annotated[
        int, Flag(_MODEL, "Pause between two looks at --model_config_file, in seconds; 0 looks only on SIGHUP.")
    ] = 0
    saved_model_tags: Annotated[str, Flag(_MODEL, "Tags of the meta graph to load, separated by commas.")] = "serve"
    allow_version_labels_for_unavailable_models: Annotated[
        bool, Flag(_MODEL, "Accept a label of the config file for a version that is not available (yet).")
    ] = False

    port: Annotated[int, Flag(_NETWORK, "TCP port of gRPC; -1 takes a free one.")] = 8500
    rest_api_port: Annotated[int, Flag(_NETWORK, "TCP port of REST; 0 leaves REST off, -1 takes a free one.")] = 8501
    host: Annotated[str, Flag(_NETWORK, "Address to listen on; 0.0.0.0 is every IPv4 interface.")] = "127.0.0.1"
    rest_api_timeout_in_ms: Annotated[
        int, Flag(_NETWORK, "Time limit of a REST request, in milliseconds; 0 or less is none.")
    ] = 30000
    rest_api_enable_cors_support: Annotated[bool, Flag(_NETWORK, "Let web pages of any origin read REST replies.")] = (
        False
    )
    grpc_socket_path: Annotated[
        str, Flag(_NETWORK, "Path of a unix socket for gRPC; a file that a former server left there is replaced.")
    ] = ""
    grpc_channel_arguments: Annotated[
        str, Flag(_NETWORK, "Settings of the gRPC listener: key=value,key=value; see docs/serve.md for the keys.")
    ] = ""
    grpc_max_threads: Annotated[int, Flag(_NETWORK, "Accepted; one thread per CPU reads and writes.", _THREADS)] = 0
    rest_api_num_threads: Annotated[int, Flag(_NETWORK, "Accepted; as --grpc_max_threads.", _THREADS)] = 0
    ssl_config_file: Annotated[
        str, Flag(_NETWORK, "SSLConfig in protobuf's text format: keys and certificates of gRPC.")
    ] = ""
    use_alts_credentials: Annotated[
        bool, Flag(_NETWORK, "Refused; there is no ALTS here, see --ssl_config_file.", refused=_ALTS)
    ] = False
    enable_grpc_healthcheck_service: Annotated[
        bool, Flag(_NETWORK, "Accepted; grpc.health.v1 is always there.", "grpc.health.v1 is always there")
    ] = False
    enable_serialization_as_tensor_content: Annotated[
        bool, Flag(_NETWORK, "Write the numbers of Predict replies as tensor_content.")
    ] = False
    enable_signature_method_name_check: Annotated[
        bool, Flag(_NETWORK, "Refuse Classify and Regress on a signature with another method_name.")
    ] = False
    monitoring_config_file: Annotated[
        str,
        Flag(_NETWORK, "MonitoringConfig in protobuf's text format: whether and where REST shows Prometheus metrics."),
    ] = ""
    drain_seconds: Annotated[
        float, Flag(_NETWORK, "How long requests under way may take to finish after SIGTERM, in seconds.")
    ] = 30.0

    file_system_poll_wait_seconds: Annotated[
        int, Flag(_VERSIONS, "Pause between two looks for new versions, in seconds; 0 looks once, less than 0 never.")
    ] = 1
    remote_cache_path: Annotated[
        str,
        Flag(
            _VERSIONS, "Where copies of versions from s3:// or gs:// lie while they are served; else a temporary one."
        ),
    ] = ""
    flush_filesystem_caches: Annotated[bool, Flag(_VERSIONS, "Accepted; there is no cache to flush.", _NO_CACHE)] = True
    version_transition: Annotated[
        Transition, Flag(_VERSIONS, "Load the new version before the old one is unloaded, or the other way round.")
    ] = Transition.AVAILABILITY_PRESERVING
    max_num_load_retries: Annotated[int, Flag(_VERSIONS, "Further attempts after a load has failed.")] = 5
    load_retry_interval_micros: Annotated[
        int, Flag(_VERSIONS, "Pause between two attempts to load, in microseconds; less than 0 is none.")
    ] = 60_000_000
    num_load_threads: Annotated[int, Flag(_VERSIONS, "Loads at a time once the server is up; 0 is one.")] = 0
    num_unload_threads: Annotated[int, Flag(_VERSIONS, "Unloads at a time; 0 is one.")] = 0
    enable_model_warmup: Annotated[
        bool, Flag(_VERSIONS, "Replay assets.extra/tf_serving_warmup_requests before a version becomes available.")
    ] = True
    num_request_iterations_for_warmup: Annotated[
        int, Flag(_VERSIONS, "How often each warm-up record is replayed; 0 is once.")
    ] = 0

    execution: Annotated[
        ExecutionMode,
        Flag(
            _EXECUTION,
            "Threads that run a model: auto measures at load and takes the best; caller runs a request's operations in "
            "one thread, pool side by side, both with one core each; default leaves all to TensorFlow. Flags about "
            "parallelism win over it.",
        ),
    ] = ExecutionMode.AUTO
    enable_batching: Annotated[bool, Flag(_EXECUTION, "Run requests that come at about the same time as one.")] = False
    adaptive_batching: Annotated[
        bool,
        Flag(
            _EXECUTION,
            "Batch without waiting: a free thread takes what has come, at most max_batch_size rows. "
            "--enable_batching is not needed beside it.",
        ),
    ] = False
    batching_parameters_file: Annotated[
        str, Flag(_EXECUTION, "BatchingParameters in protobuf's text format: sizes, waiting time, threads.")
    ] = ""
    enable_per_model_batching_parameters: Annotated[
        bool, Flag(_EXECUTION, "Batch the versions with a batching_params.pbtxt, as it says, and no others.")
    ] = False
    tensorflow_session_config_file: Annotated[
        str, Flag(_EXECUTION, "ConfigProto in protobuf's text format, for every session.")
    ] = ""
    platform_config_file: Annotated[
        str,
        Flag(
            _EXECUTION,
            "PlatformConfigMap in text format; flags on sessions, batching, tags, warm-up and TFLite are then ignored.",
        ),
    ] = ""
    thread_pool_factory_config_file: Annotated[
        str, Flag(_EXECUTION, "ThreadPoolFactoryConfig in text format; may name no factory, as none is built in.")
    ] = ""
    tensorflow_session_parallelism: Annotated[int, Flag(_EXECUTION, "Sets both of the following; 0 leaves them.")] = 0
    tensorflow_intra_op_parallelism: Annotated[
        int, Flag(_EXECUTION, "Threads that one operation may use; 0 leaves it to --execution.")
    ] = 0
    tensorflow_inter_op_parallelism: Annotated[
        int, Flag(_EXECUTION, "Size of the pool that runs a request's operations; 0 leaves it to --execution.")
    ] = 0
    device: Annotated[
        DeviceChoice, Flag(_EXECUTION, "auto takes GPUs if there are any; gpu does not start without one.")
    ] = DeviceChoice.AUTO
    visible_devices: Annotated[
        str, Flag(_EXECUTION, "The GPUs to use, as TensorFlow numbers them: 0,1; empty uses all.")
    ] = ""
    gpu_memory_growth: Annotated[
        bool, Flag(_EXECUTION, "Take a GPU's memory bit by bit, as models need it, instead of nearly all at once.")
    ] = False
    per_process_gpu_memory_fraction: Annotated[
        float, Flag(_EXECUTION, "Part of a GPU's memory to take, 0 to 1; 0 leaves it to TensorFlow.")
    ] = 0.0
    mixed_precision: Annotated[
        str, Flag(_EXECUTION, "`bfloat16` lets TensorFlow compute in that precision where it is safe.")
    ] = ""
    prefer_tflite_model: Annotated[
        bool, Flag(_EXECUTION, "Run a version's model.tflite, if it has one, in place of its SavedModel; by LiteRT.")
    ] = False
    num_tflite_pools: Annotated[
        int, Flag(_EXECUTION, "Pools of LiteRT's interpreters for each such version; 0 is one per CPU.")
    ] = 0
    num_tflite_interpreters_per_pool: Annotated[
        int, Flag(_EXECUTION, "Interpreters in each pool; an interpreter runs one request at a time.")
    ] = 1
    xla_cpu_compilation_enabled: Annotated[
        bool, Flag(_EXECUTION, "Accepted; XLA compilation is never disabled here.", _XLA)
    ] = False
    xla_gpu_compilation_enabled: Annotated[
        bool, Flag(_EXECUTION, "Accepted; XLA compilation is never disabled here.", _XLA)
    ] = False
    remove_unused_fields_from_bundle_metagraph: Annotated[
        bool,
        Flag(_EXECUTION, "Accepted; only signatures are ever kept.", "only the signatures are ever kept in memory"),
    ] = True
    enable_profiler: Annotated[bool, Flag(_EXECUTION, "Accepted; there is no profiler service here.", _PROFILER)] = (
        False
    )
    skip_initialize_tpu: Annotated[bool, Flag(_EXECUTION, "Accepted.", "TPUs are not supported")] = False

    log_format: Annotated[
        LogFormat, Flag(_LOGS, "json writes each line of the log as a JSON object, and a line for each request.")
    ] = LogFormat.TEXT
    request_log_max_bytes: Annotated[
        int, Flag(_LOGS, "What the request log of a filename_prefix may take on disk; the oldest files make room.")
    ] = 1 << 30

    def __post_init__(self) -> None:
        if not self.model_config_file:
            self._check_single_model()
        # 0 has upstream's meaning (off), which leaves -1 for "any".
        if self.port == 0 and not self.grpc_socket_path:
            raise UsageError(
                "--port=0 leaves gRPC without a port",
                "take a number, --port=-1 for a free port, or --grpc_socket_path",
            )
        for name in ("port", "rest_api_port"):
            if not -1 <= getattr(self, name) <= 65535:
                raise UsageError(
                    f"--{name}={getattr(self, name)} is no TCP port", "take 1 to 65535, or -1 for a free port"
                )
        if self.use_alts_credentials:
            both = " and --ssl_config_file contradict each other" if self.ssl_config_file else f" is refused: {_ALTS}"
            raise UsageError(f"--use_alts_credentials{both}", "--ssl_config_file names keys for TLS")
        if self.batching_parameters_file and not self.enable_batching and not self.adaptive_batching:
            raise UsageError(
                "server_options.batching_parameters_file is set without setting server_options.enable_batching to "
                "true.",
                "add --enable_batching or --adaptive_batching, or leave the file out",
            )
        if self.request_log_max_bytes <= 0:
            raise UsageError(
                f"--request_log_max_bytes={self.request_log_max_bytes} leaves no room for a request",
                "a logging_config of the model config file says whether there is a log at all",
            )
        if not 0 <= self.per_process_gpu_memory_fraction <= 1:
            fraction = f"--per_process_gpu_memory_fraction={self.per_process_gpu_memory_fraction:g}"
            raise UsageError(f"{fraction} is no part of a GPU's memory", "take a number from 0 to 1")
        if self.device not in tuple(DeviceChoice):
            raise UsageError(f"--device={self.device} is no device", "take auto, cpu or gpu")
        if self.execution not in tuple(ExecutionMode):
            raise UsageError(f"--execution={self.execution} is unknown", "take auto, default, caller or pool")
        if not re.fullmatch(r"(\d+(,\d+)*)?", self.visible_devices):
            raise UsageError(
                f"--visible_devices={self.visible_devices} is no list of GPUs", "write their numbers: 0 or 0,1"
            )
        parallelism = (
            self.tensorflow_session_parallelism,
            self.tensorflow_intra_op_parallelism,
            self.tensorflow_inter_op_parallelism,
        )
        if all(threads > 0 for threads in parallelism):
            raise UsageError(
                "--tensorflow_session_parallelism contradicts --tensorflow_intra_op_parallelism and "
                "--tensorflow_inter_op_parallelism",
                "leave out the first or the other two",
            )

    def _check_single_model(self) -> None:
        if not self.model_base_path:
            raise UsageError(
                "there is no model to serve",
                "give --model_base_path=DIR with the versions in it, or --model_config_file",
            )
        if not self.model_name:
            raise UsageError("--model_name is empty", "give the model a name, or leave the flag out")

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of the meta graph to load."""
        return tuple(self.saved_model_tags.split(","))

    def without_effect(self) -> list[str]:
        """Return one line for each option that was set although it does nothing here."""
        hints = get_type_hints(type(self), include_extras=True)
        flags = {
            name: metadata for name, hint in hints.items() for metadata in get_args(hint) if isinstance(metadata, Flag)
        }
        return [
            f"--{name} has no effect: {flag.without_effect}"
            for name, flag in flags.items()
            if flag.without_effect and getattr(self, name) != getattr(type(self), name)
        ]
