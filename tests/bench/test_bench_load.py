"""A run in which requests fail gives no figure."""

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest

_BENCH = Path(__file__).parents[2] / "bench"


def _fails(call, scratch):
    """Run `call` with bench/load.py's functions in a process of its own; return its error."""
    code = f"from pathlib import Path; from load import *\n{call.format(scratch=f'Path({str(scratch)!r})')}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_BENCH, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stdout
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load not installed (make bench-tools)")
def test_grpc_errors_count_although_their_http_status_is_200(tmp_path):
    server = grpc.server(ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        load = "reply_bytes=2, clients=1, streams=1, seconds=0.3"
        error = _fails(
            f"grpc_load('127.0.0.1:{port}', '/no.Service/Method', b'', {load}, scratch={{scratch}})", tmp_path
        )
    finally:
        server.stop(None).wait()
    assert error.startswith("load.FailedRequestsError: h2load /no.Service/Method: ")
    assert error.endswith("0 bytes of replies")


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk not installed (make bench-tools)")
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
        error = _fails(f"rest_load('{url}', b'', connections=1, seconds=1, scratch={{scratch}})", tmp_path)
        server.shutdown()
    assert error.startswith(f"load.FailedRequestsError: wrk {url}: ")
    assert error.endswith("requests failed")
