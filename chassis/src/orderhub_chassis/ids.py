"""Identifiers: UUIDv7 (RFC 9562, section 5.7), so that new rows land at the end of an index."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from uuid import UUID

# A uuid.UUID whose hash, comparison and bytes are C: the driver's own, so that it is also written without conversion.
from asyncpg.pgproto.pgproto import UUID as DriverUUID

NewId = Callable[[], UUID]


@lru_cache(maxsize=65_536)
def parse(text: str) -> UUID:
    """`UUID(text)`, remembered: an order's id comes by a dozen times while its saga runs."""
    return DriverUUID(text)


class _Randomness:
    """Random bytes from the kernel, fetched by the page: a call for each id would cost more than the id."""

    def __init__(self) -> None:
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        self._page, self._used = b"", PAGE

    def take(self, count: int) -> bytes:
        if self._used + count > PAGE:
            self._page, self._used = os.urandom(PAGE), 0
        self._used += count
        return self._page[self._used - count : self._used]


PAGE: Final = 4096
_randomness = _Randomness()


def uuid7() -> UUID:
    """48 bits of Unix milliseconds, then version, variant and 74 random bits."""
    value = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + _randomness.take(10))
    value[6] = value[6] & 0x0F | 0x70
    value[8] = value[8] & 0x3F | 0x80
    return DriverUUID(bytes(value))


class CountingIds:
    """1, 2, 3 … as UUIDs: repeatable ids for tests of pure decisions."""

    def __init__(self, start: int = 0) -> None:
        self._last = start

    def __call__(self) -> UUID:
        self._last += 1
        return UUID(int=self._last)
