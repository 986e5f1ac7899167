"""Measure the server beside its own limits and others: `make bench`, or `python bench/run.py --help`."""

import argparse
import shlex
import signal
import sys
import tempfile
from pathlib import Path

from answers import WrongAnswerError
from loads import FailedRequestsError, MissingToolError, require_tool
from machine import about, allow_many_connections, busy_cores
from report import Section, load_record, render, save_record
from report.section import Record
from sections import SECTIONS
from settings import Settings

_ROOT = Path(__file__).parents[1]
_BUILD = _ROOT / "build/bench"
_BEST_OF_EACH_PEER = (
    "2 workers|MLServer REST batching$|LitServe batching|BentoML batching|Ray Serve batching$|grpc.aio, call"
)


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    names = [section.name for section in SECTIONS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--only", help=f"sections to measure, separated by commas, of: {', '.join(names)}")
    parser.add_argument("--page-only", action="store_true", help="measure nothing, write the page from the records")
    parser.add_argument("--seconds", type=float, default=2, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each row; the median counts")
    parser.add_argument("--standin", type=Path, help="folder with the C++ stand-in, built")
    parser.add_argument("--peers", type=Path, help="folder with the launchers of the Python peers")
    parser.add_argument("--peer-systems", default=_BEST_OF_EACH_PEER, help="which peers, a regular expression")
    parser.add_argument("--models", type=Path, default=_BUILD / "models", help="where models are kept")
    parser.add_argument("--results", type=Path, default=_BUILD / "results", help="where the records are kept")
    parser.add_argument("--output", type=Path, default=_ROOT / "docs/benchmarks.md", help="the page to write")
    options = parser.parse_args()
    if options.seconds <= 0 or options.rounds < 1:
        parser.error("--seconds must be above 0 and --rounds at least 1")
    options.only = options.only.split(",") if options.only else names
    if unknown := sorted(set(options.only) - set(names)):
        parser.error(f"--only: there is no section {', '.join(unknown)}; take from {', '.join(names)}")
    return options


def command_of(section: Section, options: argparse.Namespace) -> str:
    """Return the command that measures the section again; folders are where somebody else has them."""
    words = ["python", "bench/run.py", "--only", section.name]
    words += ["--seconds", f"{options.seconds:g}", "--rounds", str(options.rounds)]
    words += [word for name in ("standin", "peers") if getattr(options, name) for word in (f"--{name}", "DIR")]
    return shlex.join(words)


def measure(section: Section, options: argparse.Namespace) -> bool:
    """Measure one section and keep its record; False if it failed, which leaves a former record as it is."""
    print(f"section {section.name}", file=sys.stderr)
    try:
        for tool in section.tools:
            require_tool(tool)
    except MissingToolError as error:
        print(f"error: {section.name}: {error}", file=sys.stderr)
        return False
    busy_before = busy_cores()
    with tempfile.TemporaryDirectory(prefix="tfs-bench-") as scratch:
        settings = Settings(
            rounds=options.rounds,
            seconds=options.seconds,
            models=options.models,
            scratch=Path(scratch),
            results=options.results,
            standin=options.standin,
            peers=options.peers,
            peer_systems=options.peer_systems,
        )
        try:
            result = section.measure(settings)
        except (FailedRequestsError, WrongAnswerError, RuntimeError) as error:
            print(f"error: {section.name}: {error}", file=sys.stderr)
            return False
    save_record(options.results, section, Record(result, about(command_of(section, options)), busy_before))
    return True


def write_page(options: argparse.Namespace) -> None:
    """Write the page and its pictures from all records that there are."""
    records = [(section, load_record(options.results, section)) for section in SECTIONS]
    page = render(records)
    print(page)
    options.output.write_text(page)
    for section, record in records:
        if section.draw and record:
            pictures = options.output.parent / "benchmarks"
            pictures.mkdir(exist_ok=True)
            section.draw(record.result, pictures / f"{section.name}.png")


def main() -> None:
    """Measure, print the page and write it."""
    options = parse_options()
    # So that whoever stops the run stops its servers too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    allow_many_connections()
    chosen = [] if options.page_only else [section for section in SECTIONS if section.name in options.only]
    failed = [section.name for section in chosen if not measure(section, options)]
    write_page(options)
    if failed:
        sys.exit(f"error: not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
