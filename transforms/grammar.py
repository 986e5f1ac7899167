"""The transform string: `fold_constants(ignore_errors=true) remove_nodes(op=Identity, op=CheckNumerics)`.

    transforms = { name [ "(" { [","] key "=" value } ")" ] }
    name       = key   or   module ":" key   (one's own pass; module = keys with "." between)
    key        = letters, digits, "_"
    value      = letters, digits, "_", ".", "/", "-"   or   '"' anything '"' (a backslash before a quote keeps it)

White space may stand anywhere between these; commas between arguments are optional. The Graph Transform Tool's
oddities that scripts may rely on are kept: a key may repeat, `name()` is `name`, a backslash stays in a quoted value,
and one stray `"` and one stray `'` after a value are skipped.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tfs.savedmodel.errors import UsageError

__all__ = ["Call", "joined", "parse"]

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_TRANSFORM = re.compile(r"[A-Za-z0-9_.]+:[A-Za-z0-9_]+|[A-Za-z0-9_]+")
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_STRAY = re.compile(r"\"?'?")
_CONTEXT = 12  # characters of the text that an error shows


@dataclass(frozen=True)
class Call:
    """One transform with its arguments as written: pairs of key and value in order, keys possibly repeated."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()


def joined(transforms: str | Sequence[str]) -> str:
    """Return a transform string for one, or for a list of such as the Graph Transform Tool's Python function took it.

    A text in brackets is the list as Python writes it: `["strip_unused_nodes", "remove_nodes(op=Identity)"]`.

    Raises:
        UsageError: what stands in brackets is no list of strings.
    """
    if not isinstance(transforms, str):
        return " ".join(transforms)
    if not transforms.lstrip().startswith("["):
        return transforms
    try:
        listed = ast.literal_eval(transforms.strip())
    except (SyntaxError, ValueError):
        listed = None
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise UsageError("the list of transforms in brackets is no list of strings", 'as ["strip_unused_nodes", ...]')
    return " ".join(listed)


def parse(text: str) -> tuple[Call, ...]:
    """Return the transforms that `text` lists, in order.

    Raises:
        UsageError: `text` is empty or does not follow the grammar; the message names transform and place.
    """
    scanner = _Scanner(text)
    calls = []
    while not scanner.at_end():
        calls.append(_call(scanner))
    if not calls:
        hint = "leave --transforms out for the default list; `none` is no transform"
        raise UsageError("the list of transforms is empty", hint)
    return tuple(calls)


def _call(scanner: "_Scanner") -> Call:
    name = scanner.take(_TRANSFORM)
    if name is None:
        raise UsageError(f"expected the name of a transform {scanner.place()}")
    if not scanner.skip("("):
        return Call(name)
    arguments: list[tuple[str, str]] = []
    while not scanner.skip(")"):
        if scanner.at_end():
            raise UsageError(f"`{name}(` is not closed", "add `)`")
        if arguments or scanner.peek(","):
            scanner.skip(",")
            if scanner.skip(")"):
                break
        arguments.append(_argument(scanner, name))
    return Call(name, tuple(arguments))


def _argument(scanner: "_Scanner", transform: str) -> tuple[str, str]:
    if scanner.at_end():
        raise UsageError(f"`{transform}(` is not closed", "add `)`")
    key = scanner.take(_NAME)
    if key is None:
        raise UsageError(f"transform `{transform}`: expected the name of an argument {scanner.place()}")
    if not scanner.skip("="):
        raise UsageError(f"transform `{transform}`: expected `=` behind argument `{key}` {scanner.place()}")
    value = scanner.take(_QUOTED) if scanner.peek('"') else scanner.take(_PLAIN)
    if value is None:
        hint = "values with other characters than letters, digits and _ . / - need double quotes"
        raise UsageError(f"transform `{transform}`: argument `{key}` has no value {scanner.place()}", hint)
    scanner.take(_STRAY)
    return key, value


class _Scanner:
    """A position in a text; white space before a token is skipped."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def at_end(self) -> bool:
        self._skip_space()
        return self._at == len(self._text)

    def peek(self, token: str) -> bool:
        self._skip_space()
        return self._text.startswith(token, self._at)

    def skip(self, token: str) -> bool:
        found = self.peek(token)
        self._at += len(token) * found
        return found

    def take(self, pattern: re.Pattern[str]) -> str | None:
        if pattern is not _STRAY:
            self._skip_space()
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match.group(1) if pattern.groups else match.group()

    def place(self) -> str:
        if self.at_end():
            return "at the end of the text"
        rest = self._text[self._at : self._at + _CONTEXT]
        return f"at character {self._at + 1}: `{rest}`"
