"""What the worker and reconcile need of a card provider, whoever it is.

A provider answers every operation with a Result; it raises nothing. Retrying is the worker's business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from orderhub_payments.model import Operation, Result


class ProviderRecord(msgspec.Struct, frozen=True):
    """An authorization as the provider itself lists it, in our minor units; `reference` is our order id.

    `status` is authorized, captured, voided or declined, or the provider's own word for what is none of these.
    """

    ref: str
    reference: str
    status: str
    currency: str
    amount: int
    captured: int
    refunded: int


class Provider(Protocol):
    """One adapter. `name` is what payments keep of it for ever."""

    name: str

    async def execute(self, operations: Sequence[Operation]) -> list[Result]:
        """One result per operation, in order, within the settings' time. Asking the same key again is always safe."""
        ...

    def listing(self, since: datetime) -> AsyncIterator[list[ProviderRecord]]:
        """All authorizations made since then, page by page; it may give older ones too. Raises Unavailable."""
        ...

    async def find(self, ref: str) -> ProviderRecord | None:
        """One authorization as it is now. Raises Unavailable."""
        ...

    async def examine(self) -> str:
        """Ask as `execute` and `listing` will, and change nothing: what is there. Raises Unavailable, with how it is
        mended where that is a setting."""
        ...
