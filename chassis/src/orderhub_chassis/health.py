"""Readiness: who is not ready, and why; served as /readyz by every service."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Readiness:
    """A service is ready when it has been opened and no part reports a reason against it."""

    opened: bool = False
    draining: bool = False
    reasons: dict[str, str] = field(default_factory=dict)

    def drain(self) -> None:
        """Not ready any more, whatever comes: the doors close in a moment."""
        self.draining = True
        self.unready("stop", "it is about to stop")

    def unready(self, part: str, reason: str) -> None:
        self.reasons[part] = reason

    def ready(self, part: str) -> None:
        self.reasons.pop(part, None)

    @property
    def ok(self) -> bool:
        return self.opened and not self.reasons

    def report(self) -> dict[str, str]:
        return dict(self.reasons) if self.opened else {"start": "not opened yet", **self.reasons}
