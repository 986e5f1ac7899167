"""The states a version of a model passes through, as `GetModelStatus` names and numbers them."""

from dataclasses import dataclass
from enum import IntEnum

__all__ = ["State", "VersionStatus"]


class State(IntEnum):
    """`ModelVersionStatus.State`: START -> LOADING -> AVAILABLE -> UNLOADING -> END, or LOADING -> END on an error."""

    START = 10
    """The version is wanted; its load has not begun."""
    LOADING = 20
    """It is being loaded, or waits for another attempt after a failed one."""
    AVAILABLE = 30
    """Requests reach it."""
    UNLOADING = 40
    """New requests no longer reach it; those under way are waited for."""
    END = 50
    """It is gone, or its load failed for good: then the status carries the error."""


@dataclass(frozen=True)
class VersionStatus:
    """What `GetModelStatus` answers for one version.

    Args:
        version: the number of the version.
        state: where it is in its life.
        error_code: canonical status code; 0 is OK.
        error_message: one line, empty with code 0.
    """

    version: int
    state: State
    error_code: int = 0
    error_message: str = ""
