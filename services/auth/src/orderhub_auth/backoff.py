"""How long a password may not be guessed at after wrong ones. Pure: no clock, no database.

Three counts, each of what an attacker has to spend: the account at one place, the account anywhere, one address on any
account. None of them locks a user out: the first binds only who guesses from there; the other two do not bind a place where
the account has logged in before, and the second never asks for more than seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final

KNOWN_FOR: Final = timedelta(days=90)
"""A place where the account logged in so long ago counts as its own."""
IPV6_PREFIX: Final = 64
"""What one customer of a provider has at least: all of it is one place."""
MOST_OVER: Final = 20
"""Failures beyond the free ones that are kept: more would only take longer to be forgotten."""


@dataclass(frozen=True, slots=True)
class Count:
    """Wrong passwords under one key. `failed_at` is of the last, `succeeded_at` of the last right one."""

    failures: int = 0
    failed_at: datetime | None = None
    succeeded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """`free` failures cost nothing; then `base`, doubled by each further one, `cap` at most. One is forgotten per `forget`."""

    name: str
    free: int
    base: timedelta
    cap: timedelta
    forget: timedelta


@dataclass(frozen=True, slots=True)
class Policies:
    place: Policy
    own_place: Policy
    account: Policy
    address: Policy

    @classmethod
    def of(cls, place: int, account: int, address: int) -> Policies:
        """By how many failures each forgives."""
        second, minute = timedelta(seconds=1), timedelta(minutes=1)
        return cls(
            Policy("place", place, second, 15 * minute, 15 * minute),
            Policy("place", place, second, minute, 15 * minute),
            Policy("account", account, second, 5 * second, minute),
            Policy("address", address, second, minute, minute),
        )


@dataclass(frozen=True, slots=True)
class Keys:
    """Hashes: nobody reads from the table who tried to log in from where."""

    place: bytes
    account: bytes
    address: bytes

    @classmethod
    def of(cls, account: str, address: str) -> Keys:
        """`account` is what was typed as e-mail address, whether there is such a user or not."""
        whose, where = account.strip().lower(), place_of(address)
        return cls(_key("place", whose, where), _key("account", whose), _key("address", where))


@dataclass(frozen=True, slots=True)
class Counts:
    place: Count = Count()
    account: Count = Count()
    address: Count = Count()


@dataclass(frozen=True, slots=True)
class Held:
    """Not yet: which count says so, and for how long."""

    policy: str
    wait: timedelta


def place_of(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one; what is neither is a place of its own."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    if parsed.version == 4 or mapped:
        return str(mapped or parsed)
    return str(ip_network((parsed, IPV6_PREFIX), strict=False))


def standing(count: Count, policy: Policy, *, now: datetime) -> int:
    """The failures that are not forgotten yet."""
    if count.failed_at is None:
        return 0
    forgotten = max(now - count.failed_at, timedelta(0)) // policy.forget
    return max(0, count.failures - forgotten)


def wait(count: Count, policy: Policy, *, now: datetime) -> timedelta:
    """How long from now nobody may try; zero where one may."""
    failures = standing(count, policy, now=now)
    if count.failed_at is None or failures < policy.free:
        return timedelta(0)
    delay = min(policy.base * 2 ** min(failures - policy.free, MOST_OVER), policy.cap)
    # A clock that went back makes nobody wait longer than the delay itself.
    return min(delay, max(count.failed_at + delay - now, timedelta(0)))


def is_own(place: Count, *, now: datetime) -> bool:
    """Whether the account has logged in there before."""
    return place.succeeded_at is not None and now - place.succeeded_at < KNOWN_FOR


def judge(counts: Counts, policies: Policies, *, now: datetime) -> Held | None:
    """None where the password may be looked at; else the count that holds longest."""
    if is_own(counts.place, now=now):
        questions: Iterable[tuple[Count, Policy]] = [(counts.place, policies.own_place)]
    else:
        questions = [
            (counts.place, policies.place), (counts.account, policies.account), (counts.address, policies.address)
        ]  # fmt: skip
    longest = max(
        (Held(policy.name, wait(count, policy, now=now)) for count, policy in questions), key=_length
    )
    return longest if longest.wait else None


def counted(counts: Counts, policies: Policies, *, now: datetime) -> Counts:
    """With one more failure each."""
    return Counts(
        _one_more(counts.place, policies.place, now=now),
        _one_more(counts.account, policies.account, now=now),
        _one_more(counts.address, policies.address, now=now),
    )


def forgiven(latest: Counts, before: Counts, mine: Counts, *, now: datetime) -> Counts:
    """The password was right: that attempt counts nowhere, and the place is the account's own. What the account and the
    address have against them otherwise stays: an attacker's own logins in between would wipe it out."""
    return Counts(
        Count(succeeded_at=now),
        _one_less(latest.account, before.account, mine.account),
        _one_less(latest.address, before.address, mine.address),
    )


def undone(latest: Counts, before: Counts, mine: Counts) -> Counts:
    """Nobody has looked at the password: the attempt was none."""
    return Counts(
        _one_less(latest.place, before.place, mine.place),
        _one_less(latest.account, before.account, mine.account),
        _one_less(latest.address, before.address, mine.address),
    )


def _one_more(count: Count, policy: Policy, *, now: datetime) -> Count:
    failures = min(standing(count, policy, now=now) + 1, policy.free + MOST_OVER)
    return replace(count, failures=failures, failed_at=now)


def _one_less(latest: Count, before: Count, mine: Count) -> Count:
    """As it was before, unless somebody else has failed meanwhile."""
    return before if latest == mine else replace(latest, failures=max(0, latest.failures - 1))


def _length(held: Held) -> timedelta:
    return held.wait


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()
