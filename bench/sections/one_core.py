"""The text encoder on one core: its latency at a modest rate, its peak, and what is left of it under overload."""

from loads import CALLER, Call, FailedRequestsError, Sample, open_loop
from machine import split_cpus
from report import Result, Section, Table, Target, at_least, at_most
from report.markdown import table as markdown_table
from server import serve
from settings import Cell, Settings, closed_grpc, in_process, predict_call, take_turns

__all__ = ["ENCODER", "OVERLOAD"]

_MODEL = "encoder"
_ONE_CPU = "there is one CPU, and the client needs another"
_RATE = 150  # requests/s
_OPEN_SECONDS = 5  # times the length of other measurements: 150/s are few, and their 99th percentile counts
_IN_PROCESS, _PEAK, _OPEN = "in process, one thread", "peak: 8 x 4 streams in a closed loop", f"open loop, {_RATE}/s"

_OVERLOAD = 3  # times the peak
_DEADLINE = 0.1  # seconds
_GOODPUT = f"open loop at {_OVERLOAD} x peak, deadline {_DEADLINE * 1000:.0f} ms"
_NO_DEADLINE = f"open loop at {_OVERLOAD} x peak, no deadline, answered within {_DEADLINE * 1000:.0f} ms"


def _measure_encoder(settings: Settings) -> Result:
    cpus = split_cpus()
    if cpus is None:
        return Result({_MODEL: Table(rows=dict.fromkeys([_IN_PROCESS, _PEAK, _OPEN], _ONE_CPU))})
    model = settings.model(_MODEL)
    with serve(model, cpus=cpus[0]) as server:
        call = predict_call(server.grpc_address, model)

        def at_fixed_rate(seconds: float) -> Sample:
            arrivals = open_loop(
                call, rate=_RATE, seconds=_OPEN_SECONDS * seconds, scratch=settings.scratch, cpus=cpus[1]
            )
            if failed := arrivals.failed():
                raise FailedRequestsError(f"{_OPEN}: {failed}")
            return arrivals.sample()

        cells: dict[str, Cell | str] = {
            _IN_PROCESS: in_process(model, CALLER, cpus=cpus[0]),
            _PEAK: closed_grpc(settings, call, 8, 4, cpus=cpus[1]),
            _OPEN: at_fixed_rate,
        }
        table = take_turns(settings, _MODEL, cells)
        return Result({_MODEL: table}, {"resident MiB": server.resident_mib()})


def _encoder_targets(result: Result) -> list[Target]:
    table = result.tables[_MODEL]
    return [
        at_most(f"encoder on one core, {_RATE}/s: mean", 3, lambda: table.mean(_OPEN) / 1000, "{:.2f} ms of 3"),
        at_most(f"encoder on one core, {_RATE}/s: p99", 5, lambda: table.p99(_OPEN) / 1000, "{:.2f} ms of 5"),
        at_least("encoder on one core: peak over in-process", 0.9, lambda: table.ratio(_PEAK, _IN_PROCESS)),
        at_most("encoder: resident memory", 1000, lambda: result.figures["resident MiB"] * 2**20 / 1e6, "{:.0f} MB"),
    ]


def _measure_overload(settings: Settings) -> Result:
    cpus = split_cpus()
    if cpus is None:
        return Result({_MODEL: Table(rows=dict.fromkeys([_PEAK, _GOODPUT, _NO_DEADLINE], _ONE_CPU))})
    model = settings.model(_MODEL)
    result = Result(figures={"answers": {_GOODPUT: [], _NO_DEADLINE: []}})
    with serve(model, cpus=cpus[0]) as server:
        overload = _Overload(settings, predict_call(server.grpc_address, model), cpus[1], result.figures["answers"])
        cells: dict[str, Cell | str] = {
            _PEAK: overload.peak,
            _GOODPUT: overload.with_deadline,
            _NO_DEADLINE: overload.without_deadline,
        }
        result.tables[_MODEL] = take_turns(settings, "overload", cells)
    return result


class _Overload:
    """The cells of one server; each round offers a multiple of the peak of the same round."""

    def __init__(self, settings: Settings, call: Call, cpus: str, answers: dict[str, list[dict[str, int]]]) -> None:
        self._settings, self._call, self._cpus, self._answers = settings, call, cpus, answers
        self._closed_loop = closed_grpc(settings, call, 8, 4, cpus=cpus)
        self._peak_rate = 0.0

    def peak(self, seconds: float) -> Sample:
        sample = self._closed_loop(seconds)
        self._peak_rate = sample.rate
        return sample

    def with_deadline(self, seconds: float) -> Sample:
        return self._offer(_GOODPUT, seconds, _DEADLINE)

    def without_deadline(self, seconds: float) -> Sample:
        return self._offer(_NO_DEADLINE, seconds, None)

    def _offer(self, row: str, seconds: float, deadline: float | None) -> Sample:
        arrivals = open_loop(
            self._call,
            rate=_OVERLOAD * self._peak_rate,
            seconds=seconds,
            scratch=self._settings.scratch,
            deadline=deadline,
            cpus=self._cpus,
        )
        good = int((arrivals.status == "OK").sum())
        self._answers[row].append({"OK": good} | arrivals.failed())
        return arrivals.sample(within=1e6 * _DEADLINE)


def _overload_details(result: Result) -> list[str]:
    answers = result.figures.get("answers", {})
    codes = sorted({code for rounds in answers.values() for counts in rounds for code in counts})
    rows = [
        [row, *(str(sum(counts.get(code, 0) for counts in rounds)) for code in codes)]
        for row, rounds in answers.items()
    ]
    return ["How the requests ended, all rounds together:", markdown_table(["", *codes], rows)] if rows else []


def _overload_targets(result: Result) -> list[Target]:
    table = result.tables[_MODEL]
    return [
        at_least(f"overload: goodput at {_OVERLOAD} x peak over the peak", 0.9, lambda: table.ratio(_GOODPUT, _PEAK))
    ]


ENCODER = Section(
    "encoder",
    "A text encoder on one core",
    _measure_encoder,
    """\
Names and addresses as strings, SentencePiece with 30,000 pieces, LSTM and attention of dimension 256. The server and
the loop in process have one core, the clients the others.

A core that rests between requests is slow to begin: without any network, `taskset -c 0 tfs bench VERSION --rate 150`
had a median of 2.57 ms where back to back (`--concurrency 1`) it was 1.01 ms. That is most of the latency at 150/s.

The rest itself is not what costs: with a process of niceness 19 that spins on the core meanwhile, so that it never
stops, a request every 6.6 ms took as long (4.0 to 4.4 ms, idle 3.9 to 4.4, back to back 3.6 to 3.9, at a time when the
machine's neighbours left it half of its speed). What a run needs is no longer in the caches.

At the peak the sockets' thread has 10% of the core (`/proc/PID/task/*/schedstat`). It took the core from the run
thread about twice a request, 3.9 switches of tasks in all, and a run took longer than in the loop: 1.15 to 1.3 ms
instead of 0.99. Now it waits for the end of a run as long as requests stand in line (`SCHED_BATCH`): 0.8 switches a
request, and in turn with the engine before 8% more requests, 0.90 of in-process instead of 0.82. What is left is the
sockets' thread itself.""",
    _encoder_targets,
    lambda result: (
        [f"The server held {result.figures['resident MiB']:.0f} MiB after the load."] if result.figures else []
    ),
    tools=("h2load", "ghz"),
)
OVERLOAD = Section(
    "overload",
    "Overload",
    _measure_overload,
    f"""\
The same encoder on one core, offered {_OVERLOAD} times the peak of the same round in an open loop. What counts is what
is answered well within {_DEADLINE * 1000:.0f} ms of the moment when it was due. Clients that send a deadline let the
server drop what nobody waits for any more; those that send none wait as long as it takes.""",
    _overload_targets,
    _overload_details,
    tools=("h2load", "ghz"),
)
