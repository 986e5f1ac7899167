"""A flood of requests to one model does not hold up those to another, however requests are run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batching_requests import LONG, answer, ask
from clients import Client
from running_server import RunningServer, model_server_config, publish


@pytest.fixture(scope="module", params=["", "--enable_batching", "--adaptive_batching"])
def client(
    request: pytest.FixtureRequest, batching_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """Clients of a server with the models `flooded` and `quiet`, where batches are of one row."""
    folder = tmp_path_factory.mktemp("bases")
    for name in ("flooded", "quiet"):
        publish(batching_model, folder / name, 1)
    config, parameters = folder / "models.config", folder / "batching.config"
    config.write_text(model_server_config(flooded=folder / "flooded", quiet=folder / "quiet"))
    parameters.write_text("max_batch_size { value: 1 } max_enqueued_batches { value: 100 }")
    flags = [request.param, f"--batching_parameters_file={parameters}"] if request.param else []
    with RunningServer(f"--model_config_file={config}", *flags) as server, Client(server) as client:
        yield client


def _done(futures: list[Any]) -> int:
    return sum(future.done() for future in futures)


def test_a_quiet_model_is_answered_in_the_midst_of_a_flood(client: Client) -> None:
    flood = [client.prediction.Predict.future(ask("flooded", "slow", x=[LONG / 20]), timeout=60) for _ in range(60)]
    while not _done(flood):
        flood[0].result()
    for _ in range(3):
        before = _done(flood)
        assert answer(client, ask("quiet", "slow", x=[LONG / 100])) == {"y": [LONG / 100]}
        # A run of the flood on each thread, and those that are answered before it is seen.
        assert _done(flood) - before <= 10
    assert _done(flood) < 60, "the flood was long enough"
    for future in flood:
        future.cancel()
