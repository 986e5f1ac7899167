"""How the model is executed: what tfs chooses against TensorFlow's own settings."""

import os
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


def _row(plan: str, clients: int) -> str:
    return f"`{plan}`, {clients} clients" if clients > 1 else f"`{plan}`, one stream"


def _measure(settings: Settings) -> Result:
    cores = len(os.sched_getaffinity(0))
    # tensorflow_model_server leaves both pools to TensorFlow, which gives each as many threads as there are cores.
    plans = {"auto": [], "default": [f"--tensorflow_session_parallelism={cores}"]}
    result = Result(figures={"in process": {}})
    for name in _WANTED:
        model = settings.model(name)
        limit = best_plan(model, seconds=min(settings.seconds, 1))
        result.figures["in process"][name] = limit.title
        cells: dict[str, Cell | str] = {_IN_PROCESS: in_process(model, limit)}
        with ExitStack() as stack:
            calls = {}
            for plan, flags in plans.items():
                server = stack.enter_context(serve(model, *flags))
                calls[plan] = predict_call(server.grpc_address, model)
            for clients in (_CLIENTS, 1):
                cells |= {_row(plan, clients): closed_grpc(settings, call, clients, 1) for plan, call in calls.items()}
            result.tables[name] = take_turns(settings, name, cells)
    return result


def _targets(result: Result) -> list[Target]:
    return [target for name, table in result.tables.items() for target in _targets_of(name, table)]


def _targets_of(name: str, table: Table) -> list[Target]:
    many, one = ([_row(plan, clients) for plan in ("auto", "default")] for clients in (_CLIENTS, 1))
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
    limits = (
        f"{name} {plan} (`auto` with {_CLIENTS} clients: {table.ratio(_row('auto', _CLIENTS), _IN_PROCESS):.2f} of it)"
        for (name, table), plan in zip(result.tables.items(), result.figures["in process"].values(), strict=True)
    )
    return ["In process, the best plans: " + "; ".join(limits) + "."]


PLAN = Section(
    "plan",
    "Execution plan",
    _measure,
    """\
One row in a request. `auto` is what `tfs serve` does without a flag; `default` are TensorFlow's own settings, an
inter-op and an intra-op pool over all cores, which tensorflow_model_server ships.""",
    _targets,
    _details,
)
