"""A real `tfs serve` for the tests of commands that ask one."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Addresses:
    """URLs of a server."""

    grpc: str
    rest: str


@contextmanager
def serving(name: str, base: Path, *flags: str) -> Iterator[Addresses]:
    """Run `tfs serve` on free ports for as long as the block lasts; it is ended with SIGTERM."""
    own = ["--port=-1", "--rest_api_port=-1", f"--model_name={name}", f"--model_base_path={base}"]
    command = [sys.executable, "-m", "tfs.cli", "serve", *own, *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        log = []
        for line in process.stderr:
            log.append(line)
            ready = re.search(r"ready: grpc=(\S+) rest=(\S+)", line)
            if ready:
                break
        else:
            pytest.fail("".join(log))
        try:
            yield Addresses(f"grpc://{ready[1]}", f"http://{ready[2]}")
        finally:
            process.terminate()
            process.stderr.read()
