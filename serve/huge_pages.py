"""Memory in huge pages, for tensors of megabytes."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["huge_page_environment", "restart_with_huge_pages"]

_VARIABLE = "GLIBC_TUNABLES"
_TUNABLE = "glibc.malloc.hugetlb"
_ENGINE_VARIABLE = "MIMALLOC_ALLOW_THP"
_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def huge_page_environment(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the environment in which a process asks the kernel for huge pages; None if nothing would change.

    TensorFlow takes the memory of a tensor of megabytes from the system for a run and gives it back. In pages of 4 KiB
    a tensor of 64 MiB costs 16,384 page faults each time, which take longer than to copy it; in huge pages it costs 32.
    glibc 2.35 or newer asks for them (`madvise`) where this tunable is set; older ones, and other C libraries, do not
    look at it.

    Args:
        environment: of a process; a setting of the user's own stays.
    """
    tunables = environment.get(_VARIABLE, "")
    try:
        on_request = "[madvise]" in _SETTING.read_text()
    except OSError:  # no Linux, or a kernel without them
        return None
    if not on_request or _TUNABLE in tunables:
        return None
    return {**environment, _VARIABLE: ":".join(filter(None, [tunables, f"{_TUNABLE}=1"]))}


def restart_with_huge_pages() -> None:
    """Run this command again in place of itself if it could have huge pages: glibc reads its tunables at the start.

    The process keeps its id and its open files. To be called before there is anything to lose. Whoever wants none from
    glibc gets none from the engine either, whose own allocator asks too.
    """
    if f"{_TUNABLE}=0" in os.environ.get(_VARIABLE, ""):
        os.environ.setdefault(_ENGINE_VARIABLE, "0")  # which is looked at when the engine is loaded
    environment = huge_page_environment(os.environ)
    if environment is not None:
        with suppress(OSError):  # then it goes on as it is
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
