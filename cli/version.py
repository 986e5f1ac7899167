"""What `tfs --version` prints."""

from importlib import metadata

__all__ = ["version_lines"]


def version_lines() -> list[str]:
    """Return one line each for tfs, TensorFlow (as its wheel's metadata says, without importing it) and the engine."""
    try:
        tensorflow = metadata.version("tensorflow")
    except metadata.PackageNotFoundError:
        tensorflow = "not installed"
    try:
        from tfs.serve._engine import __version__ as engine
    except ImportError:
        engine = "not built"
    return [f"tfs {metadata.version('tfs')}", f"TensorFlow {tensorflow}", f"engine {engine}"]
