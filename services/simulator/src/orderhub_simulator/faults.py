"""How each card token misbehaves. Pure: the token, the operation and the attempts before decide."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

FLAKY_ATTEMPTS: Final = 2


class Fault(Enum):
    NONE = "none"
    TIMEOUT = "timeout"  # the effect is durable, the first answer is lost
    UNAVAILABLE = "unavailable"  # no effect; the attempt is counted durably


@dataclass(frozen=True, slots=True)
class Card:
    """A simulated card: why it declines, and which operations time out or fail at first."""

    decline_code: str | None = None
    times_out: str | None = None
    flaky: str | None = None


CARDS: Final[dict[str, Card]] = {
    "tok_ok": Card(),
    "tok_declined": Card(decline_code="declined"),
    "tok_insufficient_funds": Card(decline_code="insufficient_funds"),
    "tok_timeout": Card(times_out="authorize"),
    "tok_flaky": Card(flaky="authorize"),
    "tok_capture_timeout": Card(times_out="capture"),
    "tok_capture_flaky": Card(flaky="capture"),
    "tok_refund_flaky": Card(flaky="refund"),
    "tok_void_flaky": Card(flaky="void"),
}


def fault_for(token: str | None, op: str, attempts: int) -> Fault:
    """What goes wrong with the next attempt, after `attempts` transient answers under the same key."""
    card = CARDS.get(token) if token else None
    if card is None:
        return Fault.NONE
    if card.times_out == op:
        return Fault.TIMEOUT
    if card.flaky == op and attempts < FLAKY_ATTEMPTS:
        return Fault.UNAVAILABLE
    return Fault.NONE
