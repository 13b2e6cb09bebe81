"""Shapes of `admin/…`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from orderhub_gateway.schemas.common import Input, Money, Reason

Consumer = Literal["orders", "inventory", "payments", "delivery"]


class Saga(msgspec.Struct, kw_only=True):
    run_id: str
    order_id: str
    definition: str
    definition_version: int
    state: str
    step: int
    step_name: str
    epoch: int
    attempts: int
    deadline_at: str | None
    created_at: str
    updated_at: str
    reason: Reason | None


class DeadLetter(msgspec.Struct, kw_only=True):
    """A message that a service has given up; `parked_behind` later ones of its key wait for it.

    `replays`: how often it was replayed, dry runs not counted.
    """

    id: str
    service: str
    consumer: str
    topic: str
    key: str
    message_id: str
    type: str
    reason: str
    stack: str
    attempts: int
    status: str
    created_at: str
    parked_behind: int
    replays: int
    trace_id: str


class ReplayDeadLetter(Input):
    """`dry_run`: in a transaction that is rolled back. `force`: however often it was replayed in vain.

    Without `service` the one that has it is looked for.
    """

    dry_run: bool = False
    force: bool = False
    service: Consumer | None = None


class Replay(msgspec.Struct, kw_only=True):
    """`error`: what the handler says today, where it fails again."""

    applied: int
    would_send: list[str]
    error: str | None


class LedgerEntry(msgspec.Struct, kw_only=True):
    """Debit positive, credit negative."""

    id: str
    transaction_id: str
    account: str
    amount: Money
    order_id: str
    payment_id: str
    kind: str
    created_at: str


class Difference(msgspec.Struct, kw_only=True):
    code: str
    order_id: str | None
    payment_id: str | None
    detail: str


class Reconciliation(msgspec.Struct, kw_only=True):
    payments_checked: int
    differences: list[Difference]


class Maintenance(msgspec.Struct, kw_only=True):
    """The switch; `changed_at` and `changed_by` are null where nobody has ever turned it."""

    enabled: bool
    message: str
    retry_after_seconds: int
    changed_at: str | None
    changed_by: str | None


class SetMaintenance(Input):
    """`message` is what everybody reads whose change is refused."""

    enabled: bool
    message: Annotated[str, Meta(min_length=1, max_length=500)] = (
        "maintenance: changes are not taken right now"
    )
    retry_after_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300
