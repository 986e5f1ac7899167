"""The in-process limit: `TF_SessionRun` in a loop in the engine, with the plan that gives the most."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from models import Model

from tfs.serve.huge_pages import huge_page_environment

from .sample import FailedRequestsError, Sample, pinned

__all__ = ["CALLER", "Plan", "best_plan", "in_process_load"]

_TRIES = 2
_SCRIPT = Path(__file__).parent / "in_process_loop.py"


@dataclass(frozen=True)
class Plan:
    """How a model can be run: by how many threads at a time, with which flags of `tfs serve`."""

    title: str
    threads: int
    flags: tuple[str, ...] = ()


CALLER = Plan("caller's thread", 1, ("execution=caller",))


def in_process_load(model: Model, plan: Plan, *, seconds: float, rows: int = 1, cpus: str | None = None) -> Sample:
    """Run the model's request over and over in a process without a network.

    Raises:
        FailedRequestsError: a run failed.
    """
    command = [sys.executable, str(_SCRIPT), model.name, str(model.base_path), str(seconds), str(plan.threads)]
    command = pinned([*command, *plan.flags], cpus)
    # The server's memory too is in huge pages.
    environment = huge_page_environment(os.environ)
    done = subprocess.run(command, input=model.message(rows), env=environment, capture_output=True, check=False)
    if done.returncode:
        raise FailedRequestsError(f"{model.name} in process: {done.stderr.decode(errors='replace')[-400:]}")
    return Sample(float(done.stdout))


def best_plan(model: Model, *, seconds: float, rows: int = 1, cpus: str | None = None) -> Plan:
    """Try the plans in turn, twice for `seconds` each; return the one with the most calls per second in a run."""
    cores = len(cpus.split(",")) if cpus else len(os.sched_getaffinity(0))

    def rate(plan: Plan) -> float:
        return in_process_load(model, plan, seconds=seconds, rows=rows, cpus=cpus).rate

    plans = _plans(cores)
    if len(plans) == 1:
        return plans[0]
    best = dict.fromkeys(plans, 0.0)
    for plan in [*plans] * _TRIES:
        best[plan] = max(best[plan], rate(plan))
    return max(plans, key=best.__getitem__)


def _plans(cores: int) -> list[Plan]:
    if cores == 1:
        return [CALLER]
    return [
        replace(CALLER, threads=cores),
        Plan(f"caller's thread, {cores} intra-op threads", 1, (f"tensorflow_intra_op_parallelism={cores}",)),
        Plan("inter-op pool", cores, ("execution=pool",)),
        Plan("TensorFlow's own", cores, ("execution=default",)),
    ]
