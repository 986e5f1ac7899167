"""These tests run with TensorFlow 2.15 (`make test-estimator`); everywhere else they are left out."""

import sys
from importlib.metadata import version
from pathlib import Path

_TESTS = Path(__file__).parents[1]

if version("tensorflow").startswith("2.15."):
    # What the tests of newer releases have: a server in a process, a custom model_fn.
    sys.path[:0] = [str(_TESTS / "serve"), str(_TESTS / "exporters")]
else:
    collect_ignore_glob = ["test_*.py"]
