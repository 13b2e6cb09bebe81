"""Reconcile is silent on an honest system, and names each thing that somebody corrupts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.ids import uuid7
from orderhub_contracts.payments.v1 import payments_pb2 as pb
from orderhub_payments.reconcile import reconcile, reconcile_with

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORCED = "set session_replication_role = replica"
"""Constraints and triggers do not fire: what a superuser, a bug in the disk or a bad restore could do."""


async def differences(service: Any, *orders: object) -> list[tuple[str, str]]:
    """Those of these orders: each test leaves its own behind."""
    report = await reconcile(service.chassis.db, service.providers)
    named = {str(order) for order in orders}
    return sorted((d.code, d.order_id) for d in report.differences if d.order_id in named)


async def test_an_honest_system_has_no_difference(
    service: Any, orders: Any, client: Any, people: Any
) -> None:
    tokens = {uuid7(): token for token in ("tok_declined", "tok_of_nobody", "tok_flaky", "tok_ok")}
    for id, token in tokens.items():
        await orders.authorized(id, token=token)
    ids = list(tokens)
    for undo in (False, True):
        for take in (False, True):
            id = uuid7()
            ids.append(id)
            await orders.authorized(id)
            if take:
                await orders.captured(id)
            if undo:
                await orders.reversed(id)
    assert await differences(service, *ids) == []
    answer = await client.call("Reconcile", pb.ReconcileRequest(), people.operator)
    assert answer.payments_checked >= 8
    assert not {d.order_id for d in answer.differences} & {str(id) for id in ids}
    assert (await reconcile_with(service.chassis.settings)).payments_checked == answer.payments_checked


async def test_what_happened_only_at_the_provider_is_named(service: Any, orders: Any, simulator: Any) -> None:
    voided, captured, refunded, twice = (uuid7() for _ in range(4))
    for id in (voided, captured, refunded, twice):
        await orders.authorized(id)
    await orders.captured(refunded)
    for id, what, body in (
        (voided, "void", {}),
        (captured, "capture", {"amount_minor": 4000}),
        (refunded, "refunds", {"amount_minor": 1, "reference": "x"}),
    ):
        (theirs,) = await simulator.authorizations(id)
        await simulator.post(f"/v1/authorizations/{theirs['id']}/{what}", f"{id}:{what}", body)
    for reference in (str(twice), "order-of-nobody"):
        body = {"amount_minor": 7, "currency": "USD", "token": "tok_ok", "reference": reference}
        await simulator.post("/v1/authorizations", f"{reference}:again", body)
    assert await differences(service, voided, captured, refunded, twice, "order-of-nobody") == sorted(
        [
            ("provider.status", str(voided)),
            ("provider.status", str(captured)),
            ("provider.captured", str(captured)),
            ("provider.refunded", str(refunded)),
            ("provider.unknown_authorization", str(twice)),
            ("provider.unknown_authorization", "order-of-nobody"),
        ]
    )


CORRUPT: dict[str, tuple[str, list[str]]] = {
    "lost capture": (
        "update payments set status = 'AUTHORIZED', captured_minor = 0 where order_id = $1",
        ["ledger.captured", "ledger.clearing", "provider.captured", "provider.status"],
    ),
    "another authorization": (
        "update payments set provider_ref = gen_random_uuid()::text where order_id = $1",
        ["provider.missing_authorization", "provider.unknown_authorization"],
    ),
    "another amount": (
        "update payments set amount_minor = 6000 where order_id = $1",
        ["provider.amount"],
    ),
    "refund without money": (
        "update payments set refunded_minor = 1, status = 'PARTIALLY_REFUNDED' where order_id = $1",
        ["ledger.clearing", "ledger.refunds", "provider.refunded", "refunds.succeeded"],
    ),
    "lost entry": (
        "delete from ledger_entries where order_id = $1 and account = 'provider_clearing'",
        ["ledger.clearing", "ledger.unbalanced"],
    ),
    "changed entry": (
        "update ledger_entries set amount_minor = amount_minor - 1 where order_id = $1 and amount_minor < 0",
        ["ledger.captured", "ledger.unbalanced"],
    ),
    "lost posting": (
        "delete from ledger_transactions where order_id = $1",
        ["ledger.stray_entry", "ledger.stray_entry"],
    ),
    "lost entries": (
        "delete from ledger_entries where order_id = $1",
        ["ledger.captured", "ledger.clearing", "ledger.unbalanced"],
    ),
}


@pytest.mark.parametrize("name", CORRUPT)
async def test_every_corrupted_row_is_named(
    service: Any, orders: Any, sql: asyncpg.Connection, order_id: UUID, name: str
) -> None:
    await orders.authorized(order_id)
    await orders.captured(order_id)
    untouched = uuid7()
    await orders.authorized(untouched)
    statement, codes = CORRUPT[name]
    await sql.execute(FORCED)
    await sql.execute(statement, order_id)
    assert await differences(service, order_id, untouched) == [(code, str(order_id)) for code in codes]


async def test_a_provider_that_is_away_is_said_and_not_taken_for_a_difference(
    service: Any, simulator: Any
) -> None:
    simulator.kill()
    with pytest.raises(Unavailable):
        await differences(service)
    simulator.start()
