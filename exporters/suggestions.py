"""Hints for names that are not there."""

import difflib
from collections.abc import Iterable

__all__ = ["suggestion"]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known name, or all of them if none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean `{near[0]}`?" if near else f"there is: {', '.join(names) or 'nothing'}"
