"""Password hashes (Argon2id, RFC 9106), computed in threads: the event loop never waits for one."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from orderhub_auth.errors import PasswordsBusy

T = TypeVar("T")
NICE: Final = 5
"""More than the process itself, below whatever answers requests: twenty logins at once take all cores for half a second."""


class Passwords:
    """At most `threads` hashes at once and `queue` waiting; beyond that it raises PasswordsBusy."""

    def __init__(self, *, memory_kib: int, passes: int, threads: int = 0, queue: int = 100) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(
            threads or _default_threads(), thread_name_prefix="password", initializer=_step_back
        )
        self._room = queue
        # Verified against when there is no such user, so that both answers take the same time.
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def verify(self, password: str, hash: str | None) -> bool:
        """One verification in any case, also where there is no hash to compare with."""
        right = await self._in_thread(lambda: self._matches(password, hash or self._nobody))
        return right and hash is not None

    def outdated(self, hash: str) -> bool:
        """Made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hash)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, password: str, hash: str) -> bool:
        try:
            return self._hasher.verify(hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._room == 0:
            raise PasswordsBusy
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._room += 1


def _default_threads() -> int:
    """One core is left to whatever answers requests. On two cores logins take as long as with two threads (20 ms each of
    twenty at once), and the p99 of other requests is 10 ms instead of 24."""
    return max(1, (os.cpu_count() or 1) - 1)


def _step_back() -> None:
    """Of the calling thread alone, which is what Linux knows under a thread's own id; elsewhere it stays as it is."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICE)
