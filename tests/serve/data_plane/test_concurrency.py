"""Many requests at once: each is answered by one version, and none suffers from another one's client."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from clients import Client, refusal, request, spec
from raw_http import predict_request
from running_server import AVAILABLE, END, UNLOADING, Models, RunningServer, publish
from tensor_protos import tensor

# The slow model counts to x, which takes about 3 us a step.
HALF_A_SECOND, LONG = 150_000.0, 500_000.0


def numbers(*values: float) -> object:
    return tensor("DT_FLOAT", [len(values)], float_val=values)


class Slow(Client):
    """Clients of a server with the model `switching`, whose version 1 is slow, and the model `line`, which is not."""

    def over_grpc(self, x: float, model: str = "switching", version: int | None = None) -> tuple[int, float]:
        reply = self.predict(request(model_spec=spec(model, version=version), x=numbers(x)))
        return reply.model_spec.version.value, reply.outputs["y"].float_val[0]

    def over_rest(self, x: float, model: str = "switching") -> float:
        answer: float = self.answer({"instances": [x]}, f"/v1/models/{model}:predict")["predictions"][0]
        return answer


@pytest.fixture
def base(models: Models, tmp_path: Path) -> Path:
    publish(models.slow, tmp_path / "switching", 1)
    publish(models.half_plus_two, tmp_path / "line", 1)
    return tmp_path


@pytest.fixture
def client(base: Path) -> Iterator[Slow]:
    yield from _serve(base)


@pytest.fixture(scope="module")
def steady(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    """Clients of a server whose versions stay."""
    base = tmp_path_factory.mktemp("steady")
    publish(models.slow, base / "switching", 1)
    publish(models.half_plus_two, base / "line", 1)
    yield from _serve(base, "--rest_api_timeout_in_ms=2500")


def _serve(base: Path, *flags: str) -> Iterator[Slow]:
    configs = [
        f'config {{ name: "{name}" base_path: "{base / name}" model_platform: "tensorflow" }}'
        for name in ("switching", "line")
    ]
    (base / "models.config").write_text(f"model_config_list {{ {' '.join(configs)} }}")
    with RunningServer(f"--model_config_file={base / 'models.config'}", *flags) as server, Slow(server) as client:
        yield client


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_request_keeps_its_version_until_it_is_answered(
    client: Slow, models: Models, base: Path, protocol: str
) -> None:
    failures: list[str] = []
    answers: list[tuple[int, float]] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                answers.append(client.over_grpc(2.0))
            except grpc.RpcError as error:
                failures.append(str(error))

    with ThreadPoolExecutor() as pool:
        asker = pool.submit(keep_asking)
        slow = pool.submit(client.over_grpc if protocol == "grpc" else client.over_rest, LONG * 2)
        publish(models.half_plus_three, base / "switching", 2)
        client.server.wait_for_states("switching", {2: AVAILABLE, 1: UNLOADING})
        assert client.over_grpc(2.0) == (2, 4.0)
        assert client.over_rest(2.0) == 4.0
        missing = request(model_spec=spec("switching", version=1), x=numbers(1))
        not_found = "Servable not found for request: Specific(switching, 1)"
        assert refusal(client.predict, missing) == ("NOT_FOUND", not_found)
        assert not slow.done(), "all this while version 1 still computes"
        assert slow.result(30) == ((1, LONG * 2) if protocol == "grpc" else LONG * 2)
        client.server.wait_for_states("switching", {2: AVAILABLE, 1: END})
        stop.set()
        asker.result(30)
    assert failures == []
    assert set(answers) == {(1, 2.0), (2, 4.0)}
    assert sorted(answers) == answers, "once version 2 has answered, version 1 does not any more"


def test_many_clients_at_once_get_their_own_answers(steady: Slow) -> None:
    def ask(client: int) -> None:
        with httpx.Client(base_url=f"http://{steady.server.rest_address}", timeout=60) as http:
            for turn in range(25):
                x = 1000.0 * client + turn
                assert steady.over_grpc(x, "line") == (1, 0.5 * x + 2)
                body = {"instances": [x, x + 1]}
                answer = http.post("/v1/models/line:predict", json=body).json()
                assert answer == {"predictions": [0.5 * x + 2, 0.5 * x + 2.5]}

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(ask, client) for client in range(16)]:
            done.result(60)


def _leave_over_rest(client: Slow) -> Callable[[], object]:
    host, port = client.server.rest_address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=10)
    body = f'{{"instances": [{HALF_A_SECOND}]}}'.encode()
    connection.sendall(predict_request(body, "/v1/models/switching:predict"))
    return connection.close


def _leave_over_grpc(client: Slow) -> Callable[[], object]:
    sent = request(model_spec=spec("switching"), x=numbers(HALF_A_SECOND))
    future = client.prediction.Predict.future(sent, timeout=60)
    return future.cancel


@pytest.mark.parametrize("leave", [_leave_over_rest, _leave_over_grpc], ids=["rest", "grpc"])
def test_requests_whose_clients_have_left_are_not_run(
    steady: Slow, leave: Callable[[Slow], Callable[[], object]]
) -> None:
    leavers = [leave(steady) for _ in range(100)]
    time.sleep(0.1)  # sent and read; a few are running
    for go in leavers:
        go()
    start = time.monotonic()
    assert steady.over_grpc(1.0) == (1, 1.0)
    # Two threads would be busy with a hundred of them for 25 s.
    assert time.monotonic() - start < 10


def test_half_a_request_is_no_burden(steady: Slow) -> None:
    host, port = steady.server.rest_address.rsplit(":", 1)
    whole = predict_request(b'{"instances": [2.0]}', "/v1/models/line:predict")
    for end in (1, 20, len(whole) - 1):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(whole[:end])
            assert steady.over_rest(2.0, "line") == 3.0
    grpc_host, grpc_port = steady.server.grpc_address.rsplit(":", 1)
    for garbage in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection((grpc_host, int(grpc_port)), timeout=10) as connection:
            connection.sendall(garbage)
            assert steady.over_grpc(2.0, "line") == (1, 3.0)


def test_a_deadline_ends_a_slow_call(steady: Slow) -> None:
    sent = request(model_spec=spec("switching"), x=numbers(LONG))
    start = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        steady.predict(sent, timeout=0.3)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - start < 1
    assert steady.over_grpc(1.0) == (1, 1.0)


def test_the_server_itself_keeps_the_deadline(steady: Slow, tmp_path: Path) -> None:
    """A client that goes on waiting is told so."""
    import subprocess

    message = request(model_spec=spec("switching"), x=numbers(LONG)).SerializeToString()
    frame = tmp_path / "frame"
    frame.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    url = f"http://{steady.server.grpc_address}/tensorflow.serving.PredictionService/Predict"
    headers = ["content-type: application/grpc", "te: trailers", "grpc-timeout: 300m"]
    options = [part for header in headers for part in ("-H", header)]
    command = ["curl", "-sS", "--http2-prior-knowledge", "-D", "-", "-o", "/dev/null", "--data-binary", f"@{frame}"]
    start = time.monotonic()
    done = subprocess.run([*command, *options, url], capture_output=True, text=True, timeout=60, check=True)
    assert time.monotonic() - start < 1.2
    assert "grpc-status: 4" in done.stdout.lower(), done.stdout


def test_rest_api_timeout_in_ms_bounds_the_run(steady: Slow) -> None:
    start = time.monotonic()
    response = steady.post({"instances": [2 * LONG]}, "/v1/models/switching:predict")
    assert (response.status_code, list(response.json())) == (504, ["error"])
    assert 2.4 < time.monotonic() - start < 3.5
    assert steady.over_rest(1.0) == 1.0


def test_requests_over_one_http2_connection_are_answered_on_their_own(client: Slow) -> None:
    """A slow one, a large one and a broken one hold up none of many short ones, nor change their answers."""
    order: list[str] = []

    async def post(http: httpx.AsyncClient, name: str, model: str, body: bytes) -> httpx.Response:
        response = await http.post(f"/v1/models/{model}:predict", content=body)
        order.append(name)
        return response

    async def all_at_once() -> list[httpx.Response]:
        rows = b",".join(b"1.0" for _ in range(500_000))  # 2 MB in flight are more than HTTP/2 allows by itself
        others = [("slow", "switching", b'{"instances": [%d]}' % LONG), ("broken", "line", b'{"instances": [')]
        large = ("large", "line", b'{"instances": [%s]}' % rows)
        short = [(f"{number}", "line", b'{"instances": [%d]}' % number) for number in range(80)]
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(
            base_url=f"http://{client.server.rest_address}", http1=False, http2=True, limits=limits, timeout=60
        ) as http:
            return await asyncio.gather(*(post(http, *sent) for sent in [*others, large, *short]))

    slow, broken, large, *short = asyncio.run(all_at_once())
    assert {response.http_version for response in [slow, broken, large, *short]} == {"HTTP/2"}
    assert slow.json() == {"predictions": [LONG]}
    assert (broken.status_code, list(broken.json())) == (400, ["error"])
    assert len(large.json()["predictions"]) == 500_000
    assert [response.json()["predictions"] for response in short] == [[0.5 * number + 2] for number in range(80)]
    assert order.index("slow") > max(order.index(f"{number}") for number in range(80))
