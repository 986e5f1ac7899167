"""The two consoles: stdout carries results that can be piped, stderr everything that is talk."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["err", "out", "print_json", "progress"]


def out() -> "Console":
    """Return the console for results (stdout)."""
    from rich.console import Console

    return Console(soft_wrap=not sys.stdout.isatty())


def err() -> "Console":
    """Return the console for log lines and progress (stderr)."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(result: Any) -> None:
    """Print a result for machines: one JSON document on stdout, keys in the order given."""
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def progress(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar on stderr while the block runs; nothing is drawn when stderr is no terminal.

    Yields:
        `advance(step, done, total)`: the name of the step under way and how many of `total` steps are done.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[step]}"), TimeElapsedColumn())
    console = err()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None, step="")

        def advance(step: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, step=step)

        yield advance
