"""Orders under way as this process left them: what need not be read again while nobody else writes their rows.

An order's row holds its live run. The row's version is the transaction that wrote it (PostgreSQL's `xmin`, which vacuum
leaves alone). It is read under the row's lock and compared, so a stale order is never used: another process's write, a
restored database or a transaction that was rolled back only cost a read.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final
from uuid import UUID

import msgspec

from orderhub_orders.engine import Run
from orderhub_orders.model import Order

MOST: Final = 10_000
"""Orders under way that are kept, some 2.5 kB each; beyond that the one that rested longest is forgotten."""


class Kept(msgspec.Struct, frozen=True):
    order: Order
    run: Run
    version: int


class Remembered:
    """Whoever takes an order owns it: it comes back by `keep`, after the commit, or not at all."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[UUID, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, order_id: UUID, version: int) -> Kept | None:
        """None when the row is no longer the one that was kept."""
        kept = self._kept.pop(order_id, None)
        return kept if kept is not None and kept.version == version else None

    def keep(self, order: Order, run: Run, version: int) -> None:
        """What a transaction has committed; orders without a live run are seldom heard of again."""
        self._kept[order.id] = Kept(order, run, version)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
