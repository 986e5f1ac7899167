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

class Counter(tf.Module):
    """y = x + how many times it has been run."""

    def __init__(self):
        super().__init__()
        self.runs = tf.Variable(0.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        return {"y": x + self.runs.assign_add(1.0)}

class Picky(tf.Module):
    """y = x, where every x is greater than 2."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        with tf.control_dependencies([tf.debugging.assert_greater(x, 2.0, message="x is too small")]):
            return {"y": tf.identity(x)}

class Endless(tf.Module):
    """y = x, after a minute at least."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        steps = tf.while_loop(lambda n: n < 50_000_000, lambda n: [n + 1], [tf.zeros([], tf.int32)])[0]
        with tf.control_dependencies([steps]):
            return {"y": tf.identity(x)}

class Wide(tf.Module):
    """y = x, by products of matrices that take milliseconds each."""

    def __init__(self):
        super().__init__()
        self.eye = tf.Variable(tf.eye(1024))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x):
        rows = tf.tile(x[:1, None], [512, 1024])
        for _ in range(3):
            rows = tf.matmul(rows, self.eye)
        return {"y": x + rows[0, :1] - x[:1]}

lines = {"half_plus_two": Line(0.5, 2.0), "half_plus_three": Line(0.5, 3.0)}
others = {"slow": Slow(), "layers": Layers(), "compiled": Compiled(0.5, 2.0)}
planned = {"counter": Counter(), "picky": Picky(), "endless": Endless(), "wide": Wide()}
for name, module in {**lines, **others, **planned}.items():
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
