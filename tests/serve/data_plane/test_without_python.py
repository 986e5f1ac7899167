"""Nothing of Python stands on the way of a request: requests are answered while nobody gets Python's lock."""

import select
import subprocess
import sys
from pathlib import Path

import grpc
import httpx
from clients import request, spec
from running_server import Models, publish
from tensor_protos import tensor

from tfs.savedmodel import protos

HELD_SECONDS = 2

# PyDLL calls a function without giving up the lock: during `sleep` not one instruction of Python can run.
_HOLD = """
import ctypes, sys, threading, time
from tfs.serve import Server

ticks = []
def tick():
    while True:
        time.sleep(0.01)
        ticks.append(time.monotonic())

with Server(model_name="m", model_base_path=sys.argv[1], port=-1, rest_api_port=-1) as server:
    threading.Thread(target=tick, daemon=True).start()
    print(server.grpc_address, server.rest_address, flush=True)
    sys.stdin.readline()
    start = time.monotonic()
    print("held", flush=True)
    ctypes.PyDLL(None).sleep(int(sys.argv[2]))
    end = time.monotonic()
    print(sum(start + 0.1 < when < end - 0.1 for when in ticks), "tensorflow" in sys.modules, flush=True)
"""


def test_requests_are_answered_while_pythons_lock_is_held(models: Models, tmp_path: Path) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    sent = request(model_spec=spec("m"), x=tensor("DT_FLOAT", [1], float_val=[2]))
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path), str(HELD_SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        grpc_address, rest_address = process.stdout.readline().split()
        with grpc.insecure_channel(grpc_address) as channel, httpx.Client(base_url=f"http://{rest_address}") as http:
            predict = protos.load("prediction_service_pb2_grpc").PredictionServiceStub(channel).Predict
            status = protos.load("model_service_pb2_grpc").ModelServiceStub(channel).GetModelStatus
            status_request = protos.load("get_model_status_pb2").GetModelStatusRequest(model_spec=spec("m"))
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "held\n"
            for _ in range(100):
                assert list(predict(sent, timeout=10).outputs["y"].float_val) == [3]
                assert http.post("/v1/models/m:predict", json={"instances": [4.0]}).json() == {"predictions": [4.0]}
            assert status(status_request, timeout=10).model_version_status[0].state == 30
            assert http.get("/v1/models/m/metadata").status_code == 200
            assert select.select([process.stdout], [], [], 0) == ([], [], []), "the lock is still held"
        ticks, imported = process.stdout.readline().split()
        process.stdin.close()
        assert process.wait(30) == 0
    assert int(ticks) == 0, "no other thread of Python ran meanwhile"
    assert imported == "False", "TensorFlow's Python package was not imported"
