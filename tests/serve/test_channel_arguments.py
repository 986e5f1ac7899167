"""What `--grpc_channel_arguments` does to the listener."""

import logging
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from running_server import Models, RunningServer, publish

from tfs.savedmodel.errors import UsageError
from tfs.serve.channel_arguments import http2_settings


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("grpc.keepalive_time_ms=5000", {"keepalive_time_ms": 5000}),
        ("grpc.max_concurrent_streams=3,grpc.max_concurrent_streams=7", {"max_concurrent_streams": 7}),
        ("grpc.max_receive_message_length=100,grpc.max_receive_message_length=-1", {}),
        ("grpc.max_connection_age_ms=2147483647", {}),
    ],
)
def test_known_arguments_are_taken_and_the_last_one_wins(text: str, settings: dict[str, int]) -> None:
    assert http2_settings(text) == settings


def test_an_unknown_argument_is_logged_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert http2_settings("grpc.lb_policy_name=pick_first") == {}
    assert caplog.messages == ["--grpc_channel_arguments: grpc.lb_policy_name has no meaning here and is ignored"]


@pytest.mark.parametrize("text", ["grpc.keepalive_time_ms", "grpc.keepalive_time_ms=soon"])
def test_what_is_no_number_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match=r"--grpc_channel_arguments: .*grpc\.keepalive_time_ms"):
        http2_settings(text)


def test_a_message_over_the_limit_is_refused_and_connections_end_at_their_age(
    models: Models, launch: Callable[..., RunningServer], tmp_path: Path
) -> None:
    publish(models.half_plus_two, tmp_path / "m", 1)
    arguments = "grpc.max_receive_message_length=100,grpc.max_connection_age_ms=300,grpc.keepalive_time_ms=200"
    flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", f"--grpc_channel_arguments={arguments}")
    server = launch(*flags).wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)
    with pytest.raises(grpc.RpcError) as refused:
        server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")(b"x" * 200, timeout=10)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details() == "Received message larger than max (200 vs. 100)"
    states: list[grpc.ChannelConnectivity] = []
    server.channel.subscribe(states.append)
    answered = 0
    while grpc.ChannelConnectivity.IDLE not in states and answered < 100_000:
        assert server.predict("m", 2.0) == (1, 3.0)  # whatever happens to the connection
        answered += 1
    assert grpc.ChannelConnectivity.IDLE in states
    server.channel.unsubscribe(states.append)
    assert server.stop() == 0
