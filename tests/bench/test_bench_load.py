"""A run in which requests fail gives no figure; an open loop counts what a stall costs."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import pytest
from loads import Call, FailedRequestsError, MissingToolError, grpc_load, open_loop, require_tool, rest_load
from loads.ghz import arrivals_of
from models import predict_request


def _is_installed(tool):
    try:
        require_tool(tool)
    except MissingToolError:
        return False
    return True


_needs_h2load = pytest.mark.skipif(not _is_installed("h2load"), reason="h2load not installed (make bench-tools)")
_needs_ghz = pytest.mark.skipif(not _is_installed("ghz"), reason="ghz not installed (make bench-tools)")
_PREDICT = "/tensorflow.serving.PredictionService/Predict"


@_needs_h2load
def test_grpc_errors_count_although_their_http_status_is_200(tmp_path):
    server = grpc.server(ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        call = Call(f"127.0.0.1:{port}", "/no.Service/Method", b"", reply_bytes=2)
        with pytest.raises(FailedRequestsError, match=r"^h2load /no.Service/Method: \d+ done, 0 bytes of replies$"):
            grpc_load(call, clients=1, streams=1, seconds=0.3, scratch=tmp_path)
    finally:
        server.stop(None).wait()


@_needs_h2load
def test_http_errors_count(tmp_path):
    class Refusing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        try:
            with pytest.raises(FailedRequestsError, match=rf"^h2load {url}: \d+ done, 0 succeeded"):
                rest_load([url], b"{}", connections=1, seconds=0.5, scratch=tmp_path)
        finally:
            server.shutdown()


@_needs_ghz
def test_an_open_loop_counts_the_requests_that_wait_for_a_stall(tmp_path):
    """One thread, which sleeps for half a second once: a closed loop would see one slow request, here are many."""
    requests = []

    def predict(request, context):
        requests.append(request)
        time.sleep(0.5 if len(requests) == 20 else 0)
        return b""

    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {"Predict": grpc.unary_unary_rpc_method_handler(predict)}
    handler = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", handlers)
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        call = Call(f"127.0.0.1:{port}", _PREDICT, predict_request("any", {}), reply_bytes=0)
        arrivals = open_loop(call, rate=100, seconds=1.5, scratch=tmp_path)
    finally:
        server.stop(None).wait()
    assert len(requests) == len(arrivals.due) == 150
    assert arrivals.failed() == {}
    assert 30 < (arrivals.latency > 100_000).sum() < 80
    assert arrivals.latency.max() > 450_000
    assert arrivals.sample(within=100_000).rate < 80 < arrivals.sample().rate


def test_latency_counts_from_the_schedule_that_the_requests_should_have_had():
    starts = [1_000_000, 11_000_000, 45_000_000, 45_100_000]  # ns; the third and the fourth were due at 21 and 31 ms
    latencies = [2_000_000, 2_000_000, 2_000_000, 2_000_000]
    ends = np.array(starts) + latencies
    details = [
        {"timestamp": f"{np.datetime64(int(end), 'ns')}Z", "latency": latency, "status": "OK"}
        for end, latency in zip(ends, latencies, strict=True)
    ]
    arrivals = arrivals_of(details[::-1], rate=100)
    assert arrivals.late.tolist() == [0, 0, 24_000, 14_100]
    assert arrivals.latency.tolist() == [2000, 2000, 26_000, 16_100]
    assert arrivals.due.tolist() == pytest.approx([0.001, 0.011, 0.021, 0.031])
