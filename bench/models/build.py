"""Make one model, in a process of its own: `python bench/models/build.py NAME FOLDER` (TensorFlow stays in here).

Writes FOLDER/versions/1, exported and with warm-up records, and FOLDER/rows.npz: inputs, and the outputs that
TensorFlow's Python gives for them.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from tfs.savedmodel.native_log import hold_back_native_log

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
sys.path[:0] = [str(_HERE.parent), str(_ROOT / "recipes")]

from models import Model  # noqa: E402  after the path

SEED = 20261120
WARM_UP_RECORDS = 20

Rows = dict[str, np.ndarray]
Recipe = tuple[Callable[[Path], None], Callable[[np.random.Generator], Rows]]


def tfs(*arguments: str) -> None:
    """Run a command of tfs."""
    subprocess.run([sys.executable, "-m", "tfs.cli", *arguments], cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)


def exported(module: str, model: str, rows: str, count: int, signature: str = "") -> Recipe:
    """Return the recipe of a Keras model in a file of this folder: `tfs export`."""
    file = _HERE / f"{module}.py"
    flags = ["--signature", f"serving_default={file}:{signature}"] if signature else []

    def write(base: Path) -> None:
        tfs("export", f"{file}:{model}", "--output", str(base), "--version", "1", *flags)

    return write, lambda generator: getattr(import_module(f"models.{module}"), rows)(count, generator)


def saved(module: str, count: int) -> Recipe:
    """Return the recipe of a `tf.Module` in a file of this folder: `tf.saved_model.save`."""
    source = import_module(f"models.{module}")
    return lambda base: source.save(str(base / "1")), lambda generator: source.rows(count, generator)


def digits() -> Recipe:
    """Return the recipe of the demo's model, trained for one epoch: `tfs run recipes/digits.yaml`."""
    import digits as source

    (images, labels), (held_out, _) = source.images_and_labels()

    def write(base: Path) -> None:
        model = source.build_model()
        model.fit(images, labels, batch_size=32, verbose=0)
        model.save(base.parent / "digits.keras")
        write_warm_up(Model("digits", base, {"images": images[:WARM_UP_RECORDS]}, {}), base.parent / "warmup.jsonl")
        changes = {
            "output": base,
            "export.source": base.parent / "digits.keras",
            "warmup.data": base.parent / "warmup.jsonl",
        }
        tfs("run", "recipes/digits.yaml", *(word for key in changes for word in ("--set", f"{key}={changes[key]}")))

    return write, lambda _: {"images": held_out[:64]}


def deepfm(rows: str, count: int, *changes: str) -> Recipe:
    """Return the recipe of the project's DeepFM, with changes as of `--set`: `tfs run recipes/deepfm.yaml`."""

    def write(base: Path) -> None:
        changed = (f"output={base}", "version=1", "warmup=null", *changes)
        tfs("run", "recipes/deepfm.yaml", *(word for change in changed for word in ("--set", change)))

    return write, lambda generator: getattr(import_module("models.click_log"), rows)(count, generator)


def write_warm_up(model: Model, file: Path) -> None:
    """Write the first rows as the bodies of REST requests with one row each, one a line."""
    lines = []
    for row in range(WARM_UP_RECORDS):
        rows = {alias: array[[row % len(array)]] for alias, array in model.inputs.items()}
        lines.append(Model(model.name, model.base_path, rows, {}).body().decode())
    file.write_text("\n".join(lines) + "\n")


RECIPES: dict[str, Callable[[], Recipe]] = {
    "half_plus_two": lambda: saved("half_plus_two", 64),
    "digits": digits,
    "encoder": lambda: exported("text_encoder", "model", "rows", 64, "text"),
    "encoder_tokens": lambda: exported("text_encoder", "model", "tokens_rows", 64, "tokens"),
    "deepfm": lambda: deepfm("examples_rows", 1000),
    "deepfm_ids": lambda: deepfm("ids_rows", 64, "export.signatures={serving_default: {inputs: {ids: }}}"),
    "fashion": lambda: exported("images", "fashion", "fashion_rows", 256),
    "mobilenet_v2": lambda: exported("images", "mobilenet_v2", "large_rows", 2),
    "resnet50": lambda: exported("images", "resnet50", "large_rows", 2),
    "tensors": lambda: saved("tensors", 64),
    "table": lambda: exported("table", "model", "rows", 64),
}


def answers(version: Path, rows: Rows) -> Rows:
    """Return what TensorFlow's Python answers."""
    import tensorflow as tf

    if any(array.dtype == object for array in rows.values()):
        import tensorflow_text  # noqa: F401  its ops
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    outputs = signature(**{alias: tf.constant(array) for alias, array in rows.items()})
    return {alias: tensor.numpy() for alias, tensor in outputs.items()}


def main(name: str, folder: Path) -> None:
    """Make the model from nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "versions").mkdir(parents=True)
    write, make_rows = RECIPES[name]()
    rows = make_rows(np.random.default_rng(SEED))
    write(folder / "versions")
    version = folder / "versions/1"
    if name != "digits":  # whose recipe warms up
        write_warm_up(Model(name, folder, rows, {}), folder / "warmup.jsonl")
        tfs("warmup", str(version), "--data", str(folder / "warmup.jsonl"))
    arrays = {f"in/{alias}": array for alias, array in rows.items()}
    arrays |= {f"out/{alias}": array for alias, array in answers(version, rows).items()}
    np.savez(folder / "rows.npz", **arrays)


if __name__ == "__main__":
    with hold_back_native_log():
        main(sys.argv[1], Path(sys.argv[2]))
