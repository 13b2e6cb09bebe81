"""Each check sees its own kind of damage: one row is changed by SQL, in a transaction that is rolled back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import asyncpg
import pytest
from orderhub import topology
from orderhub.checks import run as checking
from orderhub.checks.log import EmbeddedLog
from orderhub.checks.model import Finding, View
from orderhub.reach import Reach
from orderhub_chassis.ids import uuid7

ORDERS, PAYMENTS, INVENTORY, DELIVERY, AUTH, SIMULATOR, BUS = (
    "orderhub_orders",
    "orderhub_payments",
    "orderhub_inventory",
    "orderhub_delivery",
    "orderhub_auth",
    "orderhub_simulator",
    "orderhub_bus",
)

CONFIRMED = "(select id from orders where status = 'CONFIRMED' order by id limit 1)"
COMPLETED = "(select id from orders where status = 'COMPLETED' order by id limit 1)"
CAPTURED = "(select id from payments where status = 'CAPTURED' order by id limit 1)"
NOBODY = uuid4()

DAMAGE: dict[str, tuple[str, str]] = {
    "orders.run": (ORDERS, f"update orders set status = 'PENDING' where id = {CONFIRMED} returning id"),
    "orders.live": (ORDERS, f"update orders set run_step = 1 where id = {CONFIRMED} returning id"),
    "orders.operator": (
        ORDERS,
        f"update orders set run_id = id, run_state = 'COMPENSATION_FAILED' where id = {CONFIRMED} returning id",
    ),
    "orders.overdue": (
        ORDERS,
        "update orders set run_id = id, run_state = 'RUNNING', run_deadline_at = now() - interval '2 minutes'"
        f" where id = {CONFIRMED} returning id",
    ),
    "orders.history": (
        ORDERS, f"delete from order_events where order_id = {CONFIRMED} and seq = 2 returning order_id"
    ),
    "orders.epoch": (ORDERS, f"update orders set epoch = epoch + 1 where id = {CONFIRMED} returning id"),
    "orders.totals": (
        ORDERS, f"update order_lines set quantity = quantity + 1 where order_id = {CONFIRMED} returning order_id"
    ),
    "orders.orphans": (ORDERS, f"delete from orders where id = {CONFIRMED} returning id"),
    "orders.animal": (
        ORDERS,
        "update order_lines set animal_id = (select max(animal_id::text)::uuid from order_lines)"
        " where animal_id is not null returning animal_id",
    ),
    "ledger.balance": (
        PAYMENTS,
        "update ledger_entries set amount_minor = amount_minor + 1 where id = (select min(id) from ledger_entries)"
        " returning transaction_id",
    ),
    "ledger.payment": (
        PAYMENTS,
        "update ledger_entries set account = 'refunds' where id = (select min(id) from ledger_entries)"
        " returning order_id",
    ),
    "ledger.orphans": (
        PAYMENTS,
        "delete from ledger_transactions where id = (select min(id::text)::uuid from ledger_transactions) returning id",
    ),
    "payments.refunds": (
        PAYMENTS,
        f"insert into refunds select gen_random_uuid(), id, order_id, 1, currency, '', 'saga', 'succeeded', now(), now()"
        f" from payments where id = {CAPTURED} returning payment_id",
    ),
    "payments.intents": (
        PAYMENTS,
        "update payments set status = 'PENDING', authorized_minor = 0 where id ="
        " (select id from payments where status = 'DECLINED' limit 1) returning id",
    ),
    "payments.overdue": (
        PAYMENTS,
        "update payment_intents set status = 'pending', next_attempt_at = now() - interval '2 minutes',"
        f" lease_until = now() - interval '2 minutes' where payment_id = {CAPTURED} and kind = 'capture' returning id",
    ),
    "stock.stock_differs_from_its_journal": (
        INVENTORY,
        "update stocks set on_hand = on_hand + 1 where product_id ="
        " (select min(product_id::text)::uuid from stocks) returning product_id",
    ),
    "stock.stock_differs_from_its_reservations": (
        INVENTORY,
        "update stocks set reserved = reserved + 1 where product_id ="
        " (select product_id from stocks where on_hand > reserved limit 1) returning product_id",
    ),
    "stock.stock_differs_from_its_animals": (
        INVENTORY,
        "update animals set status = 'withdrawn' where id ="
        " (select id from animals where status = 'free' limit 1) returning product_id",
    ),
    "stock.an_animal_is_held_twice": (
        INVENTORY,
        "update reservations set animal_id = (select animal_id from reservations where animal_id is not null limit 1)"
        " where status = 'COMMITTED' returning animal_id",
    ),
    "stock.an_animal_and_the_order_line_that_holds_it_differ": (
        INVENTORY,
        "update animals set order_id = gen_random_uuid() where id ="
        " (select id from animals where status = 'sold' limit 1) returning id",
    ),
    "stock.an_order_is_half_refused": (
        INVENTORY,
        "update reservations set status = 'FAILED' where (order_id, line_no) = (select order_id, 1 from reservations"
        " group by order_id having count(*) > 1 limit 1) returning order_id",
    ),
    "stock.an_order_line_holds_no_animal_or_one_of_no_product": (
        INVENTORY, "update reservations set animal_id = null where animal_id is not null returning order_id"
    ),
    "stock.a_product_has_no_stock_row": (
        INVENTORY,
        "delete from stocks where product_id = (select min(product_id::text)::uuid from stocks) returning product_id",
    ),
    "delivery.live": (
        DELIVERY,
        "insert into deliveries select gen_random_uuid(), order_id, vendor_id, 'somebody-else', '', 'CANCELLED', false,"
        " false, false, 1, '', pickup, ship_to, null, null, '', '', '', now(), now() from deliveries"
        " where status = 'COMPLETED' order by id limit 1 returning order_id",
    ),
    "delivery.position": (
        DELIVERY, f"insert into delivery_positions values ('{NOBODY}', 1, 1, now()) returning delivery_id"
    ),
    "messages.sent": (
        ORDERS,
        "update outbox_totals set messages = messages + 1 where topic = 'inventory.commands.v1' returning topic",
    ),
    "messages.skipped": (
        INVENTORY,
        "delete from inbox where batch_id = (select min(batch_id::text)::uuid from inbox) returning batch_id",
    ),
    "messages.outbox": (
        ORDERS,
        "insert into outbox (batch_id, topic, count, records, created_at) values (gen_random_uuid(),"
        " 'orders.events.v1', 1, '', now() - interval '1 minute') returning id",
    ),
    "messages.parked": (
        PAYMENTS,
        "insert into parked_keys values ('payments', 'payments.commands.v1', 'forgotten-key', now()) returning key",
    ),
    "idempotency.answer": (
        ORDERS,
        "update idempotency_keys set fingerprint = '' where key ="
        " (select min(key) from idempotency_keys) returning key",
    ),
    "idempotency.order": (ORDERS, f"delete from orders where id = {CONFIRMED} returning id"),
    "bus.positions": (
        BUS,
        "update topics set next_position = 0 where name = 'orders.replies.v1' and next_position > 0 returning name",
    ),
    "users.factor": (AUTH, "update users set mfa_enabled = true where 'operator' = any (roles) returning id"),
    "people.customers": (
        AUTH,
        "delete from users where id in (select user_id from sessions) and 'customer' = any (roles) returning id",
    ),
    "people.vendors": (
        INVENTORY, "delete from vendors where name = 'Scales and Tails' returning id"
    ),
    "money.owed": (
        PAYMENTS,
        f"update payments set captured_minor = captured_minor - 1 where id = {CAPTURED} returning order_id",
    ),
    "money.held": (
        PAYMENTS,
        "update payments set status = 'AUTHORIZED', authorized_minor = 1 where id ="
        " (select id from payments where status = 'DECLINED' limit 1) returning order_id",
    ),
    "money.payment": (ORDERS, f"update orders set payment_id = '{NOBODY}' where id = {CONFIRMED} returning id"),
    "money.provider": (
        SIMULATOR,
        "update authorizations set amount_minor = amount_minor + 1, captured_minor = captured_minor + 1 where id ="
        " (select id from authorizations where status = 'captured' limit 1) returning reference",
    ),
    "stock.order": (
        INVENTORY,
        "update reservations set status = 'RELEASED' where (order_id, line_no) = (select order_id, line_no"
        " from reservations where status = 'COMMITTED' limit 1) returning order_id",
    ),
    "delivery.order": (
        DELIVERY,
        "update deliveries set status = 'CANCELLED' where id ="
        " (select id from deliveries where status = 'COMPLETED' limit 1) returning order_id",
    ),
    "orphans.order": (ORDERS, f"delete from orders where id = {COMPLETED} returning id"),
}  # fmt: skip
"""Check → where its damage is done and by which statement; the statement returns what the finding has to name."""

UNGUARDED = """
set local session_replication_role = replica;
do $$ declare c record; begin
    for c in select conrelid::regclass as t, conname from pg_constraint
             where contype = 'c' and connamespace = 'public'::regnamespace loop
        execute format('alter table %s drop constraint %I', c.t, c.conname);
    end loop;
    for c in select indexrelid::regclass as i from pg_index x join pg_class r on r.oid = x.indrelid
             where x.indisunique and not x.indisprimary and r.relnamespace = 'public'::regnamespace
               and not exists (select from pg_constraint p where p.conindid = x.indexrelid) loop
        execute format('drop index %s', c.i);
    end loop;
end $$;
"""
"""Triggers, checks and unique indexes off, in this transaction alone: the last guard is not what is tested here."""

Settled = Callable[[str], str]


@contextlib.asynccontextmanager
async def opened(settled: Settled, damaged: str = "", *, live: bool = False) -> AsyncIterator[View]:
    """All databases, each in a transaction that is rolled back; the damaged one without its guards.

    One at a time: taking guards off locks tables, and two tests that wait for each other in different databases
    would wait for ever.
    """
    connections: dict[str, Any] = {}
    async with contextlib.AsyncExitStack() as stack:
        turn = await asyncpg.connect(settled("postgres"))
        stack.push_async_callback(turn.close)
        await turn.execute("select pg_advisory_lock(714)")
        for name in topology.MIGRATIONS:
            connections[name] = await asyncpg.connect(settled(name))
            stack.push_async_callback(connections[name].close)
            await connections[name].execute("begin")
        if damaged:
            await connections[damaged].execute(UNGUARDED)
        yield View(connections, EmbeddedLog(connections[BUS]), datetime.now(UTC), live)


async def found_by(view: View, *names: str) -> list[Finding]:
    return [finding async for finding in checking.findings(view, names)]


async def test_a_settled_product_is_clean(settled: Settled) -> None:
    async with opened(settled) as view:
        assert [finding async for finding in checking.findings(view)] == []


async def test_a_running_product_at_rest_is_clean_too(settled: Settled) -> None:
    async with opened(settled, live=True) as view:
        assert [finding async for finding in checking.findings(view)] == []


def test_every_check_has_its_damage() -> None:
    assert set(DAMAGE) == set(checking.NAMES)


@pytest.mark.parametrize("name", checking.NAMES)
async def test_a_check_names_the_damaged_row(name: str, settled: Settled) -> None:
    database, statement = DAMAGE[name]
    async with opened(settled, database, live=True) as view:
        damaged = await view.connections[database].fetchval(statement)
        assert damaged is not None, "the statement met no row"
        found = await found_by(view, name)
        assert found, f"{name} saw nothing"
        assert any(str(damaged) in value for finding in found for _, value in finding.row), found


async def test_a_run_that_is_live_and_over_is_named(settled: Settled) -> None:
    async with opened(settled, ORDERS) as view:
        both = await view.connections[ORDERS].fetchval(
            "update orders o set run_id = r.id, run_definition = r.definition, run_state = 'RUNNING', run_step = r.step,"
            " run_definition_version = r.definition_version, run_attempts = r.attempts, run_expires_at = r.expires_at,"
            " run_stop_requested = r.stop_requested, run_reason = r.reason, run_created_at = r.created_at,"
            f" run_moved_at = r.updated_at from ended_runs r where r.order_id = o.id and o.id = {CONFIRMED} returning o.id"
        )
        assert [dict(finding.row)["order_id"] for finding in await found_by(view, "orders.live")] == [
            str(both)
        ]


async def test_a_customer_of_another_issuer_is_in_no_database_of_ours(settled: Settled) -> None:
    statement = f"update orders set customer_id = $1 where id = {CONFIRMED}"
    for customer, blamed in ((str(uuid5(NAMESPACE_URL, "https://login.example ada")), 0), (str(uuid7()), 1)):
        async with opened(settled, ORDERS) as view:
            await view.connections[ORDERS].execute(statement, customer)
            assert len(await found_by(view, "people.customers")) == blamed


async def test_waiting_is_no_fault_of_a_stopped_product(settled: Settled) -> None:
    for name in ("orders.overdue", "payments.overdue", "messages.outbox"):
        database, statement = DAMAGE[name]
        async with opened(settled, database, live=False) as view:
            assert await view.connections[database].fetchval(statement) is not None
            assert await found_by(view, name) == []


async def test_a_message_on_its_way_is_no_lost_message(settled: Settled) -> None:
    """Sent and still in the outbox; then sent, published and not yet taken."""
    async with opened(settled) as view:
        await view.connections[ORDERS].execute(
            "insert into outbox (batch_id, topic, count, records, created_at)"
            " values (gen_random_uuid(), 'inventory.commands.v1', 3, '', now())"
        )
        await view.connections[ORDERS].execute(
            "update outbox_totals set messages = messages + 2 where topic = 'inventory.commands.v1'"
        )
        await view.connections[BUS].execute(
            "insert into log (topic_id, position, batch_id, count, parts, records)"
            " select id, 1000000, gen_random_uuid(), 2, '{0,2}', '' from topics where name = 'inventory.commands.v1'"
        )
        assert await found_by(view, "messages.sent", "messages.skipped") == []


async def test_a_batch_published_twice_counts_once(settled: Settled) -> None:
    async with opened(settled) as view:
        await view.connections[BUS].execute(
            "insert into log (topic_id, position, batch_id, count, parts, records)"
            " select topic_id, 1000000, batch_id, count, parts, records from log order by batch_id limit 1"
        )
        assert await found_by(view, "messages.sent", "messages.skipped") == []


@pytest.mark.parametrize("live", [True, False])
async def test_a_product_that_may_run_is_blamed_only_for_what_stays(
    monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    """Of one on servers it is not known here."""
    stays, goes = Finding("money.owed", (("order_id", "1"),)), Finding("money.owed", (("order_id", "2"),))
    passes = iter([[stays, goes], [stays, Finding("money.owed", (("order_id", "3"),))]])

    async def one_pass(*_: object, **__: object) -> list[Finding]:
        return next(passes)

    monkeypatch.setattr(checking, "one_pass", one_pass)
    monkeypatch.setattr(checking, "PAUSE_SECONDS", 0)
    assert await checking.confirmed(Reach(str, live)) == [stays]
