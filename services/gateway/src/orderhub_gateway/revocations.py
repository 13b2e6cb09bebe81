"""What this gateway knows of access tokens that ended before their time, and how old that knowledge is.

Asked for every request with a token of our own, so it is a look into a dictionary and one at a number. What happens while
it cannot be known what was revoked last (Redis away or emptied, auth silent):

| what | then |
|---|---|
| `critical`: operators' routes and changes, changes of payments, accounts and API keys | 503 `auth.revocation_unknown` at once |
| everything else | goes on by the last list for `keep`, then 503 |
| a gateway that never had a list | 503 for every token of our own |

Ending one's own sessions is never refused for it: it only takes something away.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterable
from typing import Final

from orderhub_chassis.calls import Caller
from orderhub_contracts.revocations import Kind, Revocation

from orderhub_gateway import metrics
from orderhub_gateway.errors import RevocationsUnknown, TokenRevoked

SILENCE: Final = 3.0
"""Seconds after which a list that was not confirmed counts as unknown: confirmed it is twice a second.

They are counted while this process can hear: when its own loop stood still, it has missed nothing that it could have read.
"""
FIRST_LIST: Final = 3.0
"""Seconds that a request waits for the first list, right after a start."""
ADMIN: Final = "/api/v1/admin/"
POWERS: Final = ("/api/v1/payments", "/api/v1/auth/", "/api/v1/api-keys")
ENDING: Final = ("/api/v1/auth/logout", "/api/v1/auth/sessions/")
READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def mark(kind: Kind, value: str) -> str:
    return f"{kind.value}:{value}"


def is_critical(method: str, path: str, caller: Caller) -> bool:
    """Where a revoked token would do harm that nobody undoes."""
    if path.startswith(ADMIN):
        return True
    if method in READS or path.startswith(ENDING):
        return False
    return "operator" in caller.roles or path.startswith(POWERS)


class Revocations:
    """`keep` are seconds; with `all_critical` every route counts as critical. `age` are seconds since this was all there is;
    infinite before the first list."""

    def __init__(self, keep: float, *, all_critical: bool = False) -> None:
        self._keep = 0.0 if all_critical else keep
        self.age = math.inf
        self._marks: dict[str, int] = {}
        self._epochs: dict[str, Revocation] = {}
        self._first = asyncio.Event()

    def __len__(self) -> int:
        return len(self._marks) + len(self._epochs)

    def add(self, found: Iterable[Revocation]) -> None:
        """A revocation is never taken back before it is over, whatever Redis has forgotten."""
        for one in found:
            if one.kind is Kind.USER:
                known = self._epochs.get(one.value)
                if known is None or known.epoch < one.epoch:
                    self._epochs[one.value] = one
            else:
                self._marks[mark(one.kind, one.value)] = one.until
        metrics.REVOCATIONS.set(len(self))

    def forget(self, now: float) -> None:
        """Those that nothing alive is about; `now` is in seconds since 1970."""
        self._marks = {name: until for name, until in self._marks.items() if until > now}
        self._epochs = {user: one for user, one in self._epochs.items() if one.until > now}
        metrics.REVOCATIONS.set(len(self))

    def confirm(self) -> None:
        """Everything that was revoked up to now is here."""
        self.age = 0.0
        self._first.set()

    def grow_older(self, seconds: float) -> None:
        self.age += seconds

    async def first_list(self) -> None:
        """Raises RevocationsUnknown where there is none within a few seconds."""
        if not self._first.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_LIST):
                    await self._first.wait()
        if not self._first.is_set():
            raise RevocationsUnknown

    def has(self, kind: Kind, value: str) -> bool:
        return mark(kind, value) in self._marks

    def check(self, marks: frozenset[str], user_id: str, epoch: int) -> None:
        """For a token of our own. Raises TokenRevoked, or RevocationsUnknown where the list is too old for any."""
        revoked_at = self._epochs.get(user_id)
        if not self._marks.keys().isdisjoint(marks) or (revoked_at is not None and epoch < revoked_at.epoch):
            metrics.TOKENS_REVOKED.inc()
            raise TokenRevoked
        if self.age > SILENCE + self._keep:
            raise RevocationsUnknown

    def check_route(self, method: str, path: str, caller: Caller) -> None:
        """Raises RevocationsUnknown where the list is too old for this route."""
        if self.age > SILENCE and is_critical(method, path, caller):
            raise RevocationsUnknown
