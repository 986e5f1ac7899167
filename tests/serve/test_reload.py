"""HandleReloadConfigRequest on a running server."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from running_server import AVAILABLE, END, Models, RunningServer, model_server_config, publish

ALL = "model_version_policy { all { } }"


LOADS = "/tensorflow/cc/saved_model/load_attempt_count"
REQUESTS = "/tensorflow/serving/request_count"
UNKNOWN = "/tensorflow/no/such/metric"


def label(name: str, version: int) -> str:
    return f'version_labels {{ key: "{name}" value: {version} }}'


@dataclass
class Reloadable:
    """A server that serves model `m` from base path `m`; versions 1 and 2 lie there, version 2 is served."""

    server: RunningServer
    folder: Path
    models: Models

    @property
    def m(self) -> Path:
        return self.folder / "m"

    def add_model(self, name: str) -> Path:
        publish(self.models.half_plus_three, self.folder / name, 1)
        return self.folder / name

    def add_broken(self, name: str, version: int = 1) -> Path:
        file = publish(self.models.half_plus_two, self.folder / name, version) / "saved_model.pb"
        file.write_bytes(file.read_bytes()[:100])
        return self.folder / name


@pytest.fixture
def start(models: Models, tmp_path: Path, launch: Callable[..., RunningServer]) -> Callable[..., Reloadable]:
    def new(*flags: str) -> Reloadable:
        publish(models.half_plus_two, tmp_path / "m", 1)
        publish(models.half_plus_three, tmp_path / "m", 2)
        flags = ("--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0", *flags)
        return Reloadable(launch(*flags).wait_until_ready(), tmp_path, models)

    return new


def test_models_come_and_go(start: Callable[..., Reloadable]) -> None:
    it = start()
    n = it.add_model("n")
    reply = it.server.reload(model_server_config(m=it.m, n=n))
    assert (reply.status.error_code, reply.status.error_message) == (0, "")
    assert it.server.predict("n", 2.0) == (1, 4.0), "a new model has been waited for"
    assert it.server.predict("m", 2.0) == (2, 4.0)

    it.server.reload(model_server_config(n=n))
    it.server.wait_for_states("m", {2: END})
    with pytest.raises(grpc.RpcError) as caught:
        it.server.predict("m", 2.0)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "Servable not found for request: Latest(m)"

    it.server.reload(model_server_config(m=it.m, n=n))
    assert it.server.predict("m", 2.0) == (2, 4.0), "a model that comes back is new"
    assert it.server.stop() == 0


def test_the_reply_says_by_how_much_the_counters_that_were_named_have_grown(start: Callable[..., Reloadable]) -> None:
    it = start()
    assert it.server.predict("m", 2.0) == (2, 4.0)

    def increases(config: str, *names: str) -> dict[str, int]:
        reply = it.server.reload(config, metric_names=names)
        assert len(reply.metric) == len(set(names))
        return {metric.name: metric.int64_value_increase for metric in reply.metric}

    # Each version is another label of the counter.
    two_more = model_server_config(m=(it.m, ALL), n=it.add_model("n"), k=it.add_model("k"))
    found = increases(two_more, LOADS, UNKNOWN, REQUESTS, UNKNOWN)
    it.server.wait_for_states("m", {2: AVAILABLE, 1: AVAILABLE})
    assert found[LOADS] >= 2, "version 1 of m is not waited for"
    assert found[UNKNOWN] == found[REQUESTS] == 0
    assert increases(two_more, LOADS) == {LOADS: 0}
    with ThreadPoolExecutor(1) as pool:
        late = it.folder / "late"
        late.mkdir()
        waiting = pool.submit(increases, model_server_config(m=(it.m, ALL), late=late), REQUESTS)
        it.server.wait_for_line("late: there is no version to serve yet")
        assert it.server.predict("m", 2.0) == (2, 4.0)
        publish(it.models.half_plus_two, late, 1)
        assert waiting.result(timeout=30) == {REQUESTS: 1}


def test_an_empty_list_unloads_everything_and_the_server_goes_on(start: Callable[..., Reloadable]) -> None:
    it = start()
    it.server.reload("model_config_list { }")
    it.server.wait_for_states("m", {2: END})
    it.server.reload(model_server_config(m=it.m))
    assert it.server.predict("m", 2.0) == (2, 4.0)


def test_version_policies_and_base_paths_change(start: Callable[..., Reloadable]) -> None:
    it = start()
    it.server.reload(model_server_config(m=(it.m, ALL)))
    it.server.wait_for_states("m", {2: AVAILABLE, 1: AVAILABLE})
    it.server.reload(model_server_config(m=(it.m, "model_version_policy { specific { versions: 1 } }")))
    it.server.wait_for_states("m", {2: END, 1: AVAILABLE})
    assert it.server.predict("m", 2.0) == (1, 3.0)

    # Version 1 of the other base path is another model, but the number is served already.
    other = it.add_model("other")
    publish(it.models.half_plus_three, other, 5)
    it.server.reload(model_server_config(m=(other, ALL)))
    it.server.wait_for_states("m", {5: AVAILABLE, 2: END, 1: AVAILABLE})
    assert it.server.predict("m", 2.0, version=1) == (1, 3.0)


def test_labels_follow_the_config(start: Callable[..., Reloadable]) -> None:
    it = start()
    both = f"{ALL} {label('stable', 1)} {label('canary', 2)}"
    refused = (
        "FAILED_PRECONDITION",
        "Request to assign label to version 1 of model m, which is not currently available",
    )
    code, message = it.server.reload_refusal(model_server_config(m=(it.m, both)))
    assert (code, message.removesuffix(" for inference")) == refused
    assert it.server.states("m") == {2: AVAILABLE}, "a refused config changes nothing"

    it.server.reload(model_server_config(m=(it.m, ALL)))
    it.server.wait_for_states("m", {2: AVAILABLE, 1: AVAILABLE})
    it.server.reload(model_server_config(m=(it.m, both)))
    assert it.server.predict("m", 2.0, label="stable") == (1, 3.0)
    assert it.server.predict("m", 2.0, label="canary") == (2, 4.0)

    it.server.reload(model_server_config(m=(it.m, f"{ALL} {label('stable', 2)}")))
    assert it.server.predict("m", 2.0, label="stable") == (2, 4.0), "a label moves at once"
    with pytest.raises(grpc.RpcError) as caught:
        it.server.predict("m", 2.0, label="canary")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "Unrecognized servable version label: canary"


def test_a_label_outlives_its_version(start: Callable[..., Reloadable]) -> None:
    it = start()
    it.server.reload(model_server_config(m=(it.m, label("stable", 2))))
    publish(it.models.half_plus_two, it.m, 3)
    it.server.wait_for_states("m", {3: AVAILABLE, 2: END})
    with pytest.raises(grpc.RpcError) as caught:
        it.server.predict("m", 2.0, label="stable")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "Servable not found for request: Specific(m, 2)"


def test_with_the_flag_a_new_label_may_come_before_its_version(start: Callable[..., Reloadable]) -> None:
    it = start("--allow_version_labels_for_unavailable_models")
    it.server.reload(model_server_config(m=(it.m, label("next", 3))))
    with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Specific\(m, 3\)"):
        it.server.predict("m", 2.0, label="next")
    publish(it.models.half_plus_two, it.m, 3)
    it.server.wait_for_states("m", {3: AVAILABLE, 2: END})
    assert it.server.predict("m", 2.0, label="next") == (3, 3.0)
    assert it.server.reload_refusal(model_server_config(m=(it.m, label("next", 4))))[0] == "FAILED_PRECONDITION"
    assert it.server.predict("m", 2.0, label="next") == (3, 3.0)


def test_a_refused_config_changes_nothing(start: Callable[..., Reloadable]) -> None:
    it = start()
    n = it.add_model("n")
    unsupported = (
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
    )
    twice = model_server_config(n=n)[:-1] + model_server_config(n=n).removeprefix("model_config_list {")
    refusals = {
        "": unsupported,
        "custom_model_config { }": unsupported,
        twice: "Illegal to list model n multiple times in config list",
        model_server_config(n=Path("n")): "Expected model n to have an absolute path or URI; got base_path()=n",
        model_server_config(n=n, m=(it.m, "model_type: TENSORFLOW")): (
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."
        ),
        model_server_config(n=n, m=it.m).replace("tensorflow", "x", 1): "Model n requests unsupported platform x",
        model_server_config(m=it.m).replace("tensorflow", "x"): (
            "Illegal to change a model's platform. For model m platform was tensorflow and new platform requested is x"
        ),
    }
    for config, message in refusals.items():
        assert it.server.reload_refusal(config) == ("INVALID_ARGUMENT", message)
    assert it.server.reload_refusal(model_server_config(n=n, o=it.folder / "nowhere")) == (
        "FAILED_PRECONDITION",
        f"cannot list the base path `{it.folder}/nowhere`: No such file or directory",
    )
    assert it.server.states("m") == {2: AVAILABLE}
    assert not [line for line in it.server.lines if " n version " in line]


def test_a_model_that_does_not_load_fails_the_call_but_not_the_rest(start: Callable[..., Reloadable]) -> None:
    it = start()
    n, broken = it.add_model("n"), it.add_broken("broken")
    code, message = it.server.reload_refusal(model_server_config(n=n, broken=broken))
    assert code == "UNKNOWN"
    start_of_message = r"1 model\(s\) did not become available: {{{name: broken version: 1} due to error: [A-Z_]+: \S"
    assert re.match(start_of_message, message), message
    assert message.endswith("}, }")
    assert it.server.predict("n", 2.0) == (1, 4.0)
    it.server.wait_for_states("m", {2: END})
    assert it.server.states("broken") == {1: END}
    publish(it.models.half_plus_two, broken, 2)
    it.server.wait_for_states("broken", {2: AVAILABLE, 1: END})
    assert it.server.predict("broken", 2.0) == (2, 3.0), "it stayed configured"


def test_a_model_without_versions_is_waited_for_and_others_may_be_reloaded_meanwhile(
    start: Callable[..., Reloadable],
) -> None:
    it = start()
    late = it.folder / "late"
    late.mkdir()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(it.server.reload, model_server_config(m=it.m, late=late))
        it.server.wait_for_line("late: there is no version to serve yet")
        it.server.reload(model_server_config(m=(it.m, ALL), late=late))
        it.server.wait_for_states("m", {2: AVAILABLE, 1: AVAILABLE})
        assert not waiting.done()
        publish(it.models.half_plus_two, late, 1)
        assert waiting.result(timeout=30).status.error_code == 0


def test_a_server_that_ends_answers_the_reload_that_waits(start: Callable[..., Reloadable]) -> None:
    it = start()
    late = it.folder / "late"
    late.mkdir()
    with ThreadPoolExecutor(1) as pool:
        refusal = pool.submit(it.server.reload_refusal, model_server_config(m=it.m, late=late))
        it.server.wait_for_line("late: there is no version to serve yet")
        assert it.server.stop() == 0
        assert refusal.result(timeout=30) == ("UNAVAILABLE", "the server is stopping")


def test_what_is_no_request_is_refused(start: Callable[..., Reloadable]) -> None:
    it = start()
    call = it.server.channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff\xff", timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    # A config field that holds no message: the engine passes it on unread.
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\x0a\x02\xff\xff", timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert it.server.predict("m", 2.0) == (2, 4.0)


def test_requests_are_answered_while_configs_change(start: Callable[..., Reloadable]) -> None:
    it = start()
    n = it.add_model("n")
    done = threading.Event()
    failures: list[grpc.RpcError] = []

    def ask() -> None:
        while not done.is_set():
            try:
                it.server.predict("m", 2.0)
            except grpc.RpcError as error:
                failures.append(error)

    asker = threading.Thread(target=ask)
    asker.start()
    for config in (model_server_config(m=it.m, n=n), model_server_config(m=(it.m, ALL))) * 5:
        it.server.reload(config)
    done.set()
    asker.join()
    assert failures == []
