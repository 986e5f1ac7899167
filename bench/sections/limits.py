"""Small models against the limits of machine and network."""

import subprocess
import sys
import time
from statistics import median

from answers import check_rest
from loads import best_plan
from report import Result, Section, Target, at_least, at_most
from server import serve
from settings import Settings, closed_grpc, closed_rest, empty_rpc, in_process, predict_call, take_turns

__all__ = ["DIGITS", "TRIVIAL"]

_STARTS = 3
_IN_PROCESS = "in process"
_EMPTY_1, _PREDICT_1, _REST_1 = "empty RPC, 1 stream", "gRPC Predict, 1 stream", "REST predict, 1 connection"
_EMPTY, _PREDICT, _REST = "empty RPC, 8 x 16 streams", "gRPC Predict, 8 x 16 streams", "REST predict, 32 connections"
_REST_2 = "REST predict over HTTP/2, 32 connections x 4"  # as many requests at a time as over gRPC


def _measure(settings: Settings, name: str) -> Result:
    model = settings.model(name)
    plan = best_plan(model, seconds=min(settings.seconds, 1))
    starts = []
    for _ in range(_STARTS - 1):
        with serve(model) as server:
            starts.append(server.seconds_to_ready)
    with serve(model) as server:
        call, url, body = predict_call(server.grpc_address, model), server.rest_url(name), model.body()
        check_rest(url, model)
        table = take_turns(
            settings,
            name,
            {
                _IN_PROCESS: in_process(model, plan),
                _EMPTY_1: empty_rpc(settings, server.grpc_address, 1, 1),
                _PREDICT_1: closed_grpc(settings, call, 1, 1),
                _REST_1: closed_rest(settings, [url], body, 1),
                _EMPTY: empty_rpc(settings, server.grpc_address, 8, 16),
                _PREDICT: closed_grpc(settings, call, 8, 16),
                _REST: closed_rest(settings, [url], body, 32),
                _REST_2: closed_rest(settings, [url], body, 32, streams=4),
            },
        )
        figures = {
            "plan": plan.title,
            "seconds to ready": [*starts, server.seconds_to_ready],
            "resident MiB": server.resident_mib(),
            "seconds of import": [_seconds_of_import() for _ in range(_STARTS)],
        }
    return Result({name: table}, figures)


def _seconds_of_import() -> float:
    """Return what `from tfs.serve import Server` adds to the start of Python."""

    def seconds(code: str) -> float:
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.monotonic() - start

    return seconds("from tfs.serve import Server") - seconds("pass")


def _details(result: Result) -> list[str]:
    [table] = result.tables.values()
    figures = result.figures
    return [
        f"In process: {figures['plan']}. Predict reaches {table.ratio(_PREDICT, _IN_PROCESS):.2f} of it. The server "
        f"was ready {median(figures['seconds to ready']):.2f} s after the start of its process and held "
        f"{figures['resident MiB']:.0f} MiB after the load; `from tfs.serve import Server` takes "
        f"{median(figures['seconds of import']):.2f} s."
    ]


def _targets(result: Result) -> list[Target]:
    [table] = result.tables.values()
    figures = result.figures
    return [
        at_least("trivial model: Predict over the empty RPC, 8 x 16", 0.75, lambda: table.ratio(_PREDICT, _EMPTY)),
        at_least("trivial model: REST over HTTP/1.1 over gRPC", 0.8, lambda: table.ratio(_REST, _PREDICT)),
        at_least("trivial model: REST over HTTP/2 over gRPC", 0.8, lambda: table.ratio(_REST_2, _PREDICT)),
        at_most(
            "one stream: gRPC's p50 above the empty RPC's",
            60,
            lambda: table.added_p50(_PREDICT_1, _EMPTY_1),
            "{:+.0f} us of 60",
        ),
        at_most(
            "one stream: REST's p50 above the empty RPC's",
            80,
            lambda: table.added_p50(_REST_1, _EMPTY_1),
            "{:+.0f} us of 80",
        ),
        at_most("one stream: gRPC's p99 over its p50", 3, lambda: table.tail(_PREDICT_1)),
        at_most("one stream: REST's p99 over its p50", 3, lambda: table.tail(_REST_1)),
        at_most("trivial model: start to ready", 1.5, lambda: median(figures["seconds to ready"]), "{:.2f} s"),
        at_most("trivial model: resident memory", 500, lambda: figures["resident MiB"] * 2**20 / 1e6, "{:.0f} MB"),
        at_most("`from tfs.serve import Server`", 0.3, lambda: median(figures["seconds of import"]), "{:.2f} s"),
    ]


TRIVIAL = Section(
    "trivial",
    "Against the limits: the trivial model",
    lambda settings: _measure(settings, "half_plus_two"),
    """\
y = 0.5 x + 2: what it costs is what the server costs.

A Predict takes 11.6 us of the server's processor time (`/proc/PID/stat`), the empty RPC 5.6 us. By `perf record -e
cpu-clock --call-graph dwarf -p PID` 36% of a Predict are TensorFlow's `TF_SessionRun`, of which it spends three fifths
in its executor; 20% are HTTP/2 (h2), 13% the kernel, two thirds of that writing to sockets; 4% read the request's
tensors and 2% write the reply's; the rest is allocating, copying small pieces of memory, headers and metrics. What was
done, each measured in turn with what was there before: requests that come together over a connection are begun
together, so that replies share writes (19 to 12.4 us); unary messages are read without tonic's streams (12.3 to 10.9);
mimalloc (11.5 to 10.9); the memory of tensors from it too (11.2 to 10.5); all crates optimized as one (fat LTO: 0.89
of the time, 8% more requests, medians of 11 rounds in turn on a machine whose neighbours made everything slower). The
last one saves the empty RPC more, a fifth of its time (14% more requests), and so leaves the ratio of the two where it
was. That follows the machine: within two hours of a day it was 0.79 and 0.70, the build of the second being the better
one; when a loop in process had two fifths of the speed of that day, 0.68.

Left out: TensorFlow's single-threaded executor (`ConfigProto.experimental.executor_type`). In process the trivial
model ran 1.35 times as often with it, DeepFM 1.05 to 1.09 times, the encoder as often; but a Predict took only 4%
less, its errors do not name the node that failed, and it cannot run the control flow of TF 1. Another allocator for
TensorFlow too (mimalloc or tcmalloc by `LD_PRELOAD`: 1.16 and 1.19 times in process) changed a Predict by less than
the noise.

Requests over HTTP/1.1 come one at a time on a connection and share nothing: 44% of a REST request is the kernel's time,
31% in `writev`, and a path that is not there is answered about 100,000 times a second. Where gRPC has one request at a
time on a connection too, 32 connections bring 44,000 requests/s, and REST 54,000.

Over HTTP/2, as proxies can speak it to the REST port, requests come together and replies leave together as with gRPC: a
REST request takes 12.2 us of the server's processor time (18.6 over HTTP/1.1, 11.6 over gRPC), 2.4 of them the
kernel's; with a task for each request, as hyper does it, it was 20.5. Optimizing all crates as one gave 19% more
requests here, 6% over HTTP/1.1.""",
    _targets,
    _details,
)
DIGITS = Section(
    "digits",
    "Against the limits: a small convolutional net",
    lambda settings: _measure(settings, "digits"),
    "The model of `recipes/digits.yaml`: three convolutions over 8 x 8 pixels.",
    details=_details,
)
