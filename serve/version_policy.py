"""Which of the versions found under a base path ought to be served: latest(n), all, or specific ones."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

__all__ = ["AllVersions", "LatestVersions", "SpecificVersions", "VersionPolicy"]


@dataclass(frozen=True)
class LatestVersions:
    """The `num_versions` highest numbers; 0 counts as 1. One that disappears is replaced by the next lower one."""

    num_versions: int = 1

    def aspired(self, found: AbstractSet[int]) -> frozenset[int]:
        """Return the versions that ought to be served when those in `found` exist."""
        return frozenset(sorted(found, reverse=True)[: max(self.num_versions, 1)])


@dataclass(frozen=True)
class AllVersions:
    """Every version there is."""

    def aspired(self, found: AbstractSet[int]) -> frozenset[int]:
        """Return the versions that ought to be served when those in `found` exist."""
        return frozenset(found)


@dataclass(frozen=True)
class SpecificVersions:
    """The versions listed, as far as they exist; an empty list serves nothing."""

    versions: frozenset[int]

    def aspired(self, found: AbstractSet[int]) -> frozenset[int]:
        """Return the versions that ought to be served when those in `found` exist."""
        return self.versions & found


VersionPolicy = LatestVersions | AllVersions | SpecificVersions
