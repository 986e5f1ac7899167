"""The versions of one model: where each is in its life, and what the source wants. No threads, no engine, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tfs.serve.states import State, VersionStatus
from tfs.serve.transition_policy import Snapshot

__all__ = ["ModelVersions", "Version"]


@dataclass
class Version:
    """One version of a model.

    Args:
        number: its number.
        path: its directory.
        state: where it is in its life; a load that waits for its next attempt is LOADING.
        aspired: whether it is to be served. What is being unloaded stays un-aspired even if the source wants it again.
        attempts: how often its load has begun.
        retry_at: when the next attempt is due, in seconds of the manager's clock; None unless a load has failed.
        error_code: canonical status code of the last failed load; 0 if none failed.
        error_message: its text in one line.
    """

    number: int
    path: str
    state: State = State.START
    aspired: bool = True
    attempts: int = 0
    retry_at: float | None = None
    error_code: int = 0
    error_message: str = ""

    def end(self) -> None:
        """Go to END; an error that was noted stays."""
        self.state, self.retry_at = State.END, None

    def become_available(self) -> None:
        """Go to AVAILABLE and forget the errors of earlier attempts."""
        self.state, self.error_code, self.error_message = State.AVAILABLE, 0, ""

    @property
    def status(self) -> VersionStatus:
        """What GetModelStatus says; the error of an attempt counts only once the load is given up."""
        if self.state is State.END:
            return VersionStatus(self.number, self.state, self.error_code, self.error_message)
        return VersionStatus(self.number, self.state)


@dataclass
class ModelVersions:
    """All versions of the model `name` that ever were wanted; those that ended stay as history.

    `wanted` (version -> path) and `labels` (label -> version) may be replaced at any time; `take_in` follows.
    """

    name: str
    wanted: Mapping[int, str] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    versions: dict[int, Version] = field(default_factory=dict)

    def take_in(self) -> list[Version]:
        """Bring the versions in line with what is wanted; return those that begin or end by that.

        1. A wanted version that is new, or has ended after it was no longer wanted, begins at START.
        2. A wanted version that is still unloading has to wait: it begins once that has ended.
        3. A version that failed for good is left alone for as long as it is wanted.
        4. One that is no longer wanted ends at once if it has not begun or waits for another attempt.
        """
        changed = []
        for number, path in self.wanted.items():
            version = self.versions.get(number)
            if version is None or (version.state is State.END and not version.aspired):
                self.versions[number] = Version(number, path)
                changed.append(self.versions[number])
            elif version.state is not State.UNLOADING:
                version.aspired = True
        for version in self.versions.values():
            if version.number in self.wanted:
                continue
            version.aspired = False
            if version.state is State.START or version.retry_at is not None:
                version.end()
                changed.append(version)
        return changed

    def snapshot(self) -> list[Snapshot]:
        """Return what the transition policy decides on."""
        return [Snapshot(v.number, v.state, v.aspired) for v in self.versions.values()]

    def available(self) -> list[int]:
        """Return the numbers of the versions that requests may reach, ascending."""
        return sorted(v.number for v in self.versions.values() if v.state is State.AVAILABLE)

    def statuses(self) -> list[VersionStatus]:
        """Return the status of every version, newest first."""
        return [self.versions[number].status for number in sorted(self.versions, reverse=True)]

    def failed(self) -> VersionStatus | None:
        """Return the newest wanted version's status if every wanted version has ended with an error, else None."""
        wanted = [self.versions.get(number) for number in sorted(self.wanted, reverse=True)]
        ended = [v.status for v in wanted if v is not None and v.aspired and v.state is State.END]
        return ended[0] if ended and len(ended) == len(wanted) else None
