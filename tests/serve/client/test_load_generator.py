"""The load generator against a server whose speed is known: one answer at a time, each after 20 ms."""

import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tfs.serve.client.address import parse_address
from tfs.serve.client.load_generator import run_step
from tfs.serve.client.load_plan import Load, Step
from tfs.serve.client.request import Method

_SECONDS = 0.02


class _OneAtATime(BaseHTTPRequestHandler):
    lock = threading.Lock()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.lock:
            time.sleep(_SECONDS)
        status = 503 if body == b"bad" else 200
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"no room" if status == 503 else b"{}")

    def log_message(self, *arguments):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@pytest.fixture(scope="module")
def load():
    """Make a load on the server."""
    with _Server(("127.0.0.1", 0), _OneAtATime) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = parse_address(f"http://127.0.0.1:{server.server_port}")

        def new(*payloads, seconds=0.8):
            return Load(address, Method.PREDICT, "/v1/models/m:predict", payloads or (b"{}",), 0.1, seconds, 1, 30.0)

        yield new
        server.shutdown()


def test_a_closed_loop_waits_for_each_answer(load):
    told = []
    result = run_step(load(), Step(concurrency=2), 1, lambda seconds, count: told.append(count))
    # Two are under way and one is answered at a time.
    assert 0.5 / _SECONDS < result.throughput <= 1.05 / _SECONDS
    assert result.percentiles[50] >= 1.5 * _SECONDS * 1e3
    assert result.failures == {}
    assert told == sorted(told)
    assert told[-1] > 0


def test_an_open_loop_counts_the_waiting_of_what_was_due(load):
    """At twice the rate that can be answered the last request waits about as long as the load lasted."""
    result = run_step(load(), Step(rate=2 / _SECONDS), 2, lambda seconds, count: None)
    assert result.requests == pytest.approx(0.8 * 2 / _SECONDS, abs=2)
    assert result.largest >= 0.6 * 0.8 * 1e3
    assert result.throughput < 1.2 / _SECONDS
    assert not result.kept_up


def test_failures_are_counted_by_code_with_a_message(load):
    result = run_step(load(b"{}", b"bad", seconds=0.4), Step(concurrency=1), 1, lambda seconds, count: None)
    assert list(result.failures) == ["503"]
    assert result.failures["503"].message == "no room"
    assert abs(result.failures["503"].count - result.requests) <= 1


def test_nobody_there_is_a_failure_too(load):
    nobody = replace(load(seconds=0.2), address=parse_address("http://127.0.0.1:1"))
    result = run_step(nobody, Step(concurrency=1), 1, lambda seconds, count: None)
    assert result.requests == 0
    assert list(result.failures) == ["no connection"]
