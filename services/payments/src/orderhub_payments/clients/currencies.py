"""Amounts as Stripe counts them. Ours are in the minor unit of ISO 4217; Stripe's differ for a few currencies.

Stripe's page on currencies, under "zero-decimal", "three-decimal" and "special cases": three-decimal amounts must end
in 0; ISK and UGX, which have no minor unit any more, are written with two decimals; MGA, whose minor unit is a fifth,
is written without.
"""

from __future__ import annotations

from typing import Final

HUNDREDFOLD: Final = frozenset({"ISK", "UGX"})
HUNDREDTH: Final = frozenset({"MGA"})
ROUND: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
LARGEST: Final = 999_999_999_999
"""The most digits that Stripe takes for any currency. For most it is less, which it tells by `amount_too_large`."""


def to_stripe(amount: int, currency: str) -> int | None:
    """None for an amount that cannot be written down there."""
    if currency in HUNDREDFOLD:
        amount *= 100
    elif currency in HUNDREDTH:
        if amount % 100:
            return None
        amount //= 100
    elif currency in ROUND and amount % 10:
        return None
    return amount if 0 < amount <= LARGEST else None


def from_stripe(amount: int, currency: str) -> int:
    """`currency` in capital letters. What somebody entered at Stripe in fractions of an ISK is rounded down."""
    if currency in HUNDREDFOLD:
        return amount // 100
    return amount * 100 if currency in HUNDREDTH else amount
