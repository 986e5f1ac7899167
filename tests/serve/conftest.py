"""Tiny SavedModels and real servers for black-box tests."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from running_server import Models, RunningServer

# In a process of its own: the tests' process never imports TensorFlow, as little as the server does.
_MAKE_MODELS = '''
import sys
import tensorflow as tf

class Line(tf.Module):
    """y = slope * x + shift."""

    def __init__(self, slope, shift):
        super().__init__()
        self.slope, self.shift = tf.Variable(slope), tf.Variable(shift)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": self.slope * x + self.shift}

class Slow(tf.Module):
    """Counts to x, one step at a time: y = x, after about 3 us per step; past 2 ** 24 it never gets there."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": tf.while_loop(lambda y: tf.reduce_any(y < x), lambda y: [y + 1.0], [tf.zeros_like(x)])[0]}

class Layers(tf.Module):
    """y = sum(relu(x * w)) with weights that low precision rounds."""

    def __init__(self):
        super().__init__()
        self.first, self.second = tf.Variable(tf.fill([1, 64], 1 / 3)), tf.Variable(tf.fill([64, 1], 1 / 7))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": tf.matmul(tf.nn.relu(tf.matmul(x[:, None], self.first)), self.second)[:, 0]}

class Compiled(Line):
    """The same, compiled with XLA."""

    @tf.function(jit_compile=True)
    def compiled(self, x):
        return self.slope * x + self.shift

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": self.compiled(x)}

lines = {"half_plus_two": Line(0.5, 2.0), "half_plus_three": Line(0.5, 3.0)}
for name, module in {**lines, "slow": Slow(), "layers": Layers(), "compiled": Compiled(0.5, 2.0)}.items():
    signatures = {"serving_default": module.__call__}
    tf.saved_model.save(module, f"{sys.argv[1]}/{name}", signatures=signatures)
'''


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    done = subprocess.run(
        [sys.executable, "-c", _MAKE_MODELS, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Models(*(folder / field.name for field in dataclasses.fields(Models)))


@pytest.fixture
def launch() -> Iterator[Callable[..., RunningServer]]:
    """Start a server with some flags; it is ended after the test if the test did not do so."""
    servers = []

    def new(*flags: str, **options: object) -> RunningServer:
        servers.append(RunningServer(*flags, **options))
        return servers[-1]

    yield new
    for server in servers:
        server.kill()
