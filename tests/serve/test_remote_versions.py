"""A server whose base path is a bucket of a local S3."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from running_server import AVAILABLE, END, Models, RunningServer


class S3:
    """moto's server with the bucket `models`."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        with self._more:
            assert self._more.wait_for(lambda: "Running on" in "".join(self.lines), timeout=60), self.lines
        [self.url] = re.findall(r"Running on (http://\S+)", "".join(self.lines))
        # moto looks at who asks, but not at the signature.
        credential = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        self._client = httpx.Client(base_url=self.url, headers={"Authorization": credential})
        self._client.put("/models").raise_for_status()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line)
                self._more.notify_all()

    def environment(self) -> dict[str, str]:
        secrets = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        return {**secrets, "AWS_ENDPOINT_URL": self.url, "AWS_MAX_ATTEMPTS": "1"}

    def put(self, saved_model: Path, prefix: str) -> None:
        for file in saved_model.rglob("*"):
            if file.is_file():
                url = f"/models/{prefix}/{file.relative_to(saved_model)}"
                self._client.put(url, content=file.read_bytes()).raise_for_status()

    def delete(self, prefix: str) -> None:
        keys = re.findall(r"<Key>(.*?)</Key>", self._client.get(f"/models?list-type=2&prefix={prefix}/").text)
        assert keys
        for key in keys:
            self._client.delete(f"/models/{key}").raise_for_status()

    def lists(self, base: str) -> int:
        return len([line for line in self.lines if f"prefix={base}/&delimiter=/" in line])

    def stop(self) -> None:
        self._client.close()
        self.process.terminate()
        self.process.wait(30)
        self._reader.join(30)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    server = S3()
    yield server
    server.stop()


@pytest.fixture
def start(s3: S3, tmp_path: Path, launch: Callable[..., RunningServer]) -> Callable[..., RunningServer]:
    def new(base: str) -> RunningServer:
        flags = ("--model_name=m", f"--model_base_path=s3://{base}", f"--remote_cache_path={tmp_path / 'cache'}")
        return launch(*flags, environment=s3.environment())

    return new


def copies(tmp_path: Path) -> int:
    return len(list((tmp_path / "cache").glob("*/*/saved_model.pb")))


def test_versions_come_and_go_in_the_bucket(
    s3: S3, models: Models, start: Callable[..., RunningServer], tmp_path: Path
) -> None:
    s3.put(models.half_plus_two, "m/1")
    server = start("models/m").wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)
    assert copies(tmp_path) == 1
    server.wait_for_line(r"`s3://models/m` is listed every 1 s; --file_system_poll_wait_seconds=300 asks less often")

    s3.put(models.half_plus_three, "m/2")
    server.wait_for_states("m", {2: AVAILABLE, 1: END})
    assert server.predict("m", 2.0) == (2, 4.0)
    assert copies(tmp_path) == 1, "the copy of version 1 is gone"

    s3.delete("m/2")
    server.wait_for_states("m", {2: END, 1: AVAILABLE})
    assert server.predict("m", 2.0) == (1, 3.0)
    assert server.stop() == 0
    assert list((tmp_path / "cache").iterdir()) == []


def test_each_poll_lists_once_and_reads_nothing_else(
    s3: S3, models: Models, start: Callable[..., RunningServer]
) -> None:
    s3.put(models.half_plus_two, "counted/1")
    s3.put(models.half_plus_two, "counted/2")
    server = start("models/counted").wait_until_ready()
    begin, lists = len(s3.lines), s3.lists("counted")
    server.wait_for(lambda: s3.lists("counted") >= lists + 3)
    assert server.stop() == 0
    requests = [line for line in s3.lines[begin:] if "HTTP/1.1" in line]
    assert len(requests) == s3.lists("counted") - lists, requests


def test_a_bucket_that_fails_for_a_while_changes_nothing(
    models: Models, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    own = S3()
    own.put(models.half_plus_two, "m/1")
    flags = ("--model_name=m", "--model_base_path=s3://models/m", f"--remote_cache_path={tmp_path}")
    server = launch(*flags, environment=own.environment()).wait_until_ready()
    own.stop()
    server.wait_for_line("ERROR nothing is changed: cannot list the base path `s3://models/m`: ", timeout=60)
    assert server.predict("m", 2.0) == (1, 3.0)
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_a_bucket_that_is_not_there_ends_the_start(start: Callable[..., RunningServer]) -> None:
    server = start("nobucket/m")
    assert server.exit_code() == 1
    assert server.lines[-1].startswith("error: cannot list the base path `s3://nobucket/m`: there is nothing")
    assert "Traceback" not in server.log


def test_exports_appear_in_the_bucket_with_the_graph_last(
    s3: S3, models: Models, start: Callable[..., RunningServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)

    def export(source: Path, *flags: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "tfs.cli", "export", str(source), "-o", "s3://models/exported", *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout.split(" ")[0], done.stderr

    begin = len(s3.lines)
    assert export(models.half_plus_two) == (0, "s3://models/exported/1", "")
    written = re.findall(r'"PUT /models/exported/1/(\S+) HTTP', "".join(s3.lines[begin:]))
    assert len(written) >= 4
    assert [name for name in written if name.startswith("saved_model")] == written[-1:]
    server = start("models/exported").wait_until_ready()
    assert server.predict("m", 2.0) == (1, 3.0)

    refused = "error: `s3://models/exported/1` exists already (another --version, or --overwrite)\n"
    assert export(models.half_plus_three, "--version", "1") == (1, "", refused)
    assert export(models.half_plus_three) == (0, "s3://models/exported/2", "")
    server.wait_for_states("m", {2: AVAILABLE, 1: END})
    assert server.predict("m", 2.0) == (2, 4.0)
    assert server.stop() == 0


def test_an_export_to_a_bucket_that_is_not_there_is_told(
    s3: S3, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "tfs.cli", "export", str(models.half_plus_two), "-o", "s3://nobucket/m"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: cannot list `s3://nobucket/m`: ")
    assert done.stderr.count("\n") == 1
