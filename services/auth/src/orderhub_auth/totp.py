"""Codes of an authenticator app (RFC 6238 over RFC 4226): which time step one is of, and what it is worth after earlier ones.

Nothing here knows a database or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

import pyotp
from pyotp.utils import strings_equal

PERIOD: Final = 30
DIGITS: Final = 6
WINDOW: Final = 1
"""Steps to both sides that count as well, since clocks differ (RFC 6238, section 5.2)."""
FREE_GUESSES: Final = 5
FIRST_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=1)
FORGOTTEN_AFTER: Final = timedelta(days=1)
"""After so long without a wrong code the count begins anew: by then a guess a wait was more than that gives."""


class Verdict(Enum):
    """What a code is worth."""

    RIGHT = auto()
    WRONG = auto()
    # Not looked at: there were too many wrong ones.
    TOO_SOON = auto()


@dataclass(frozen=True, slots=True)
class Standing:
    """What earlier codes have left behind: the last step that was taken, and the wrong ones since."""

    last_step: int = -1
    failures: int = 0
    failed_at: datetime | None = None


def new_secret() -> str:
    """160 random bits (RFC 4226, section 4, R6) in the Base32 that authenticator apps take."""
    return pyotp.random_base32()


def uri(secret: str, account: str, issuer: str) -> str:
    """What an app reads from a QR code: `otpauth://totp/…`."""
    return _totp(secret).provisioning_uri(name=account, issuer_name=issuer)


def step_at(now: datetime) -> int:
    return int(now.timestamp()) // PERIOD


def plain(code: str) -> str:
    """Without the spaces that apps show."""
    return code.replace(" ", "")


def is_code(code: str) -> bool:
    """Whether this could be one of an app; anything else is for the recovery codes."""
    return len(code) == DIGITS and code.isascii() and code.isdigit()


def matching_step(secret: str, code: str, *, now: datetime) -> int | None:
    """The latest step in the window whose code this is: should two have the same one, both are used up with it."""
    current, totp, found = step_at(now), _totp(secret), None
    # All of them, so that the time it takes says nothing.
    for step in range(max(current - WINDOW, 0), current + WINDOW + 1):
        if strings_equal(code, totp.generate_otp(step)):
            found = step
    return found


def judge(secret: str, standing: Standing, code: str, *, now: datetime) -> tuple[Verdict, Standing]:
    """What the code is worth, and what is to be remembered of it.

    A step is taken once and never again, nor one before it (RFC 6238, section 5.2), whatever the clock does.
    """
    if waiting(standing, now=now):
        return Verdict.TOO_SOON, standing
    step = matching_step(secret, code, now=now)
    if step is None or step <= standing.last_step:
        return Verdict.WRONG, Standing(standing.last_step, _counting(standing, now) + 1, now)
    return Verdict.RIGHT, Standing(step)


def waiting(standing: Standing, *, now: datetime) -> timedelta:
    """How long until the next code is looked at; zero when it may come."""
    if standing.failed_at is None or standing.failures < FREE_GUESSES:
        return timedelta(0)
    doublings = min(standing.failures - FREE_GUESSES, 10)
    wait = min(FIRST_WAIT * 2**doublings, LONGEST_WAIT)
    return max(standing.failed_at + wait - now, timedelta(0))


def begins_to_wait(standing: Standing) -> bool:
    """With this wrong code guessing became slow: the user should hear of it, as somebody knows the password."""
    return standing.failures == FREE_GUESSES


def _counting(standing: Standing, now: datetime) -> int:
    """The wrong codes that still count."""
    old = standing.failed_at is None or now - standing.failed_at >= FORGOTTEN_AFTER
    return 0 if old else standing.failures


def _totp(secret: str) -> pyotp.TOTP:
    return pyotp.TOTP(secret, digits=DIGITS, interval=PERIOD)
