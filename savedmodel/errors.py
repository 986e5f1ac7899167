"""The errors that a user may cause; the command line turns each into one line and an exit code."""

__all__ = ["TfsError", "UsageError"]


class TfsError(Exception):
    """The work failed for a reason that the user can understand and mend (exit code 1).

    Args:
        message: one sentence that names the file, tensor, flag or line; no full stop, no line break.
        hint: what to do about it, a command or a flag where there is one; empty if the message says it all.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = " ".join(message.split())
        self.hint = " ".join(hint.split())

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(TfsError):
    """The command was called wrongly; nothing was started (exit code 2)."""

    exit_code = 2
