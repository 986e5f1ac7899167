import os
from pathlib import Path
from typing import Any

import pytest

from tfs.savedmodel import protos
from tfs.savedmodel.errors import TfsError
from tfs.serve.execution import Execution, execution_of
from tfs.serve.options import ServerOptions


def execution(**flags: Any) -> tuple[Any, Execution]:
    """Return the ConfigProto, and the rest."""
    found = execution_of(ServerOptions(model_base_path="/m", **flags))
    return protos.load("config_pb2").ConfigProto.FromString(found.session_config), found


def file(folder: Path, text: str) -> str:
    path = folder / "a.config"
    path.write_text(text)
    return str(path)


def test_by_default_a_request_stays_in_one_thread_unless_another_way_is_measured_to_be_better() -> None:
    config, rest = execution()
    assert str(config) == "intra_op_parallelism_threads: 1\n"
    assert rest.in_caller_thread
    assert rest.measured
    assert (rest.tags, rest.warmup, rest.warmup_iterations) == (("serve",), True, 1)


@pytest.mark.parametrize(
    ("mode", "intra", "in_caller_thread"), [("caller", 1, True), ("pool", 1, False), ("default", 0, False)]
)
def test_a_mode_says_what_no_flag_says(mode: str, intra: int, in_caller_thread: bool) -> None:
    config, rest = execution(execution=mode)
    assert config.intra_op_parallelism_threads == intra
    assert (rest.in_caller_thread, rest.measured) == (in_caller_thread, False)
    config, rest = execution(execution=mode, tensorflow_intra_op_parallelism=5)
    assert (config.intra_op_parallelism_threads, rest.in_caller_thread) == (5, in_caller_thread)
    config, rest = execution(execution=mode, tensorflow_inter_op_parallelism=5)
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (intra, 5)
    assert not rest.in_caller_thread


@pytest.mark.parametrize(
    ("flags", "intra", "inter", "in_caller_thread"),
    [
        ({"tensorflow_session_parallelism": 3}, 3, 3, False),
        ({"tensorflow_intra_op_parallelism": 3}, 3, 0, True),
        ({"tensorflow_inter_op_parallelism": 3}, 1, 3, False),
        ({"tensorflow_inter_op_parallelism": -1}, 1, 0, True),
        ({"tensorflow_session_parallelism": 3, "tensorflow_intra_op_parallelism": 5}, 5, 3, False),
    ],
)
def test_parallelism_flags(flags: dict[str, int], intra: int, inter: int, in_caller_thread: bool) -> None:
    config, rest = execution(**flags)
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (intra, inter)
    assert rest.in_caller_thread is in_caller_thread
    assert rest.measured is (config.inter_op_parallelism_threads == 0 and intra == 1)


def test_a_session_config_file_holds_unless_a_flag_says_otherwise(tmp_path: Path) -> None:
    text = """
        intra_op_parallelism_threads: 2 inter_op_parallelism_threads: 7
        allow_soft_placement: true
        gpu_options { per_process_gpu_memory_fraction: 0.5 allow_growth: true }
    """
    path = file(tmp_path, text)
    config, rest = execution(tensorflow_session_config_file=path)
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (2, 7)
    assert config.allow_soft_placement
    assert not rest.in_caller_thread
    config, _ = execution(
        tensorflow_session_config_file=path,
        tensorflow_intra_op_parallelism=4,
        per_process_gpu_memory_fraction=0.25,
    )
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (4, 7)
    assert config.gpu_options.per_process_gpu_memory_fraction == 0.25
    assert config.gpu_options.allow_growth


def test_a_pool_of_its_own_in_the_file_is_used(tmp_path: Path) -> None:
    path = file(tmp_path, "session_inter_op_thread_pool { num_threads: 4 }")
    assert not execution(tensorflow_session_config_file=path)[1].in_caller_thread


def test_the_flags_about_devices_are_written_over_the_file(tmp_path: Path) -> None:
    assert not execution()[0].HasField("gpu_options")
    text = 'device_count { key: "GPU" value: %d } gpu_options { visible_device_list: "3" allow_growth: true }'
    config, _ = execution(tensorflow_session_config_file=file(tmp_path, text % 2))
    assert (config.device_count["GPU"], config.gpu_options.visible_device_list) == (2, "3")
    config, _ = execution(tensorflow_session_config_file=file(tmp_path, text % 2), device="cpu")
    assert config.device_count["GPU"] == 0
    config, _ = execution(tensorflow_session_config_file=file(tmp_path, text % 2), device="gpu", visible_devices="0,1")
    assert (config.device_count["GPU"], config.gpu_options.visible_device_list) == (2, "0,1")
    assert config.gpu_options.allow_growth
    config, _ = execution(tensorflow_session_config_file=file(tmp_path, text % 0), device="gpu")
    assert "GPU" not in config.device_count
    config, _ = execution(gpu_memory_growth=True)
    assert str(config.gpu_options) == "allow_growth: true\n"


def test_the_flags_about_devices_hold_beside_a_platform_config(tmp_path: Path) -> None:
    text = 'session_config { gpu_options { visible_device_list: "3" } }'
    path = file(tmp_path, PLATFORM % ("tensorflow", text))
    config, _ = execution(platform_config_file=path, device="cpu", visible_devices="1")
    assert (config.device_count["GPU"], config.gpu_options.visible_device_list) == (0, "1")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("intra_op_parallelism_threads: 2", "intra_op_parallelism_threads"),
        (
            "inter_op_parallelism_threads: 2 use_per_session_threads: true",
            "inter_op_parallelism_threads and use_per_session_threads",
        ),
        ("session_inter_op_thread_pool { }", "session_inter_op_thread_pool"),
    ],
)
def test_a_config_file_that_says_something_of_threads_wins_over_measuring(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, named: str
) -> None:
    caplog.set_level("INFO")
    _, rest = execution(tensorflow_session_config_file=file(tmp_path, text))
    assert not rest.measured
    assert caplog.messages == [f"--execution=auto measures nothing: the config of sessions has {named}"]


def test_bfloat16_is_the_only_mixed_precision(caplog: pytest.LogCaptureFixture) -> None:
    config, _ = execution(mixed_precision="bfloat16")
    assert config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 == 1
    assert caplog.messages == []
    config, _ = execution(mixed_precision="float8")
    assert not config.HasField("graph_options")
    assert caplog.messages == ["--mixed_precision=float8 has no effect: only bfloat16 is known"]


PLATFORM = """
platform_configs {
  key: "%s"
  value {
    source_adapter_config {
      [type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] { legacy_config { %s } }
    }
  }
}
"""


def test_a_platform_config_takes_the_place_of_the_flags(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = """
        session_config { inter_op_parallelism_threads: 3 }
        saved_model_tags: "serve" saved_model_tags: "gpu"
        enable_model_warmup: true model_warmup_options { num_request_iterations { value: 4 } }
    """
    config, rest = execution(
        platform_config_file=file(tmp_path, PLATFORM % ("tensorflow", text)),
        tensorflow_inter_op_parallelism=8,
        saved_model_tags="ignored",
    )
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (1, 3)
    assert (rest.tags, rest.warmup, rest.warmup_iterations) == (("serve", "gpu"), True, 4)
    assert caplog.messages == []


def test_what_a_platform_config_leaves_out_is_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, rest = execution(platform_config_file=file(tmp_path, PLATFORM % ("tensorflow", "")), enable_batching=True)
    assert (rest.tags, rest.warmup, rest.batching) == (("serve",), False, None)
    assert caplog.messages == []


def test_tflite_models_are_looked_for_if_the_flags_say_so(tmp_path: Path) -> None:
    plain = ("saved_model.pb", "saved_model.pbtxt")
    assert execution(num_tflite_pools=4)[1].model_files == plain
    cases: list[tuple[dict[str, Any], int]] = [
        ({}, os.cpu_count() or 1),
        ({"num_tflite_pools": 3}, 3),
        ({"num_tflite_pools": 3, "num_tflite_interpreters_per_pool": 4}, 12),
        ({"num_tflite_pools": -1, "num_tflite_interpreters_per_pool": 0}, 1),
    ]
    for flags, interpreters in cases:
        fields = "".join(f"{name}: {number} " for name, number in flags.items()) + "prefer_tflite_model: true"
        platform = file(tmp_path, PLATFORM % ("tensorflow", fields))
        for _, rest in (execution(prefer_tflite_model=True, **flags), execution(platform_config_file=platform)):
            assert rest.tflite_interpreters == interpreters
            assert rest.model_files == (*plain, "model.tflite")
    platform = file(tmp_path, PLATFORM % ("tensorflow", "num_tflite_pools: 2"))
    assert execution(platform_config_file=platform, prefer_tflite_model=True)[1].tflite_interpreters == 0


def test_a_platform_config_has_its_own_batching(tmp_path: Path) -> None:
    text = "batching_parameters { max_batch_size { value: 8 } num_batch_threads { value: 3 } }"
    _, rest = execution(platform_config_file=file(tmp_path, PLATFORM % ("tensorflow", text)))
    assert rest.batching is not None
    assert rest.batching.threads == 3
    assert rest.batching.parameters["max_batch_size"] == 8


def test_a_thread_pool_factory_config_that_names_no_factory_is_accepted(tmp_path: Path) -> None:
    assert execution(thread_pool_factory_config_file=file(tmp_path, "# nothing"))[1].in_caller_thread


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "thread_pool_factory_config { [type.googleapis.com/tensorflow.ConfigProto] { } }",
            "Couldn't find factory for config proto message type tensorflow.ConfigProto "
            "(no thread pool factory is built in; leave --thread_pool_factory_config_file out)",
        ),
        (
            'thread_pool_factory_config { type_url: "type.googleapis.com/my.Pool" }',
            "Couldn't find factory for config proto message type my.Pool",
        ),
        ('thread_pool_factory_config { type_url: "my.Pool" }', "type_url could not be parsed: my.Pool"),
    ],
)
def test_a_thread_pool_factory_that_is_not_known_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TfsError) as caught:
        execution(thread_pool_factory_config_file=file(tmp_path, text))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "flag", ["tensorflow_session_config_file", "platform_config_file", "thread_pool_factory_config_file"]
)
def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path, flag: str) -> None:
    with pytest.raises(TfsError, match=f"cannot read --{flag} `/nowhere`: No such file"):
        execution(**{flag: "/nowhere"})
    path = file(tmp_path, "what: ever")
    with pytest.raises(TfsError, match=r"Error parsing text-format tensorflow\.\S+: 1:1: .*Invalid protobuf file: '/"):
        execution(**{flag: path})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLATFORM % ("other", ""), "configures no platform `tensorflow`"),
        ('platform_configs { key: "tensorflow" value { } }', "has no tensorflow.serving.SavedModelBundleSourceAdapter"),
    ],
)
def test_a_platform_config_without_tensorflow_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TfsError, match=message):
        execution(platform_config_file=file(tmp_path, text))
