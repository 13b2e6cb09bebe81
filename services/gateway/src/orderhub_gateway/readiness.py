"""Readiness of the gateway: it waits for the installation, and tells of issuers that are away without waiting for them."""

from __future__ import annotations

from pathlib import Path

from orderhub_chassis.health import Readiness


class GatedReadiness(Readiness):
    """Not ready before a file exists: whoever sets the installation up makes it when all is done.

    `notes` are what an operator should know although the gateway serves.
    """

    def __init__(self, file: Path | None) -> None:
        super().__init__()
        self._file = file
        self.notes: dict[str, str] = {}

    def note(self, part: str, words: str) -> None:
        """Empty words take the note away."""
        if words:
            self.notes[part] = words
        else:
            self.notes.pop(part, None)

    def report(self) -> dict[str, str]:
        self._look()
        return super().report()

    @property
    def ok(self) -> bool:
        self._look()
        return self.opened and not self.reasons

    def _look(self) -> None:
        if self._file is None or self._file.exists():
            self.ready("setup")
        else:
            self.unready("setup", "the installation is being set up")
