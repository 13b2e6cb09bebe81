"""One time limit for everybody: one timer for whoever is due next, where asyncio.timeout makes one for each (5 µs)."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any


class Deadline:
    """`with deadline:` raises TimeoutError in the task whose block takes longer; once in a task at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # All have the same time, so that who came first is due first.
        self._due: dict[asyncio.Task[Any], float] = {}
        self._looking = False

    def __enter__(self) -> None:
        task: Any = asyncio.current_task()
        self._due[task] = time.monotonic() + self._seconds
        if not self._looking:
            self._look_in(self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task: Any = asyncio.current_task()
        if self._due.pop(task, None) is not None:
            return
        if task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _look(self) -> None:
        """Cancels whoever is late; that it is gone from the table tells it why."""
        self._looking, now = False, time.monotonic()
        for task, due in list(self._due.items()):
            if due > now:
                self._look_in(due - now)
                return
            del self._due[task]
            task.cancel()

    def _look_in(self, seconds: float) -> None:
        self._looking = True
        asyncio.get_running_loop().call_later(seconds, self._look)
