"""What a signing key is at a time, and when the next one has to be there: pure functions over the keys' rows.

Every replica comes to the same answer without asking another. Nothing is written when a key changes its state, so no
job that is late keeps a key published, or keeps it signing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar


class State(StrEnum):
    PREPUBLISHED = "prepublished"
    SIGNING = "signing"
    RETIRED = "retired"
    GONE = "gone"


PUBLISHED = frozenset({State.PREPUBLISHED, State.SIGNING, State.RETIRED})


class Timed(Protocol):
    """What the schedule looks at in a key."""

    @property
    def kid(self) -> str: ...

    @property
    def alg(self) -> str: ...

    @property
    def signs_from(self) -> datetime: ...

    @property
    def revoked_at(self) -> datetime | None: ...


K = TypeVar("K", bound=Timed)


@dataclass(frozen=True, slots=True)
class Times:
    """`ahead`: how long a key is published before it signs, so that whoever keeps the set has seen it.
    `overlap`: how long it stays published after its last token. `period`: how long it signs.
    """

    ahead: timedelta
    overlap: timedelta
    period: timedelta

    @classmethod
    def of(
        cls, *, longest_token: timedelta, max_age: timedelta, margin: timedelta, period: timedelta
    ) -> Times:
        """Of what the published set may be cached for, and of the longest life of a token."""
        return cls(max_age + margin, longest_token + max_age + margin, period)


@dataclass(frozen=True, slots=True)
class Standing:
    """`signs_until` and `published_until` are known once another key is there to follow."""

    state: State
    signs_until: datetime | None = None
    published_until: datetime | None = None


def standing(key: Timed, keys: Collection[Timed], times: Times, now: datetime) -> Standing:
    """What a key is now, among all that there are."""
    until = min((later.signs_from for later in keys if _follows(later, key)), default=None)
    leaves = until + times.overlap if until else None
    if key.revoked_at is not None:
        until = min(until, key.revoked_at) if until else key.revoked_at
        return Standing(State.GONE, until, key.revoked_at)
    if leaves and leaves <= now:
        return Standing(State.GONE, until, leaves)
    if until and until <= now:
        return Standing(State.RETIRED, until, leaves)
    signs = signing(keys, key.alg, now)
    state = State.SIGNING if signs is not None and signs.kid == key.kid else State.PREPUBLISHED
    return Standing(state, until, leaves)


def signing(keys: Collection[K], alg: str, now: datetime) -> K | None:
    """The key that signs with this algorithm; None where there is none at all.

    Where none has begun yet, the first to begin signs: the clock of the replica that made it may be a little ahead.
    """
    alive = sorted((key for key in keys if key.alg == alg and key.revoked_at is None), key=_order)
    begun = [key for key in alive if key.signs_from <= now]
    return begun[-1] if begun else next(iter(alive), None)


def due(keys: Collection[Timed], alg: str, times: Times, now: datetime) -> datetime | None:
    """From when the key would sign that has to be made now; None while none is needed."""
    current = signing(keys, alg, now)
    if current is None:
        return now
    if _waits(keys, alg, now) or now < current.signs_from + times.period - times.ahead:
        return None
    return now + times.ahead


def following(keys: Collection[Timed], alg: str, times: Times, now: datetime) -> datetime | None:
    """The same for an operator who wants the next key before its time; None where it is published already."""
    if signing(keys, alg, now) is None:
        return now
    return None if _waits(keys, alg, now) else now + times.ahead


def published(keys: Collection[K], times: Times, now: datetime) -> list[K]:
    """The keys of the public set, those that begin last at the front."""
    here = [key for key in keys if standing(key, keys, times, now).state in PUBLISHED]
    return sorted(here, key=_order, reverse=True)


def spent(keys: Collection[K], now: datetime) -> list[K]:
    """Those that will never sign again: nobody needs their private part."""
    return [
        key
        for key in keys
        if key.revoked_at is not None
        or any(later.signs_from <= now and _follows(later, key) for later in keys)
    ]


def deletable(keys: Collection[K], times: Times, now: datetime) -> list[K]:
    """Those that are gone. One that has signed stays as long as an older one of its algorithm is here, whose end it marks."""
    found = [key for key in keys if _never_signed(key)]
    for alg in sorted({key.alg for key in keys}):
        in_order = sorted((k for k in keys if k.alg == alg and not _never_signed(k)), key=_order)
        found += _gone_at_the_front(in_order, times, now)
    return found


def _gone_at_the_front(in_order: Sequence[K], times: Times, now: datetime) -> list[K]:
    found: list[K] = []
    for key in in_order:
        if standing(key, in_order, times, now).state is not State.GONE:
            break
        found.append(key)
    return found


def _follows(later: Timed, key: Timed) -> bool:
    """Whether `later` takes over from `key`, or has. One that was revoked before it could sign never did."""
    return later.alg == key.alg and _order(later) > _order(key) and not _never_signed(later)


def _never_signed(key: Timed) -> bool:
    return key.revoked_at is not None and key.revoked_at <= key.signs_from


def _waits(keys: Collection[Timed], alg: str, now: datetime) -> bool:
    return any(key.alg == alg and key.revoked_at is None and key.signs_from > now for key in keys)


def _order(key: Timed) -> tuple[datetime, str]:
    return key.signs_from, key.kid
