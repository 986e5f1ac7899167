"""Requests that run together, against those that run alone."""

from contextlib import ExitStack

from loads import best_plan
from report import Result, Section, Table, Target, at_least
from server import serve
from settings import Cell, Settings, closed_grpc, empty_rpc, in_process, predict_call, take_turns

__all__ = ["ADAPTIVE", "BATCHING"]

ADAPTIVE = "--adaptive_batching"
_MODES = {"alone": [], "`--enable_batching`": ["--enable_batching"], "adaptive": [ADAPTIVE]}
# Clients and streams of each model: many small requests, or as many as the cores can just about hold.
_LOADS = {"half_plus_two": (8, 16), "encoder_tokens": (8, 4), "mobilenet_v2": (8, 1)}
_EMPTY, _IN_PROCESS = "empty RPC", "in process, one row"


def _measure(settings: Settings) -> Result:
    return Result({name: _table(settings, name, *load) for name, load in _LOADS.items()})


def _table(settings: Settings, name: str, clients: int, streams: int) -> Table:
    model = settings.model(name)
    cells: dict[str, Cell | str] = {_IN_PROCESS: in_process(model, best_plan(model, seconds=min(settings.seconds, 1)))}
    with ExitStack() as stack:
        for mode, flags in _MODES.items():
            server = stack.enter_context(serve(model, *flags))
            if mode == "alone":
                cells[_EMPTY] = empty_rpc(settings, server.grpc_address, clients, streams)
            cells[mode] = closed_grpc(settings, predict_call(server.grpc_address, model), clients, streams)
        return take_turns(settings, name, cells)


def _targets(result: Result) -> list[Target]:
    trivial, mobilenet = result.tables["half_plus_two"], result.tables["mobilenet_v2"]
    return [
        at_least(
            "trivial model, batched: Predict over the empty RPC",
            0.8,
            lambda: trivial.ratio("`--enable_batching`", _EMPTY),
        ),
        at_least(
            "trivial model, adaptive batching: Predict over the empty RPC",
            0.8,
            lambda: trivial.ratio("adaptive", _EMPTY),
        ),
        at_least(
            "MobileNetV2, batch 1: throughput over in-process", 0.97, lambda: mobilenet.ratio("alone", _IN_PROCESS)
        ),
        at_least(
            "MobileNetV2, adaptive: throughput over in-process", 0.97, lambda: mobilenet.ratio("adaptive", _IN_PROCESS)
        ),
    ]


BATCHING = Section(
    "batching",
    "Batching",
    _measure,
    f"""\
One row in a request, over gRPC in a closed loop:
{", ".join(f"{clients} x {streams} streams for {name}" for name, (clients, streams) in _LOADS.items())}.
`--enable_batching` has its default parameters.

For the trivial model a batch saves each request the 2.6 us of a run and costs it a task of its own, a wake-up and a
part in merging and cutting, about as much: the server's processor time was 9.9 us a request in batches when it was
10.5 us alone. Optimizing all crates as one then made the empty RPC 14% faster and Predict 8%, so their ratio fell.

An image for MobileNetV2 is a request of 600 KB, and the loop in process receives none. When the image was still copied
twice in the server, by the kernel's accounts of
CPU time (`/proc/PID/task/*/schedstat`, 8 clients, medians of 5 rounds), a request took 8.6 ms of the run threads, no
more than a run in process, 0.7 ms of the sockets' threads and 0.4 ms of the client. All share the two cores, so at
least 4% of the limit belongs to the client alone, and 11% went to moving the image on both sides. Now its frames are
joined where TensorFlow uses them.

Nor does an image get cheaper in a batch: in process four of them take 1.15 times, eight 1.22 times as long as one by
one. Adaptive batching that tried single rows now and then, and kept to them where a batch saves less than a
twentieth, was given up: at this noise it chose either way for MobileNetV2, for 2% more requests and a p99 that was
1.6 times as long. Where batches do not pay, `max_batch_size` bounds them.""",
    _targets,
)
