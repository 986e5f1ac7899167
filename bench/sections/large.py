"""Large tensors: bytes per second of requests and replies that hardly compute."""

import json
from dataclasses import replace

import numpy as np
from answers import ask_grpc
from loads import Call
from models import Model, predict_request
from report import Result, Section, Table, Target, at_least
from server import PREDICT, serve
from settings import Cell, Settings, closed_grpc, closed_rest, take_turns

__all__ = ["LARGE"]

_BYTES = 64 * 2**20
_NUMBERS = 1_000_000  # of a JSON request
_ROW = 1000
_SECONDS = 4
_REQUEST, _REPLY, _BOTH = "request", "reply", "request and reply"
_FLAT, _SHORT, _LONG = (
    "one list, 6 decimals",
    f"rows of {_ROW:,}, 6 decimals",
    f"rows of {_ROW:,}, digits as Python prints a float32",
)
_GRPC, _JSON = "64 MiB of floats over gRPC as `tensor_content`, one stream", "JSON floats over REST, one connection"


def _measure(settings: Settings) -> Result:
    # A request takes a tenth of a second or more, and a few must be answered even on a machine that is busy.
    settings = replace(settings, seconds=max(settings.seconds, _SECONDS))
    model = settings.model("tensors")
    with serve(model, "--enable_serialization_as_tensor_content", "--enable_model_warmup=false") as server:
        grpc = take_turns(settings, _GRPC, _grpc_cells(settings, model, server.grpc_address), unit="GB/s", quick=True)
        rest = take_turns(settings, _JSON, _rest_cells(settings, server.rest_url(model.name)), unit="MB/s", quick=True)
        return Result({_GRPC: grpc, _JSON: rest})


def _grpc_cells(settings: Settings, model: Model, address: str) -> dict[str, Cell | str]:
    floats = np.random.default_rng(1).random(_BYTES // 4, np.float32)
    requests = {
        _REQUEST: ("", {"x": floats}, 1),
        _REPLY: ("ones", {"n": np.int32([len(floats)])}, 1),
        _BOTH: ("echo", {"x": floats}, 2),
    }
    cells: dict[str, Cell | str] = {}
    for row, (signature, inputs, tensors) in requests.items():
        message = predict_request(model.name, inputs, signature)
        _, size = ask_grpc(address, message)
        cells[row] = closed_grpc(settings, Call(address, PREDICT, message, size), 1, 1, factor=tensors * _BYTES / 1e9)
    return cells


def _rest_cells(settings: Settings, url: str) -> dict[str, Cell | str]:
    floats = np.random.default_rng(1).random(_NUMBERS, np.float32)
    short = floats.astype(np.float64).round(6)
    texts = {
        _FLAT: short.tolist(),
        _SHORT: short.reshape(-1, _ROW).tolist(),
        _LONG: floats.reshape(-1, _ROW).tolist(),
    }
    bodies = {row: json.dumps({"instances": numbers}).encode() for row, numbers in texts.items()}
    return {row: closed_rest(settings, [url], body, 1, factor=len(body) / 1e6) for row, body in bodies.items()}


def _targets(result: Result) -> list[Target]:
    grpc, rest = result.tables[_GRPC], result.tables[_JSON]
    return [
        *(_at_least_gigabytes(grpc, row) for row in (_REQUEST, _REPLY, _BOTH)),
        *(
            at_least(f"JSON floats, {row}", 200, lambda row=row: rest.rate(row), "{:.0f} MB/s of 200")
            for row in (_FLAT, _SHORT, _LONG)
        ),
    ]


def _at_least_gigabytes(table: Table, row: str) -> Target:
    return at_least(f"64 MiB tensors: {row}", 1.5, lambda: table.rate(row), "{:.2f} GB/s of 1.5")


LARGE = Section(
    "large",
    "Large tensors",
    _measure,
    """\
A signature that sums its input, one that returns as many ones as it is asked for, one that returns its input: only
moving the tensors costs. Bytes of tensors, or of JSON, over the time from the first byte sent to the last received, the
client's share included.

A reply's tensor is sent from TensorFlow's memory, so the kernel's copy is the only one in the server. By the kernel's
accounts (`/proc/PID/task/*/schedstat`) a reply of 64 MiB takes 3 ms of the run threads, 26 ms of the sockets' threads
and 25 ms of the client; with a copy into one message the server took 1.4 times as much. What is left is
4,096 writes, one for each frame of 16 KiB, the most that this client allows.

A request's frames are joined into one message, and the tensor keeps that message's memory. Compared in turn with the
engine that copied it into TensorFlow's, a request took 37 ms of the server's processor time instead of 43, request and
reply 82 instead of 107; the rate of the latter went from 1.1 to 1.4 GB/s. mimalloc then keeps the block for the next
request: 15 page faults a request instead of 100. What is left is mostly the kernel's, 20 ms of a request and 60 of
request and reply.""",
    _targets,
)
