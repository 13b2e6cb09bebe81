"""API keys at the door: read here, judged by auth, and its verdict believed for less than a second.

So whatever ends a key, revoking it or disabling who made it, is seen by every gateway within a second, and one that is
used a thousand times a second is one question a second. Without auth nobody comes in by a key.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from orderhub_chassis.batching import Batcher
from orderhub_chassis.calls import Caller
from orderhub_chassis.clock import Clock
from orderhub_contracts import api_keys as contract
from orderhub_contracts.api_keys import Presented
from orderhub_contracts.auth.v1.api_keys_pb2 import ResolvedApiKey

from orderhub_gateway.errors import ApiKeyRefused

BEARER: Final = contract.PREFIX.encode()
"""How a key begins that comes where an access token might."""
FRESH_SECONDS: Final = 0.8
"""Counted from the question, so that the way of the answer is in it."""
KNOWN: Final = 20_000
AT_ONCE: Final = 500
Resolve = Callable[[Sequence[Presented]], Awaitable[Sequence[ResolvedApiKey]]]


class Verdict(NamedTuple):
    """`until` counts the seconds of the clock's monotonic time; no caller for a key that is refused."""

    until: float
    caller: Caller | None


class ApiKeys:
    """`resolve` asks auth, and raises Unavailable."""

    def __init__(self, resolve: Resolve, clock: Clock) -> None:
        self._resolve = resolve
        self._clock = clock
        self._known: OrderedDict[bytes, Verdict] = OrderedDict()
        self._asking: Batcher[Presented, Verdict] = Batcher(self._ask, size=AT_ONCE)

    async def caller(self, key: bytes) -> Caller:
        """The vendor that the key stands for, as far as its scopes go. Raises ApiKeyRefused, Unavailable."""
        presented = contract.read(key.decode("latin-1"))
        if presented is None:
            raise ApiKeyRefused
        verdict = self._known.get(presented.key_hash)
        if verdict is None or verdict.until <= self._clock.monotonic():
            verdict = await self._asking.submit(presented)
            self._remember(presented.key_hash, verdict)
        if verdict.caller is None:
            raise ApiKeyRefused
        return verdict.caller

    async def _ask(self, presented: Sequence[Presented]) -> list[Verdict]:
        asked_at = self._clock.monotonic()
        different = list(dict.fromkeys(presented))
        answers = await self._resolve(different)
        verdicts = [self._verdict(answer, asked_at) for answer in answers]
        known = dict(zip(different, verdicts, strict=True))
        return [known[one] for one in presented]

    def _verdict(self, answer: ResolvedApiKey, asked_at: float) -> Verdict:
        if not answer.good:
            return Verdict(asked_at + FRESH_SECONDS, None)
        left = answer.expires_at - self._clock.now().timestamp()
        caller = Caller(answer.id, frozenset({"vendor"}), answer.vendor_id, scopes=frozenset(answer.scopes))
        return Verdict(asked_at + min(FRESH_SECONDS, left), caller)

    def _remember(self, key_hash: bytes, verdict: Verdict) -> None:
        self._known[key_hash] = verdict
        self._known.move_to_end(key_hash)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
