from collections.abc import Mapping

import pytest

from tfs.serve.codes import Code
from tfs.serve.config import Change, ConfigError, ModelConfig, parse_model_config, plan_change
from tfs.serve.text_protos import InvalidProtobufError
from tfs.serve.version_policy import AllVersions, LatestVersions, SpecificVersions

TWO_MODELS = """
model_config_list {
  config {
    name: "digits"
    base_path: "/models/digits"
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 versions: 3 } }
    version_labels { key: "stable" value: 1 }
    version_labels { key: "canary" value: 3 }
  }
  config { name: "other" base_path: "/models/other" model_type: TENSORFLOW }
}
"""


def one_model(text: str) -> str:
    return f'model_config_list {{ config {{ name: "m" base_path: "/m" model_platform: "tensorflow" {text} }} }}'


def test_a_config_file_names_several_models() -> None:
    assert parse_model_config(TWO_MODELS, source="models.config") == [
        ModelConfig("digits", "/models/digits", SpecificVersions(frozenset({1, 3})), {"stable": 1, "canary": 3}),
        ModelConfig("other", "/models/other", LatestVersions(1), {}),
    ]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", LatestVersions(1)),
        ("model_version_policy { }", LatestVersions(1)),
        ("model_version_policy { latest { } }", LatestVersions(1)),
        ("model_version_policy { latest { num_versions: 0 } }", LatestVersions(1)),
        ("model_version_policy { latest { num_versions: 4 } }", LatestVersions(4)),
        ("model_version_policy { all { } }", AllVersions()),
        ("model_version_policy { specific { } }", SpecificVersions(frozenset())),
        ("model_version_policy { specific { versions: 7 } }", SpecificVersions(frozenset({7}))),
    ],
)
def test_version_policies(text: str, policy: object) -> None:
    assert parse_model_config(one_model(text), source="f")[0].version_policy == policy


@pytest.mark.parametrize("path", ["/m", "s3://bucket/m", "gs://bucket/m", "memory://m"])
def test_a_base_path_is_absolute_or_a_url(path: str) -> None:
    text = f'model_config_list {{ config {{ name: "m" base_path: "{path}" model_platform: "tensorflow" }} }}'
    assert parse_model_config(text, source="f") == [ModelConfig("m", path)]


def entry(text: str) -> str:
    return f"model_config_list {{ config {{ {text} }} }}"


TYPE, PLATFORM = "ModelServerConfig::model_type (deprecated)", "ModelServerConfig::model_platform"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`f` has no model_config_list"),
        ("custom_model_config { }", "`f` has no model_config_list"),
        (entry('base_path: "/m" model_platform: "tensorflow"'), "`f`: a model of the config has no name"),
        (
            entry('name: "m" model_platform: "tensorflow"'),
            "`f`: Expected model m to have an absolute path or URI; got base_path()=",
        ),
        (
            entry('name: "m" base_path: "models/m" model_platform: "tensorflow"'),
            "`f`: Expected model m to have an absolute path or URI; got base_path()=models/m",
        ),
        (entry('name: "m" base_path: "/m"'), f"`f`: Illegal setting neither {TYPE} nor {PLATFORM}."),
        (one_model("model_type: TENSORFLOW"), f"`f`: Illegal setting both {TYPE} and {PLATFORM}."),
        (
            entry('name: "m" base_path: "/m" model_type: OTHER'),
            "`f`: ModelServerConfig::model_type choice 2 not supported.",
        ),
        (
            one_model('} config { name: "m" base_path: "/n" model_platform: "tensorflow"'),
            "`f`: Illegal to list model m multiple times in config list",
        ),
        (one_model("logging_config { }"), "`f`: The filename_prefix `` of model m names no file"),
    ],
)
def test_a_config_that_cannot_be_served_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_model_config(text, source="f")
    assert caught.value.message == message
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_mistake_in_the_text_is_told_with_its_place() -> None:
    with pytest.raises(InvalidProtobufError) as caught:
        parse_model_config("model_config_list {\n  conf {", source="f")
    assert caught.value.message == (
        "Error parsing text-format tensorflow.serving.ModelServerConfig: 2:3: "
        'Message type "tensorflow.serving.ModelConfigList" has no field named "conf"; '
        "INVALID_ARGUMENT: Invalid protobuf file: 'f'"
    )


def model(name: str, *, labels: Mapping[str, int] | None = None, platform: str = "tensorflow") -> ModelConfig:
    return ModelConfig(name, f"/{name}", labels=labels or {}, platform=platform)


def test_a_change_names_the_models_that_begin_and_end() -> None:
    change = plan_change([model("a"), model("b")], [model("b"), model("c")], {}, allow_labels_for_unavailable=False)
    assert change == Change(added=frozenset({"c"}), removed=frozenset({"a"}))
    assert plan_change([], [], {}, allow_labels_for_unavailable=False) == Change(frozenset(), frozenset())


# Requests reach versions 1 and 2 of m; its label `old` is for 1, and `gone` for 9, which has been unloaded since.
@pytest.mark.parametrize(
    ("labels", "without_flag", "with_flag"),
    [
        ({}, True, True),
        ({"old": 1}, True, True),
        ({"old": 2}, True, True),
        ({"old": 1, "new": 2, "again": 2}, True, True),
        ({"new": 3}, False, True),
        ({"old": 3}, False, False),
        ({"gone": 9}, False, True),
        ({"gone": 8}, False, False),
        ({"gone": 1}, True, True),
    ],
)
def test_a_label_names_an_available_version(labels: Mapping[str, int], without_flag: bool, with_flag: bool) -> None:
    old, new = [model("m", labels={"old": 1, "gone": 9})], [model("m", labels=labels)]
    for allow, accepted in ((False, without_flag), (True, with_flag)):
        if accepted:
            plan_change(old, new, {"m": {1, 2}}, allow_labels_for_unavailable=allow)
            continue
        with pytest.raises(ConfigError) as caught:
            plan_change(old, new, {"m": {1, 2}}, allow_labels_for_unavailable=allow)
        [version] = labels.values()
        assert caught.value.code is Code.FAILED_PRECONDITION
        assert caught.value.message == (
            f"Request to assign label to version {version} of model m, which is not currently available for inference"
        )


def test_labels_of_the_first_config_need_the_flag() -> None:
    new = [model("m", labels={"stable": 1})]
    with pytest.raises(ConfigError, match="Request to assign label to version 1 of model m, which is not currently"):
        plan_change([], new, {}, allow_labels_for_unavailable=False)
    assert plan_change([], new, {}, allow_labels_for_unavailable=True).added == {"m"}


@pytest.mark.parametrize(
    ("old", "message"),
    [
        (
            [model("m")],
            "Illegal to change a model's platform. For model m platform was tensorflow and new platform requested is x",
        ),
        ([], "Model m requests unsupported platform x"),
    ],
)
def test_another_platform_is_refused(old: list[ModelConfig], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_change(old, [model("m", platform="x")], {}, allow_labels_for_unavailable=False)
    assert (caught.value.code, caught.value.message) == (Code.INVALID_ARGUMENT, message)
