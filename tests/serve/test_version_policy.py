import pytest

from tfs.serve.version_policy import AllVersions, LatestVersions, SpecificVersions, VersionPolicy


@pytest.mark.parametrize(
    ("policy", "found", "aspired"),
    [
        (LatestVersions(), set(), set()),
        (LatestVersions(), {1}, {1}),
        (LatestVersions(), {9, 10}, {10}),  # numbers, not names
        (LatestVersions(0), {1, 2}, {2}),  # 0 counts as 1
        (LatestVersions(2), {1, 2, 3}, {2, 3}),
        (LatestVersions(2), {3}, {3}),
        (LatestVersions(2), {0, 5, 7}, {5, 7}),
        (AllVersions(), set(), set()),
        (AllVersions(), {1, 5}, {1, 5}),
        (SpecificVersions(frozenset({1, 3})), {1, 2, 3, 4}, {1, 3}),
        (SpecificVersions(frozenset({1, 3})), {3, 4}, {3}),
        (SpecificVersions(frozenset({1, 3})), {4}, set()),
        (SpecificVersions(frozenset()), {1, 2}, set()),
    ],
)
def test_policy_chooses(policy: VersionPolicy, found: set[int], aspired: set[int]) -> None:
    assert policy.aspired(found) == aspired


def test_an_older_version_that_appears_is_not_chosen_by_latest() -> None:
    assert LatestVersions().aspired({5}) == LatestVersions().aspired({4, 5}) == {5}


def test_the_next_lower_version_moves_up_when_the_newest_disappears() -> None:
    assert LatestVersions(2).aspired({1, 2, 3}) == {2, 3}
    assert LatestVersions(2).aspired({1, 2}) == {1, 2}
