"""tfs beside other servers: a C++ stand-in for tensorflow_model_server, and servers written in Python."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from answers import WrongAnswerError, check_rest
from loads import FailedRequestsError, Sample
from peers import Peer, launchers, systems
from report import NotMeasuredError, Result, Section, Table, Target, at_least, at_most
from server import serve
from settings import Cell, Settings, closed_grpc, closed_rest, predict_call, take_turns
from standin import standin

from .batching import ADAPTIVE

__all__ = ["OTHERS"]

_GRPC_LOADS = {"half_plus_two": (8, 16), "encoder_tokens": (8, 4), "deepfm_ids": (8, 4)}
_CONNECTIONS = 32
_TFS, _ADAPTIVE, _STANDIN = "tfs serve", "tfs serve, adaptive batching", "C++ stand-in, default settings"
# Times the requests/s that are wanted: of the stand-in, of the best peer, and of that with adaptive batching.
_OVER_STANDIN = {"half_plus_two": 2.0, "encoder_tokens": 1.8, "deepfm_ids": 1.4}
_OVER_PEERS = {"half_plus_two": (4.0, None), "encoder_tokens": (1.3, 3.0), "deepfm_ids": (2.5, None)}
_NO_STANDIN, _NO_PEERS = "no --standin DIR was given", "no --peers DIR was given"


def _grpc_title(name: str) -> str:
    clients, streams = _GRPC_LOADS[name]
    return f"{name}: gRPC, {clients} x {streams} streams"


def _rest_title(name: str) -> str:
    return f"{name}: REST, {_CONNECTIONS} connections"


def _measure(settings: Settings) -> Result:
    result = Result()
    for name in _GRPC_LOADS:
        result.tables[_grpc_title(name)] = _against_standin(settings, name)
        result.tables[_rest_title(name)] = _against_peers(settings, name)
    return result


def _against_standin(settings: Settings, name: str) -> Table:
    model = settings.model(name)
    clients, streams = _GRPC_LOADS[name]
    with ExitStack() as stack:
        server = stack.enter_context(serve(model))
        cells: dict[str, Cell | str] = {
            _TFS: closed_grpc(settings, predict_call(server.grpc_address, model), clients, streams)
        }
        if settings.standin is None:
            cells[_STANDIN] = _NO_STANDIN
        else:
            address = stack.enter_context(standin(settings.standin, model))
            cells[_STANDIN] = closed_grpc(settings, predict_call(address, model), clients, streams)
        return take_turns(settings, _grpc_title(name), cells)


def _against_peers(settings: Settings, name: str) -> Table:
    model = settings.model(name)
    with ExitStack() as stack:
        cells: dict[str, Cell | str] = {}
        for row, flags in ((_TFS, []), (_ADAPTIVE, [ADAPTIVE])):
            url = stack.enter_context(serve(model, *flags)).rest_url(name)
            check_rest(url, model)
            cells[row] = closed_rest(settings, [url], model.body(), _CONNECTIONS)
        cells |= _peer_cells(settings, name, stack)
        return take_turns(settings, _rest_title(name), cells)


def _peer_cells(settings: Settings, name: str, stack: ExitStack) -> dict[str, Cell | str]:
    """Start the peers; one that does not start, or answers wrong, has a row that says so."""
    if settings.peers is None:
        return {"Python peers": _NO_PEERS}
    module = launchers(settings.peers, settings.models.parent / "peers")
    cells: dict[str, Cell | str] = {}
    folder = Path(settings.scratch) / f"peers_{name}"
    for system in systems(module, settings.peer_systems):
        row = system["name"]
        if not module.build_venv(system.get("venv", "tf")):
            cells[row] = "its environment could not be built"
            continue
        try:
            peer = Peer(module, system, settings.model(name), folder)
        except (RuntimeError, WrongAnswerError) as error:
            cells[row] = str(error)
            continue
        stack.callback(peer.stop)
        cells[row] = partial(_measure_peer, settings, peer)
    return cells


def _measure_peer(settings: Settings, peer: Peer, seconds: float) -> Sample:
    try:
        return peer.measure(settings, seconds, _CONNECTIONS)
    except FailedRequestsError:
        # Under this load some drop connections; what they answered nevertheless cannot be compared.
        return Sample(0.0)


def _best_peer(table: Table) -> str:
    peers = [
        row for row, samples in table.rows.items() if row not in (_TFS, _ADAPTIVE) and not isinstance(samples, str)
    ]
    if not peers:
        raise NotMeasuredError(_NO_PEERS)
    return max(peers, key=table.rate)


def _targets(result: Result) -> list[Target]:
    targets = []
    for name in _GRPC_LOADS:
        grpc, rest = result.tables[_grpc_title(name)], result.tables[_rest_title(name)]
        wanted, (alone, adaptive) = _OVER_STANDIN[name], _OVER_PEERS[name]
        targets += [
            at_least(
                f"{name}: gRPC over the C++ stand-in",
                wanted,
                partial(grpc.ratio, _TFS, _STANDIN),
                f"{{:.2f}} of {wanted}",
            ),
            at_most(f"{name}: gRPC's p99 over the C++ stand-in's", 1, partial(grpc.p99_ratio, _TFS, _STANDIN)),
            *_peer_targets(f"{name}: REST", rest, _TFS, alone),
        ]
        if adaptive:
            targets += _peer_targets(f"{name}, adaptive batching: REST", rest, _ADAPTIVE, adaptive)
    return targets


def _peer_targets(title: str, table: Table, row: str, wanted: float) -> list[Target]:
    return [
        at_least(
            f"{title} over the best Python peer",
            wanted,
            lambda: table.ratio(row, _best_peer(table)),
            f"{{:.2f}} of {wanted}",
        ),
        at_most(f"{title}'s p99 over that of the best Python peer", 1, lambda: table.p99_ratio(row, _best_peer(table))),
    ]


OTHERS = Section(
    "others",
    "Beside other servers",
    _measure,
    """\
The stand-in is a small synchronous C++ gRPC server with tensorflow_model_server's hot path: generated messages and
`TF_SessionRun` with TensorFlow's default settings, no versions, no batching, no REST. The Python peers serve the same
SavedModel, each started as its documentation says and with what makes it fast; those that are not being measured are
frozen.""",
    _targets,
)
