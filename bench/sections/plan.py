"""How the model is executed: what tfs chooses against TensorFlow's own settings."""

import re
from contextlib import ExitStack

from loads import best_plan
from report import Result, Section, Table, Target, at_least, at_most
from server import serve
from settings import Cell, Settings, closed_grpc, in_process, predict_call, take_turns

__all__ = ["PLAN"]

_CLIENTS = 8
# Throughput over TensorFlow's own settings that is wanted of each model.
_WANTED = {
    "encoder": 1.8,
    "encoder_tokens": 1.8,
    "deepfm": 1.4,
    "deepfm_ids": 1.4,
    "mobilenet_v2": 1.0,
    "resnet50": 1.0,
}
_IN_PROCESS = "in process"
_PLANS = ("auto", "default")


def _row(plan: str, clients: int) -> str:
    return f"`{plan}`, {clients} clients" if clients > 1 else f"`{plan}`, one stream"


def _measure(settings: Settings) -> Result:
    result = Result(figures={"in process": {}, "chosen": {}})
    for name in _WANTED:
        model = settings.model(name)
        limit = best_plan(model, seconds=min(settings.seconds, 1))
        result.figures["in process"][name] = limit.title
        cells: dict[str, Cell | str] = {_IN_PROCESS: in_process(model, limit)}
        with ExitStack() as stack:
            calls = {}
            for plan in _PLANS:
                server = stack.enter_context(serve(model, f"--execution={plan}"))
                calls[plan] = predict_call(server.grpc_address, model)
                if plan == "auto":
                    result.figures["chosen"][name] = _chosen(server.log)
            for clients in (_CLIENTS, 1):
                cells |= {_row(plan, clients): closed_grpc(settings, call, clients, 1) for plan, call in calls.items()}
            result.tables[name] = take_turns(settings, name, cells)
    return result


def _chosen(log: list[str]) -> str:
    """Return the server's line on what it has measured and chosen."""
    found = re.search(r"execution plan (.*)", "".join(log))
    return found[1] if found else "nothing was measured"


def _targets(result: Result) -> list[Target]:
    return [target for name, table in result.tables.items() for target in _targets_of(name, table)]


def _targets_of(name: str, table: Table) -> list[Target]:
    many, one = ([_row(plan, clients) for plan in _PLANS] for clients in (_CLIENTS, 1))
    return [
        at_least(
            f"{name}: `auto` over `default`, {_CLIENTS} clients",
            _WANTED[name],
            lambda: table.ratio(*many),
            f"{{:.2f}} of {_WANTED[name]}",
        ),
        at_most(f"{name}: p50 of `auto` over that of `default`, one stream", 1.05, lambda: table.p50_ratio(*one)),
    ]


def _details(result: Result) -> list[str]:
    chosen = (f"- {name}: {line}" for name, line in result.figures["chosen"].items())
    limits = (
        f"{name} {plan}, {table.ratio(_IN_PROCESS, _row('default', _CLIENTS)):.2f} times `default` with {_CLIENTS} "
        f"clients (`auto`: {table.ratio(_row('auto', _CLIENTS), _IN_PROCESS):.2f} of it)"
        for (name, table), plan in zip(result.tables.items(), result.figures["in process"].values(), strict=True)
    )
    return [
        "What `auto` has measured at load, and chosen:",
        "\n".join(chosen),
        "In process, the best plans: " + "; ".join(limits) + ".",
    ]


PLAN = Section(
    "plan",
    "Execution plan",
    _measure,
    """\
One row in a request. `--execution=auto` is what `tfs serve` does without a flag; `--execution=default` are TensorFlow's
own settings, an inter-op and an intra-op pool over all cores, which tensorflow_model_server ships.

Where `auto` stays behind the loop in process: the client, the sockets' threads and the runs share the same cores.
With 8 clients a request for the encoder took 1.17 ms of user time and 0.09 ms of the kernel's where a run in process
took 0.90 ms. `perf record -e cpu-clock -p PID` saw 90.4% of that in the run threads, led by the same functions of
TensorFlow as in process, and 9.6% in those of the sockets, most of it the kernel switching tasks. Each request took a
run thread off its core twice: the sockets' threads wake for it and for its reply, and tokio wakes a second one each
time to look for more. Now they take no core from a run while requests stand in line (`SCHED_BATCH`, not with
`default`): instead of 5.2 switches of tasks a request there are 1.2, and 2 to 7% more requests with 8 clients. With
one such thread (`TOKIO_WORKER_THREADS=1`) a request for encoder_tokens cost them a fifth less and 4% more were
answered; but the trivial model, which runs in them, lost a third of its rate, so both stay. Other allocators
(jemalloc, mimalloc, tcmalloc, TensorFlow's BFC, glibc without fastbins or with larger thread caches) changed the time
of a run by less than the noise.""",
    _targets,
    _details,
)
