"""Readiness: who is not ready, and why; served as /readyz by every service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Readiness:
    """A service is ready when it has been opened and no part reports a reason against it."""

    opened: bool = False
    draining: bool = False
    reasons: dict[str, str] = field(default_factory=dict)
    _when_draining: list[Callable[[], None]] = field(default_factory=list)

    def drain(self) -> None:
        """Not ready any more, whatever comes: the doors close in a moment."""
        self.draining = True
        self.unready("stop", "it is about to stop")
        for call in self._when_draining:
            call()

    def when_draining(self, call: Callable[[], None]) -> None:
        """`call` then ends what only waits: the doors close on nobody who is inside, so they would wait for it."""
        self._when_draining.append(call)

    def unready(self, part: str, reason: str) -> None:
        self.reasons[part] = reason

    def ready(self, part: str) -> None:
        self.reasons.pop(part, None)

    @property
    def ok(self) -> bool:
        return self.opened and not self.reasons

    def report(self) -> dict[str, str]:
        return dict(self.reasons) if self.opened else {"start": "not opened yet", **self.reasons}
