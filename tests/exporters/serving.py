"""What the export tests share: an export into a folder, and its answers through the loader that servers use."""

from pathlib import Path

import numpy as np

from tfs.exporters.exporting import export
from tfs.exporters.options import ExportOptions
from tfs.savedmodel.reading import read_signatures

MODELS = Path(__file__).parent / "models.py"


def exported(source, base, **options):
    """Export to version 1 of a base path; a name without a path is one of models.py."""
    named = source if "/" in str(source) or ":" in str(source) else f"{MODELS}:{source}"
    return export(ExportOptions(source=str(named), **options), base, 1)


def answers(version, inputs, signature_name="serving_default", tags=("serve",)):
    """Run a signature through the v1 loader in a fresh session."""
    import tensorflow as tf

    signature = read_signatures(Path(version))[signature_name]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, list(tags), str(version))
        fetches = {alias: info.name for alias, info in signature.outputs.items()}
        return session.run(fetches, {signature.inputs[alias].name: array for alias, array in inputs.items()})


def numbers(*shape, seed=3):
    """Random float32 in [0, 1)."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32)
