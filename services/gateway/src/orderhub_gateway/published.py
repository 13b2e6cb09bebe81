"""The public keys of our own auth, as auth last said: for the verifier, and for whoever asks over HTTP."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from orderhub_chassis.clock import Clock
from orderhub_contracts.auth.v1 import auth_pb2

Ask = Callable[[], Awaitable[auth_pb2.GetJwksResponse]]


class KeySet(NamedTuple):
    """`max_age`: seconds for which others may keep it."""

    text: str
    max_age: int


class Published:
    """Whoever asks over HTTP is answered from what was fetched at most `fresh_for` seconds ago: a crowd is one question.

    That comes on top of what others keep it for; auth's margin is far above both.
    """

    def __init__(self, ask: Ask, clock: Clock, fresh_for: float) -> None:
        self._ask = ask
        self._clock = clock
        self._fresh_for = fresh_for
        self._last: KeySet | None = None
        self._at = -math.inf

    async def fetch(self) -> str:
        """Asks now. Raises Unavailable."""
        answer = await self._ask()
        self._last = KeySet(answer.jwks_json, answer.max_age_seconds)
        self._at = self._clock.monotonic()
        return self._last.text

    async def current(self) -> KeySet:
        """Raises Unavailable when auth cannot be asked for it."""
        if self._last is None or self._clock.monotonic() - self._at > self._fresh_for:
            await self.fetch()
        assert self._last is not None
        return self._last
