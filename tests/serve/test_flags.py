"""Flags whose effect is seen from outside."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from running_server import Models, RunningServer, publish

from tfs.savedmodel import protos

Launch = Callable[..., RunningServer]


@pytest.fixture
def serve_one(models: Models, tmp_path: Path, launch: Launch) -> Callable[..., RunningServer]:
    """Start a server with version 1 of the model `m` and further flags."""

    def new(*flags: str, model: str = "half_plus_two") -> RunningServer:
        base = tmp_path / model
        if not base.exists():
            publish(getattr(models, model), base, 1)
        return launch("--model_name=m", f"--model_base_path={base}", *flags)

    return new


def predict(channel: grpc.Channel, x: float) -> Any:
    tensor = protos.load("tensor_pb2").TensorProto(dtype=1, float_val=[x])
    tensor.tensor_shape.dim.add(size=1)
    request = protos.load("predict_pb2").PredictRequest(inputs={"x": tensor})
    request.model_spec.name = "m"
    return protos.load("prediction_service_pb2_grpc").PredictionServiceStub(channel).Predict(request, timeout=10)


def test_a_unix_socket_replaces_what_a_former_server_left(
    serve_one: Callable[..., RunningServer], tmp_path: Path
) -> None:
    path = tmp_path / "grpc.sock"
    with socket.socket(socket.AF_UNIX) as former:
        former.bind(str(path))
    server = serve_one("--port=0", f"--grpc_socket_path={path}").wait_until_ready()
    assert server.grpc_address == f"unix:{path}"
    # Clients on top of gRPC's C core name the socket's percent-encoded path as authority; others name a host.
    for options in ([], [("grpc.default_authority", "localhost")]):
        with grpc.insecure_channel(f"unix:{path}", options) as channel:
            assert [predict(channel, x).outputs["y"].float_val[:] for x in (2.0, 4.0, 6.0)] == [[3.0], [4.0], [5.0]]
    assert server.rest_predict("m", 2.0).json() == {"predictions": [3.0]}
    assert server.stop() == 0


def test_a_socket_that_cannot_be_opened_ends_the_start(serve_one: Callable[..., RunningServer]) -> None:
    server = serve_one("--grpc_socket_path=/nowhere/grpc.sock")
    assert server.exit_code() == 1
    assert server.lines[-1].startswith("error: cannot listen for gRPC on the socket /nowhere/grpc.sock: ")
    assert server.lines[-1].endswith("(choose another one with --host, --port, --rest_api_port or --grpc_socket_path)")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca, server and client: NAME.key and NAME.pem; the authority `ca` has signed the other two."""
    folder = tmp_path_factory.mktemp("keys")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "2")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)
    return folder


def ssl_config(file: Path, keys: Path, extra: str = "") -> str:
    fields = [f'server_key: "{keys / "server.key"}"', f'server_cert: "{keys / "server.pem"}"', extra]
    text = " ".join(fields)
    for path in keys.iterdir():
        text = text.replace(str(path), path.read_text().replace("\n", "\\n"))
    file.write_text(text)
    return f"--ssl_config_file={file}"


def secure(address: str, keys: Path, *, client: bool = False) -> grpc.Channel:
    pair = ((keys / "client.key").read_bytes(), (keys / "client.pem").read_bytes()) if client else (None, None)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials((keys / "ca.pem").read_bytes(), *pair))


def test_tls_on_grpc_and_none_on_rest(serve_one: Callable[..., RunningServer], keys: Path, tmp_path: Path) -> None:
    server = serve_one(ssl_config(tmp_path / "ssl.config", keys)).wait_until_ready()
    with secure(server.grpc_address, keys) as channel:
        assert predict(channel, 2.0).outputs["y"].float_val[:] == [3.0]
    with grpc.insecure_channel(server.grpc_address) as channel, pytest.raises(grpc.RpcError) as caught:
        predict(channel, 2.0)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert server.rest_predict("m", 2.0).json() == {"predictions": [3.0]}
    assert server.stop() == 0


def test_client_verify_demands_a_certificate(
    serve_one: Callable[..., RunningServer], keys: Path, tmp_path: Path
) -> None:
    extra = f'custom_ca: "{keys / "ca.pem"}" client_verify: true'
    server = serve_one(ssl_config(tmp_path / "ssl.config", keys, extra)).wait_until_ready()
    with secure(server.grpc_address, keys, client=True) as channel:
        assert predict(channel, 2.0).outputs["y"].float_val[:] == [3.0]
    with secure(server.grpc_address, keys) as channel, pytest.raises(grpc.RpcError) as caught:
        predict(channel, 2.0)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('server_cert: "x"', "`{file}` has no server_key (it holds the PEM text itself, not the name of a file)"),
        ('server_key: "x" server_cert: "y"', "the keys of the SSL config cannot be used: "),
        ("server_key: 1", "Error parsing text-format tensorflow.serving.SSLConfig: 1:13: "),
    ],
)
def test_an_ssl_config_that_cannot_be_used_ends_the_start(
    serve_one: Callable[..., RunningServer], tmp_path: Path, text: str, error: str
) -> None:
    file = tmp_path / "ssl.config"
    file.write_text(text)
    server = serve_one(f"--ssl_config_file={file}")
    assert server.exit_code() == 1
    assert server.lines[-1].startswith("error: " + error.replace("{file}", str(file)))
    assert "Traceback" not in server.log


def test_switches_of_the_replies(serve_one: Callable[..., RunningServer]) -> None:
    def answers(*flags: str) -> tuple[str | None, bytes, list[float], str]:
        server = serve_one(*flags).wait_until_ready()
        origin = server.rest_predict("m", 2.0).headers.get("access-control-allow-origin")
        output = predict(server.channel, 2.0).outputs["y"]
        url = f"http://{server.rest_address}/v1/models/m:regress"
        refusal = httpx.post(url, json={"examples": [{"x": 1.0}]}).json()["error"]
        assert server.stop() == 0
        return origin, output.tensor_content, list(output.float_val), refusal

    origin, content, values, refusal = answers()
    assert (origin, content, values) == (None, b"", [3.0])
    assert "method_name" not in refusal
    origin, content, values, refusal = answers(
        "--rest_api_enable_cors_support",
        "--enable_serialization_as_tensor_content=true",
        "--enable_signature_method_name_check",
    )
    assert (origin, content, values) == ("*", b"\x00\x00\x40\x40", [])
    assert refusal.startswith("Expected regression signature method_name to be ")


def test_a_session_config_file_reaches_tensorflow(serve_one: Callable[..., RunningServer], tmp_path: Path) -> None:
    file = tmp_path / "session.config"
    for text, error in (
        ("intra_op_parallelism_threads: many", "Error parsing text-format tensorflow.ConfigProto: 1:31: "),
        ("device_filters: 'no such device'", "Invalid device filter: no such device"),  # TensorFlow's own words
    ):
        file.write_text(text)
        server = serve_one(f"--tensorflow_session_config_file={file}")
        assert server.exit_code() == 1
        assert server.lines[-1].startswith("error: ")
        assert error in server.lines[-1]


@pytest.mark.skipif(
    "avx512_bf16" not in Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else True,
    reason="TensorFlow computes in bfloat16 only on CPUs with avx512_bf16",
)
def test_mixed_precision_computes_in_bfloat16(serve_one: Callable[..., RunningServer]) -> None:
    server = serve_one("--mixed_precision=bfloat16", model="layers").wait_until_ready()
    y = server.predict("m", 1.0)[1]
    assert y != pytest.approx(64 / 21, abs=1e-5)
    assert y == pytest.approx(64 / 21, abs=0.02)
    assert server.stop() == 0


def test_what_has_no_effect_here_is_accepted_and_logged(serve_one: Callable[..., RunningServer]) -> None:
    flags = ("--skip_initialize_tpu", "--xla_cpu_compilation_enabled", "--enable_grpc_healthcheck_service")
    server = serve_one(*flags).wait_until_ready()
    logged = [line.split(" has no effect: ")[0].split()[-1] for line in server.lines if " has no effect: " in line]
    assert sorted(logged) == sorted(flags)
    assert server.stop() == 0


def test_a_model_that_is_compiled_with_xla_needs_no_flag(serve_one: Callable[..., RunningServer]) -> None:
    server = serve_one(model="compiled").wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)
    assert server.stop() == 0
