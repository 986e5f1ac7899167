"""A --model_config_file that changes while the server runs."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from running_server import AVAILABLE, END, Models, RunningServer, model_server_config, publish

Launch = Callable[..., RunningServer]


@pytest.fixture
def config(models: Models, tmp_path: Path) -> Path:
    """A config file with the model m, beside the base paths m and n with version 1 each."""
    publish(models.half_plus_two, tmp_path / "m", 1)
    publish(models.half_plus_three, tmp_path / "n", 1)
    file = tmp_path / "models.config"
    write(file, m=tmp_path / "m")
    return file


def write(file: Path, **models: Path | tuple[Path, str]) -> None:
    # At once, since the server may read at any moment.
    hidden = file.with_name(".models.config.tmp")
    hidden.write_text(model_server_config(**models))
    hidden.rename(file)


def test_the_file_is_followed(config: Path, launch: Launch) -> None:
    m, n = config.parent / "m", config.parent / "n"
    flags = (f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=1")
    server = launch(*flags).wait_until_ready()

    whole = config.read_text()
    config.write_text(whole[:-10])
    server.wait_for_line(
        "ERROR the config stays as it was: Error parsing text-format tensorflow.serving.ModelServerConfig"
    )
    assert server.predict("m", 2.0) == (1, 3.0)

    write(config, m=m, n=n)
    server.wait_for_line(f"INFO  `{config}` is in effect: 2 model")
    server.wait_for_states("n", {1: AVAILABLE})
    write(config, n=n)
    server.wait_for_states("m", {1: END})
    assert server.predict("n", 2.0) == (1, 4.0)
    assert len([line for line in server.lines if "the config stays as it was" in line]) == 1
    assert server.stop() == 0


def test_a_config_that_is_refused_is_tried_again(config: Path, models: Models, launch: Launch) -> None:
    m = config.parent / "m"
    flags = (f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=1")
    server = launch(*flags).wait_until_ready()
    write(config, m=(m, 'version_labels { key: "new" value: 2 }'))
    server.wait_for_line("the config stays as it was: Request to assign label to version 2 of model m")
    publish(models.half_plus_three, m, 2)
    server.wait_for_line("is in effect: 1 model")
    assert server.predict("m", 2.0, label="new") == (2, 4.0)
    assert server.stop() == 0


def test_sighup_applies_the_file(config: Path, launch: Launch) -> None:
    m, n = config.parent / "m", config.parent / "n"
    server = launch(f"--model_config_file={config}").wait_until_ready()
    write(config, n=n)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_states("n", {1: AVAILABLE})
    server.wait_for_states("m", {1: END})

    server.reload(model_server_config(m=m))
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(lambda: server.log.count("is in effect") == 2)
    server.wait_for_states("n", {1: AVAILABLE})  # the file takes the place of what came over gRPC

    config.unlink()
    for times in (1, 2):
        server.process.send_signal(signal.SIGHUP)
        server.wait_for(lambda times=times: server.log.count("ERROR the config stays as it was: cannot read") == times)
    assert server.predict("n", 2.0) == (1, 4.0)
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_sighup_without_a_file_changes_nothing(config: Path, launch: Launch) -> None:
    server = launch("--model_name=m", f"--model_base_path={config.parent / 'm'}").wait_until_ready()
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("WARNING there is no --model_config_file to read again")
    assert server.predict("m", 2.0) == (1, 3.0)
    assert server.stop() == 0


def test_sighup_while_the_server_starts_is_heeded_once_it_is_up(config: Path, models: Models, launch: Launch) -> None:
    m, late = config.parent / "m", config.parent / "late"
    late.mkdir()
    write(config, m=m, late=late)
    server = launch(f"--model_config_file={config}")
    server.wait_for_line("late: there is no version to serve yet")
    write(config, m=m)
    server.process.send_signal(signal.SIGHUP)
    publish(models.half_plus_two, late, 1)
    server.wait_until_ready()
    server.wait_for_states("late", {1: END})
    assert server.stop() == 0
