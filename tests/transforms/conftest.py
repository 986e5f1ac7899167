"""TensorFlow is imported once, quietly, for all tests of this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
from network_models import MODELS


@pytest.fixture(scope="session", autouse=True)
def _tensorflow() -> None:
    from tfs.transforms.tensorflow_runtime import quiet_tensorflow

    quiet_tensorflow()


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the SavedModel of a name in `network_models`, written once; not to be written to."""
    base = tmp_path_factory.mktemp("saved_models")

    def path_of(name: str) -> Path:
        path = base / name / "1"
        if not path.exists():
            path.parent.mkdir()
            MODELS[name](path)
        return path

    return path_of
