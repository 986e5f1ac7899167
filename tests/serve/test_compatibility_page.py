"""docs/compatibility.md says what is there: no more and no less."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import grpc
import httpx
import pytest
from running_server import Models, RunningServer, model_server_config, publish

from tfs.serve.options import Flag, ServerOptions

_PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text()

# tensorflow_model_server --help, in its order; `version` is not an option of a server.
_UPSTREAM = re.findall(
    r"\w+",
    """
port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support
enable_batching allow_version_labels_for_unavailable_models batching_parameters_file
enable_per_model_batching_parameters model_config_file model_config_file_poll_wait_seconds model_name model_base_path
num_load_threads num_unload_threads max_num_load_retries load_retry_interval_micros file_system_poll_wait_seconds
flush_filesystem_caches tensorflow_session_parallelism tensorflow_session_config_file tensorflow_intra_op_parallelism
tensorflow_inter_op_parallelism use_alts_credentials ssl_config_file platform_config_file
per_process_gpu_memory_fraction saved_model_tags grpc_channel_arguments grpc_max_threads enable_model_warmup
num_request_iterations_for_warmup version monitoring_config_file remove_unused_fields_from_bundle_metagraph
prefer_tflite_model num_tflite_pools num_tflite_interpreters_per_pool enable_signature_method_name_check
xla_cpu_compilation_enabled xla_gpu_compilation_enabled enable_profiler thread_pool_factory_config_file
mixed_precision skip_initialize_tpu enable_grpc_healthcheck_service enable_serialization_as_tensor_content
""",
)


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table after a line that begins so, without its head."""
    after = _PAGE[_PAGE.index(f"\n{heading}") :]
    table = re.search(r"^\|.*?(?=^\s*$|\Z)", after, re.MULTILINE | re.DOTALL)
    assert table is not None
    lines = table[0].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


def unquoted(cell: str) -> str:
    return cell.strip("`").removeprefix("--")


def test_every_flag_stands_there_with_its_true_status() -> None:
    page = {unquoted(flag): status for flag, status, _ in rows("## Flags")}
    assert sorted(page) == sorted(_UPSTREAM)
    hints = get_type_hints(ServerOptions, include_extras=True)
    flags = {name: entry for name, hint in hints.items() for entry in get_args(hint) if isinstance(entry, Flag)}
    for name, status in page.items():
        if name == "version":
            continue  # of the command; its test is beside the other tests of the command
        assert status == _status(flags.get(name)), name
    own = {unquoted(flag) for flag, _ in rows("Flags that only")}
    assert own == flags.keys() - page.keys()


def _status(flag: Flag | None) -> str:
    if flag is None:
        return "not yet"
    return "refused" if flag.refused else "accepted" if flag.without_effect else "works"


@pytest.fixture(scope="module")
def server(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("compatibility")
    publish(models.half_plus_two, folder / "m", 1)
    config = folder / "models.config"
    config.write_text(model_server_config(m=(folder / "m", 'version_labels { key: "stable" value: 1 }')))
    flags = (f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models")
    with RunningServer(*flags) as server:
        yield server


@pytest.mark.parametrize(("method", "status", "remark"), rows("## gRPC"))
def test_every_method_is_there_as_the_page_says(server: RunningServer, method: str, status: str, remark: str) -> None:
    call: Callable[..., bytes] = server.channel.unary_unary(f"/{unquoted(method)}")
    try:
        call(b"", timeout=10)
        registered = True
    except grpc.RpcError as error:
        registered = error.code() is not grpc.StatusCode.UNIMPLEMENTED
    assert status == ("works" if registered else "not yet")


@pytest.mark.parametrize(("request_line", "body", "reply"), rows("## REST"))
def test_every_request_is_answered_as_the_page_says(
    server: RunningServer, request_line: str, body: str, reply: str
) -> None:
    verb, path = unquoted(request_line).split()
    got = httpx.request(verb, f"http://{server.rest_address}{path}", content=body.strip("`") or None)
    assert got.status_code == int(reply), got.text


def test_statuses_are_those_that_are_explained() -> None:
    tables = [*rows("## Flags"), *rows("## gRPC"), *rows("## Config by")]
    assert {status for _, status, _ in tables} == set(re.findall(r"\*\*(.+?)\*\*: ", _PAGE))
