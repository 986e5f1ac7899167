"""Where the `tfs` command begins, before anything is imported that takes time, and where a server ends."""

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> None:
    """Run the command line; a server begins again first, if that gives it huge pages."""
    words = (word for word in sys.argv[1:] if not word.startswith("-"))
    serves = next(words, None) == "serve"
    if serves:
        from tfs.serve.huge_pages import restart_with_huge_pages

        restart_with_huge_pages()
    from tfs.cli.main import main as run

    try:
        run()
    except SystemExit as ended:
        if serves:
            _leave(ended.code)
        raise


def _leave(code: object) -> NoReturn:
    """End the process here: a load that is under way would go on in TensorFlow's library while that is taken down."""
    import logging
    import os

    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
