"""What was measured: kept as JSON, told as Markdown."""

from .page import render
from .result import NotMeasuredError, Result, Table
from .section import Section, load_record, save_record
from .targets import Target, at_least, at_most

__all__ = [
    "NotMeasuredError",
    "Result",
    "Section",
    "Table",
    "Target",
    "at_least",
    "at_most",
    "load_record",
    "render",
    "save_record",
]
