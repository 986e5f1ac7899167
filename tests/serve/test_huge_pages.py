"""The server's memory is in huge pages where the kernel gives them to those who ask."""

import platform
from collections.abc import Callable
from pathlib import Path

import pytest
from running_server import Models, RunningServer, publish

from tfs.serve.huge_pages import huge_page_environment

_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_GLIBC = tuple(map(int, platform.libc_ver()[1].split("."))) if platform.libc_ver()[0] == "glibc" else ()

pytestmark = pytest.mark.skipif(
    not _SETTING.exists() or "[madvise]" not in _SETTING.read_text(),
    reason="this kernel gives huge pages to all or to nobody",
)


def advised(pid: int) -> bool:
    """Whether the process has asked for huge pages somewhere."""
    return any(
        line.startswith("VmFlags:") and " hg" in line for line in Path(f"/proc/{pid}/smaps").read_text().splitlines()
    )


@pytest.mark.skipif(_GLIBC < (2, 35), reason="this C library cannot ask for huge pages")
def test_the_server_asks_for_huge_pages_unless_told_otherwise(
    models: Models, tmp_path: Path, launch: Callable[..., RunningServer]
) -> None:
    publish(models.half_plus_two, tmp_path, 1)
    flags = ("--model_name=m", f"--model_base_path={tmp_path}")
    for environment, expected in ({}, True), ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, False):
        server = launch(*flags, environment=environment).wait_until_ready()
        assert server.predict("m", 2.0) == (1, 3.0)
        assert advised(server.process.pid) is expected
        assert server.stop() == 0


def test_other_tunables_stay_and_a_setting_of_the_users_own_wins() -> None:
    assert huge_page_environment({"A": "1"}) == {"A": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    with_another = huge_page_environment({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=9"})
    assert with_another == {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=9:glibc.malloc.hugetlb=1"}
    assert huge_page_environment({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}) is None
    assert huge_page_environment(with_another) is None
