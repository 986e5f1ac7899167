"""Measure `tfs inspect` beside `saved_model_cli show`, and what first requests take: `python bench/inspecting.py`.

Both commands describe the same version of about 100 MB in turn, as they are typed in a shell, so that whatever else the
machine does meets both; once before that, so that Python's bytecode is there. The first requests are those of
`tfs warmup --measure`: the slowest first request to a fresh server over the median of those after it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import about
from models import Model, get_model

from tfs.serve.warmup_measurement import measure

_MODELS = Path(__file__).parents[1] / "build/bench/models"
_DESCRIBED, _WARMED_UP = "resnet50", ("encoder", "mobilenet_v2")
_GOAL_SECONDS, _GOAL_RATIO = 0.4, 1.5


def seconds(command: list[str]) -> float:
    """Run a command to its end and return how long it took."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def print_describing(model: Model, rounds: int) -> None:
    """Print the medians of both commands, and the median of the rounds' ratios."""
    version = str(Path(model.base_path) / "1")
    scripts = Path(sys.executable).parent
    commands = {
        "tfs inspect": [str(scripts / "tfs"), "inspect", version],
        "saved_model_cli show --all": [str(scripts / "saved_model_cli"), "show", "--all", "--dir", version],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():
        seconds(command)
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].append(seconds(command))
    for name, taken in times.items():
        print(f"{name:28} {statistics.median(taken):6.2f} s, best {min(taken):.2f} s")
    ours, theirs = times.values()
    ratio = statistics.median(other / own for own, other in zip(ours, theirs, strict=True))
    print(f"{'ratio':28} {ratio:6.1f}   (goal: at most {_GOAL_SECONDS} s)")


def print_first_requests(model: Model, rounds: int) -> None:
    """Print the median over the rounds of the first request over the steady p50, without and with warm-up.

    A core that rests is slow to begin, also if nothing else is cold; so the first request stands beside others that
    come after a pause too.
    """
    ratios: dict[str, list[float]] = {"without": [], "with": [], "rested": []}
    for _ in range(rounds):
        measured = measure(Path(model.base_path) / "1")
        for name, found in measured.items():
            ratios[name].append(found.first_ms / found.p50_ms)
        ratios["rested"].append(measured["with"].first_ms / measured["with"].rested_ms)
    without, warmed, rested = (statistics.median(ratios[name]) for name in ("without", "with", "rested"))
    print(
        f"{model.name:28} {without:6.1f} without warm-up, {warmed:.1f} with it   (goal: at most {_GOAL_RATIO}); "
        f"with it {rested:.1f} of requests after a pause"
    )


def main() -> None:
    """Print what was measured."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--models", type=Path, default=_MODELS, help="where models are kept")
    options = arguments.parse_args()
    for name, value in about("python bench/inspecting.py").items():
        print(f"{name}: {value}")
    print_describing(get_model(_DESCRIBED, options.models), options.rounds)
    print("first request over the median of the later ones:")
    for name in _WARMED_UP:
        print_first_requests(get_model(name, options.models), options.rounds)


if __name__ == "__main__":
    main()
