"""The kinds of orders in a run and the bodies they are placed with. Pure; the dice are passed in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from orderhub import ordering
from orderhub.exits import Exit, Refused

TOKENS: Final = {
    "happy": ("tok_ok",),
    "declined": ("tok_declined", "tok_insufficient_funds"),
    "cancel": ("tok_ok",),
    "flaky": ("tok_flaky",),
    "timeout": ("tok_timeout",),
}
"""Kind of order → the simulator's cards that it is paid with."""

WIDEST_CART: Final = 3


@dataclass(frozen=True)
class Mix:
    """Kinds with their weights."""

    kinds: tuple[str, ...]
    weights: tuple[int, ...]

    def draw(self, dice: random.Random) -> str:
        return dice.choices(self.kinds, self.weights)[0]


def parsed(text: str) -> Mix:
    """`happy,declined` or `happy:8,declined:1`. Raises Refused for a kind that does not exist."""
    kinds, weights = [], []
    for part in text.split(","):
        kind, _, weight = part.strip().partition(":")
        if kind not in TOKENS or not (weight or "1").isdigit() or int(weight or 1) < 1:
            raise Refused(
                f"--mix: {part.strip()!r} is none of {', '.join(TOKENS)}, with `:weight` or without",
                Exit.USAGE,
            )
        kinds.append(kind)
        weights.append(int(weight or 1))
    return Mix(tuple(kinds), tuple(weights))


def body(kind: str, products: Sequence[str], dice: random.Random) -> bytes:
    """The JSON of POST /orders: one to three products of the bench vendor, one or two of each."""
    chosen = dice.sample(products, min(len(products), dice.randint(1, WIDEST_CART)))
    return msgspec.json.encode(
        {
            "lines": [{"product_id": product, "quantity": dice.randint(1, 2)} for product in chosen],
            "ship_to": ordering.ship_to("NL", "Load Customer"),
            "payment": {"token": dice.choice(TOKENS[kind])},
        }
    )
