"""The same rows over gRPC and over REST, with many in a request."""

from answers import check_rest
from loads import best_plan
from report import Result, Section, Table, Target, at_least
from server import serve
from settings import Settings, closed_grpc, closed_rest, in_process, predict_call, take_turns

__all__ = ["FORMATS"]

_IMAGE, _IMAGES, _EXAMPLES = "28 x 28 images, one a request", "28 x 28 images, 100 a request", "DeepFM, 1,000 examples"
_IN_PROCESS, _GRPC, _REST = "in process", "gRPC", "REST"
_CONNECTIONS = 8


def _measure(settings: Settings) -> Result:
    return Result(
        {
            _IMAGE: _table(settings, _IMAGE, "fashion", 1, "images/s"),
            _IMAGES: _table(settings, _IMAGES, "fashion", 100, "images/s"),
            _EXAMPLES: _table(settings, _EXAMPLES, "deepfm", 1000, "examples/s"),
        }
    )


def _table(settings: Settings, title: str, name: str, rows: int, unit: str) -> Table:
    model = settings.model(name)
    plan = best_plan(model, seconds=min(settings.seconds, 1), rows=rows)
    with serve(model) as server:
        url = server.rest_url(name)
        check_rest(url, model, rows)
        call = predict_call(server.grpc_address, model, rows)
        cells = {
            _IN_PROCESS: in_process(model, plan, rows=rows, factor=rows),
            _GRPC: closed_grpc(settings, call, _CONNECTIONS, 1, factor=rows),
            _REST: closed_rest(settings, [url], model.body(rows), _CONNECTIONS, factor=rows),
        }
        return take_turns(settings, title, cells, unit=unit)


def _targets(result: Result) -> list[Target]:
    return [
        target
        for title, table in result.tables.items()
        if title != _IMAGE
        for target in (
            at_least(f"{title}: REST over gRPC", 0.6, lambda table=table: table.ratio(_REST, _GRPC)),
            at_least(f"{title}: gRPC over in-process", 0.9, lambda table=table: table.ratio(_GRPC, _IN_PROCESS)),
        )
    ]


FORMATS = Section(
    "formats",
    "REST against gRPC",
    _measure,
    f"""\
{_CONNECTIONS} connections in a closed loop. gRPC carries floats as `tensor_content`, REST the same numbers in decimal
digits as Python prints them, and serialized `tf.Example`s in base 64. Half of each image is background, 0.0.

Where the time goes, by the kernel's accounts of CPU time (`/proc/PID/task/*/schedstat`, medians of 7 rounds while other
work went on, in ms a request):

| | in process | run threads and TensorFlow's | sockets' threads | client |
| --- | --- | --- | --- | --- |
| 100 images, gRPC | 5.0 | 4.9 | 0.4 | 0.3 |
| 100 images, REST | 5.0 | 6.8 | 0.9 | 0.7 |
| 1,000 examples, gRPC | 12.1 | 11.7 | 1.1 | 0.7 |
| 1,000 examples, REST | 12.1 | 14.5 | 1.1 | 0.9 |

That was before a large tensor kept its message's memory. Over gRPC a run takes no longer than in process. But all
share two cores: the client takes 6 to 7% of what the loop in process has for itself, the sockets, with 0.31 MB of
images or 0.87 MB of examples in HTTP/2 frames of 16 KiB, 8 to 9%.
So without a moment's idleness gRPC comes to 0.88 of in-process. Images over REST are 1.15 MB in which each number
stands in a list of its own; reading it takes 24 ns.""",
    _targets,
)
