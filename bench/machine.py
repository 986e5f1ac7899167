"""The machine and its tools: what a reader must know to judge a figure, and which CPUs there are to share."""

import os
import platform
import re
import resource
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path
from shutil import which

from loads import MissingToolError, require_tool

from tfs.savedmodel.tensorflow_paths import tensorflow_version
from tfs.serve import _engine

__all__ = ["about", "allow_many_connections", "busy_cores", "split_cpus"]


def about(command: str) -> dict[str, str]:
    """Return what the page says of a run: date, command, machine, versions."""
    return {
        "Measured": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC by `{command}`",
        "Machine": f"{_cpu()}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.machine()}",
        "Versions": f"engine {_engine.__version__}, TensorFlow {tensorflow_version()}, "
        f"Python {platform.python_version()}, {_tools()}",
    }


def busy_cores(seconds: float = 2.0) -> float:
    """Return how many cores are in use on average over some seconds, in which this process does nothing."""

    def busy() -> float:
        user, nice, system, _idle, _waiting, *others = map(int, Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")

    before, start = busy(), time.monotonic()
    time.sleep(seconds)
    return (busy() - before) / (time.monotonic() - start)


def split_cpus() -> tuple[str, str] | None:
    """Return one CPU for the server, the others for the clients, as `taskset -c` takes them; None if there is one."""
    first, *others = sorted(os.sched_getaffinity(0))
    return (str(first), ",".join(map(str, others))) if others else None


def allow_many_connections() -> int:
    """Let this process and its children open as many files as the system allows; return how many that is."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.processor()


def _tools() -> str:
    h2load = re.search(r"\d+\.\d+\.\d+", _output("h2load", "--version"))
    return f"h2load {h2load[0] if h2load else 'missing'}, ghz {_ghz_version()}"


def _ghz_version() -> str:
    try:
        path = require_tool("ghz")
    except MissingToolError:
        return "missing"
    # Installed by Go it calls itself `dev`; the file itself knows better.
    found = re.search(r"bojand/ghz\s+v(\S+)", _output("go", "version", "-m", path))
    return found[1] if found else "of unknown version"


def _output(*command: str) -> str:
    if which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
