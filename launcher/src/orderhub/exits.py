"""How the command ends: its exit codes, and the one exception that becomes one line for the user."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of `orderhub`; scripts may rely on them."""

    DONE = 0
    FAILED = 1
    """It was tried and did not work: a part did not start, the gateway refused, a connection broke."""
    USAGE = 2
    """Wrong arguments or settings; nothing was tried."""
    NOT_NOW = 3
    """It does not run here and has to, or runs and must not."""
    FOUND = 4
    """It looked and found something wrong: check, reconcile, doctor, load, config --check."""
    INTERRUPTED = 130


class Refused(Exception):
    """The command cannot be done; the message is one line that says why and what to do."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code
