"""The Rust data plane: gRPC and REST in front of TensorFlow's C API."""

from collections.abc import Callable, Mapping, Sequence
from typing import final

from tfs.serve.executor import Executor

__all__ = ["Addresses", "Device", "Engine", "EngineError", "LoadReport", "__version__"]

__version__: str

class EngineError(Exception):
    """A failure inside the engine.

    `code` is the canonical gRPC status code (5 is NOT_FOUND), `code_name` its name, `message` one line of text.
    """

    code: int
    code_name: str
    message: str

@final
class LoadReport:
    """What loading one version took."""

    @property
    def seconds(self) -> float:
        """Seconds from the start of the load until the version could be routed, warm-up included."""
    @property
    def warmup_records(self) -> int:
        """How many warm-up records were replayed."""
    @property
    def signatures(self) -> list[str]:
        """The names of the signatures, sorted."""
    @property
    def execution(self) -> str | None:
        """One line: which execution plan the version has, with what was measured or why nothing was.

        None if TensorFlow does not execute it.
        """

@final
class Addresses:
    """Where the engine listens: `host:port` with the port that was really bound, or None if that protocol is off."""

    @property
    def grpc(self) -> str | None: ...
    @property
    def rest(self) -> str | None: ...

@final
class Device:
    """A CPU or an accelerator that TensorFlow has found."""

    @property
    def name(self) -> str:
        """Type and number, as `GPU:0`."""
    @property
    def kind(self) -> str:
        """`CPU`, `GPU`, ..."""
    @property
    def memory_bytes(self) -> int:
        """What TensorFlow may take of its memory; without a meaning for a CPU."""

@final
class Engine:
    """One process-wide TensorFlow with any number of loaded versions, and the listeners in front of them.

    All methods may be called from any thread; those that block release the GIL. Every failure raises EngineError.

    Args:
        tensorflow_library: path of `libtensorflow_cc.so.2`; opened here, once per process.
        op_libraries: custom-op libraries, loaded when the first model asks for an op that TensorFlow does not know
            (none if left out).
        session_config: a serialized `tensorflow.ConfigProto` for every session (an empty one if left out).
        in_caller_thread: run graphs in the thread that calls TensorFlow instead of its inter-op pool. Small models gain
            most: the hand-over between threads costs more than their arithmetic.
        run_threads: threads that run models; 0 means one per CPU.
        batch_threads: threads that run batches; 0 means that no version can be batched.
        batch_pool_name: what metrics call these threads.
        log: called with a level (as in `logging`) and a line, seldom and on threads of the engine; without it the lines
            go to stderr.
        example_request: if given, each load measures whether its version is better executed in another way than
            `session_config` and `in_caller_thread` say: in TensorFlow's inter-op pool, or with all cores for each
            operation. It is done with the version's warm-up records, or else with what this returns for the name and
            the serialized `SignatureDef` of a signature: a serialized `PredictRequest`. Needs
            `TF_OVERRIDE_GLOBAL_THREADPOOL=1` in the environment before the library is opened.
        give_way: called with the native ids of threads that are about to load or free a version while others are
            served, and whether they may start threads that stay: makes them give way to those that answer requests.
    """

    def __new__(
        cls,
        *,
        tensorflow_library: str,
        op_libraries: Sequence[str] = ...,
        session_config: bytes = ...,
        in_caller_thread: bool = True,
        run_threads: int = 0,
        batch_threads: int = 0,
        batch_pool_name: str = "batch_threads",
        log: Callable[[int, str], object] | None = None,
        example_request: Callable[[str, bytes], bytes] | None = None,
        give_way: Callable[[Sequence[int], bool], None] | None = None,
    ) -> Engine: ...
    @property
    def tensorflow_version(self) -> str:
        """The version that the opened library reports."""
    @property
    def devices(self) -> list[Device]:
        """What models are computed on, as far as the session config lets TensorFlow see it."""
    def load(
        self,
        model: str,
        version: int,
        path: str,
        *,
        tags: Sequence[str] = ...,
        warmup: bool = True,
        warmup_iterations: int = 1,
        batching: Mapping[str, object] | None = None,
        executor: Executor | None = None,
    ) -> LoadReport:
        """Load the SavedModel in `path` and replay its warm-up records; it is not reachable before `route`.

        The meta graph is the one with exactly these tags (`serve` if left out). Blocks; any failure (broken files,
        wrong tags, a failing warm-up record) leaves nothing behind.
        `batching` has the keys of `tfs.serve.batching.BatchingParameters`; None runs each request alone.
        `executor` runs the version in place of TensorFlow, which then reads nothing; `path` has its warm-up records.
        """
    def route(self, model: str, versions: Sequence[int], labels: Mapping[str, int]) -> None:
        """Set, in one atomic step, which loaded versions of `model` requests may reach (none: the model is gone)."""
    def publish(self, model: str, states: Sequence[tuple[int, int, int, str]]) -> None:
        """Set what GetModelStatus answers for `model`: (version, state, error code, error message), newest first.

        States are those of `ModelVersionStatus`: START 10, LOADING 20, AVAILABLE 30, UNLOADING 40, END 50.
        """
    def unload(self, model: str, version: int) -> None:
        """Wait until no request uses the version any more, then free it. It must not be routed any longer."""
    def line(self) -> tuple[int, Sequence[tuple[str, int, bool]]]:
        """Return how many requests, or batches of them, wait for a thread that runs models.

        Also, for each loaded version, its model, how many calls this has had so far, and whether they are run by the
        threads that read requests, so that nobody waits in line for them.
        """
    def log_requests(self, models: Mapping[str, tuple[str, float, bytes]], max_bytes: int) -> None:
        """Log the requests to these models from now on, and to no others; no version needs to be loaded again.

        Args:
            models: model -> what the names of its files begin with (an absolute path), the part of the requests that is
                logged (0 to 1), and the serialized `SamplingConfig` for the records.
            max_bytes: what the files of one prefix may take on disk together.
        """
    def listen(
        self,
        *,
        grpc: str | None,
        rest: str | None,
        grpc_socket: str | None = None,
        tls: tuple[str, str, str | None, bool] | None = None,
        rest_timeout_ms: int = 30000,
        check_method_name: bool = False,
        tensor_content: bool = False,
        cors: bool = False,
        metrics_path: str | None = None,
        access_log: bool = False,
        http2: Mapping[str, int] = ...,
        reload_config: Callable[[bytes], tuple[int, str]] | None = None,
        descriptors: Callable[[], bytes] | None = None,
    ) -> Addresses:
        """Open the ports; if one cannot be opened, none is.

        Args:
            grpc: `host:port`; port 0 takes a free one, None leaves the protocol off.
            rest: as `grpc`.
            grpc_socket: path of a unix socket for gRPC; a file that a former server left there is replaced.
            tls: for gRPC, PEM texts: server key, server certificate, the clients' authority or None; and whether a
                client must show a certificate.
            rest_timeout_ms: how long a REST request may run; 0 or less is no limit.
            check_method_name: Classify and Regress insist on the method_name of a signature.
            tensor_content: Predict replies carry numbers as `tensor_content`.
            cors: REST replies allow web pages of any origin to read them.
            metrics_path: where REST shows the metrics to Prometheus; None shows them nowhere.
            access_log: each request, but for health checks, leaves a line of JSON on stderr.
            http2: limits of the gRPC listeners; any of keepalive_time_ms, keepalive_timeout_ms, max_connection_age_ms,
                max_connection_age_grace_ms, max_concurrent_streams, max_receive_message_bytes. Left out is no limit.
            reload_config: called with each serialized `ReloadConfigRequest`, on a thread of its own; it may block, and
                returns a canonical status code (0 is OK) with a message. Without it the request is UNIMPLEMENTED.
            descriptors: called when the first client asks for server reflection; returns a serialized
                `FileDescriptorSet` of all services. Without it there is no reflection.
        """
    def run_loop(
        self,
        model: str,
        version: int,
        requests: Sequence[bytes],
        *,
        seconds: float,
        threads: int,
        rate: float | None = None,
    ) -> tuple[float, list[float], dict[str, tuple[int, str]]]:
        """Run a loaded version over and over with no network between; return what was measured.

        Args:
            model: its name.
            version: its number.
            requests: serialized `PredictRequest`s, taken in turn; they are decoded once, outside of the loop. One that
                cannot be decoded fails each time.
            seconds: how long new runs begin.
            threads: how many run at a time.
            rate: runs per second that become due, whether those before have ended or not; None for a closed loop.

        Returns:
            The seconds until the last run had ended; those of each run that went well, with a `rate` from the moment
            when it was due, so that waiting for a thread counts; and of the others by the name of the code how many
            there were, and the first one's message.
        """
    def shutdown(self, drain_seconds: float) -> bool:
        """Stop accepting, wait up to `drain_seconds` for requests under way, close; True if all were answered.

        What the request log has accepted is written before this returns. An executor's run that is under
        way is waited for in any case.
        """
