"""Where the `tfs` command begins, before anything is imported that takes time."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; a server begins again first, if that gives it huge pages."""
    words = (word for word in sys.argv[1:] if not word.startswith("-"))
    if next(words, None) == "serve":
        from tfs.serve.huge_pages import restart_with_huge_pages

        restart_with_huge_pages()
    from tfs.cli.main import main as run

    run()
