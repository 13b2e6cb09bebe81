"""What one service's database answers alone: orders and runs, the ledger, stock, deliveries, users."""

from __future__ import annotations

from typing import Final

from orderhub_inventory.queries import CHECKS as STOCK

from orderhub.checks.model import Check, by_sql

ORDERS, PAYMENTS, INVENTORY, DELIVERY, AUTH = (
    "orderhub_orders",
    "orderhub_payments",
    "orderhub_inventory",
    "orderhub_delivery",
    "orderhub_auth",
)

ORDERS_CHECKS: Final = (
    by_sql(
        "orders.run", "an order that is not settled is in a live run; a settled one is in none", ORDERS,
        """
        select id as order_id, status, coalesce(run_state, 'none') as run from orders
        where (status in ('PENDING', 'CANCELLING') and run_id is null)
           or (status = 'ON_HOLD' and run_state is distinct from 'HELD')
           or (status not in ('PENDING', 'CANCELLING', 'ON_HOLD') and run_id is not null)
        order by id
        """,
    ),
    by_sql(
        "orders.live", "a live run is whole, and is not among those that are over", ORDERS,
        """
        select id as order_id, run_id, run_state as run from orders o
        where num_nonnulls(run_id, run_definition, run_definition_version, run_state, run_step, run_attempts,
                           run_expires_at, run_stop_requested, run_reason, run_created_at, run_moved_at) not in (0, 11)
           or (run_id is null and run_deadline_at is not null)
           or exists (select from ended_runs r where r.id = o.run_id)
        order by id
        """,
    ),
    by_sql(
        "orders.operator", "no saga run waits for an operator", ORDERS,
        """
        select order_id, id as run_id, definition, step, state from live_runs
        where state in ('COMPENSATION_FAILED', 'STUCK') order by id
        """,
    ),
    by_sql(
        "orders.overdue", "no saga run is a minute behind its deadline", ORDERS,
        """
        select order_id, id as run_id, definition, step, state, deadline_at from live_runs
        where deadline_at < $1::timestamptz - interval '1 minute' order by id
        """,
        live_only=True,
    ),
    by_sql(
        "orders.history", "an order's history counts 1, 2, 3 … to its last_seq", ORDERS,
        """
        select o.id as order_id, o.last_seq, coalesce(e.events, 0) as events, e.first, e.last
        from orders o left join (
            select order_id, count(*) as events, min(seq) as first, max(seq) as last from order_events group by order_id
        ) e on e.order_id = o.id
        where (o.last_seq, o.last_seq, 1) is distinct from (coalesce(e.events, 0), e.last, e.first) order by o.id
        """,
    ),
    by_sql(
        "orders.epoch", "an order's epoch is the highest of its runs", ORDERS,
        """
        select o.id as order_id, o.epoch, max(r.epoch) as highest from orders o join saga_runs r on r.order_id = o.id
        group by o.id having o.epoch <> max(r.epoch) order by o.id
        """,
    ),
    by_sql(
        "orders.totals", "an order's items are the sum of its lines", ORDERS,
        """
        select o.id as order_id, o.items_minor, coalesce(l.items, 0) as lines from orders o
        left join (
            select order_id, sum(quantity * unit_price_minor)::bigint as items from order_lines group by order_id
        ) l on l.order_id = o.id
        where o.items_minor is distinct from l.items order by o.id
        """,
    ),
    by_sql(
        "orders.orphans", "lines, runs and events have their order, and an order has all three", ORDERS,
        """
        select order_id, string_agg(distinct kept, ', ') as kept from (
            select order_id, 'line' as kept from order_lines
            union all select order_id, 'run' from ended_runs
            union all select order_id, 'event' from order_events
        ) k where not exists (select from orders o where o.id = k.order_id) group by order_id
        union all
        select id, 'no run' from orders o where not exists (select from saga_runs r where r.order_id = o.id)
        order by 1
        """,
    ),
    by_sql(
        "orders.animal", "no animal is in two orders", ORDERS,
        """
        select l.animal_id, string_agg(l.order_id::text, ', ' order by l.order_id) as orders
        from order_lines l join orders o on o.id = l.order_id
        where l.animal_id is not null and o.status in ('CONFIRMED', 'IN_DELIVERY', 'COMPLETED')
        group by l.animal_id having count(*) > 1 order by 1
        """,
    ),
)  # fmt: skip

PER_PAYMENT: Final = """
from payments p left join (
    select order_id,
        coalesce(sum(amount_minor) filter (where account like 'vendor_payable:%'), 0)::bigint as payable,
        coalesce(sum(amount_minor) filter (where account = 'refunds'), 0)::bigint as refunds,
        coalesce(sum(amount_minor) filter (where account = 'customer:' || order_id), 0)::bigint as customer,
        coalesce(sum(amount_minor) filter (where account = 'provider_clearing'), 0)::bigint as clearing
    from ledger_entries group by order_id
) e on e.order_id = p.order_id
"""

PAYMENTS_CHECKS: Final = (
    by_sql(
        "ledger.balance", "every ledger transaction balances in one currency", PAYMENTS,
        """
        select transaction_id, count(*) as entries, sum(amount_minor)::bigint as sum,
               string_agg(distinct currency, ', ') as currencies
        from ledger_entries group by transaction_id
        having sum(amount_minor) <> 0 or count(*) < 2 or count(distinct currency) > 1 order by 1
        """,
    ),
    by_sql(
        "ledger.payment", "a payment's accounts are what it has captured and refunded", PAYMENTS,
        f"""
        select p.id as payment_id, p.order_id, p.captured_minor, p.refunded_minor, p.refund_pending_minor,
               e.payable, e.refunds, e.customer, e.clearing
        {PER_PAYMENT}
        where (coalesce(e.payable, 0), coalesce(e.refunds, 0), coalesce(e.customer, 0), coalesce(e.clearing, 0))
           <> (-p.captured_minor, p.refunded_minor + p.refund_pending_minor, -p.refund_pending_minor,
               p.captured_minor - p.refunded_minor)
        order by p.id
        """,
    ),
    by_sql(
        "ledger.orphans", "every ledger transaction has entries and a payment, each entry its transaction", PAYMENTS,
        """
        select coalesce(t.id, e.transaction_id) as transaction_id, t.payment_id, count(e.id) as entries
        from ledger_transactions t full join ledger_entries e on e.transaction_id = t.id
        left join payments p on p.id = t.payment_id
        where t.id is null or e.id is null or p.id is null or e.currency <> p.currency or t.order_id <> p.order_id
        group by 1, 2 order by 1
        """,
    ),
    by_sql(
        "payments.refunds", "a payment has refunded what its refunds say", PAYMENTS,
        """
        select p.id as payment_id, p.refunded_minor, p.refund_pending_minor, r.succeeded, r.pending
        from payments p left join (
            select payment_id, coalesce(sum(amount_minor) filter (where status = 'succeeded'), 0)::bigint as succeeded,
                   coalesce(sum(amount_minor) filter (where status = 'pending'), 0)::bigint as pending
            from refunds group by payment_id
        ) r on r.payment_id = p.id
        where (p.refunded_minor, p.refund_pending_minor) <> (coalesce(r.succeeded, 0), coalesce(r.pending, 0))
        order by p.id
        """,
    ),
    by_sql(
        "payments.intents", "what is open with the provider is open in the payment, and the other way round", PAYMENTS,
        """
        select 'payment ' || p.id as what, 'PENDING without an open intent' as wrong from payments p
        where p.status = 'PENDING' and not exists (
            select from payment_intents i where i.payment_id = p.id and i.status in ('pending', 'waiting'))
        union all
        select 'refund ' || r.id, r.status || ' with ' || count(i.id) || ' open intents'
        from refunds r left join payment_intents i on i.refund_id = r.id and i.status in ('pending', 'waiting')
        group by r.id having (r.status = 'pending') <> (count(i.id) = 1) or count(i.id) > 1
        union all
        select 'intent ' || i.id, 'waits behind nothing' from payment_intents i
        where i.status = 'waiting' and not exists (
            select from payment_intents b where b.payment_id = i.payment_id and b.status = 'pending')
        union all
        select 'intent ' || i.id, 'of no payment' from payment_intents i
        where not exists (select from payments p where p.id = i.payment_id)
        union all
        select 'refund ' || r.id, 'of no payment' from refunds r
        where not exists (select from payments p where p.id = r.payment_id)
        order by 1
        """,
    ),
    by_sql(
        "payments.overdue", "no intent waits for a minute to be tried", PAYMENTS,
        """
        select id as intent_id, payment_id, kind, attempts, next_attempt_at, problem from payment_intents
        where status = 'pending' and next_attempt_at < $1::timestamptz - interval '1 minute'
          and lease_until < $1::timestamptz - interval '1 minute' order by id
        """,
        live_only=True,
    ),
)  # fmt: skip

STOCK_CHECKS: Final = tuple(
    by_sql(
        f"stock.{check.name.replace(' ', '_').replace(',', '')}", f"never: {check.name}", INVENTORY, check.sql
    )
    for check in STOCK
)
"""Inventory brings its own statements: what its columns have to add up to is known best where they are made."""

DELIVERY_CHECKS: Final = (
    by_sql(
        "delivery.live", "an order has one live delivery at most, and none beside one that was closed", DELIVERY,
        """
        select order_id, string_agg(status, ', ' order by id) as deliveries, bool_or(closed) as closed
        from deliveries group by order_id
        having count(*) filter (where status in ('CREATED', 'ASSIGNED', 'IN_PROGRESS', 'RETURNING')) > 1
            or (count(*) > 1 and count(*) filter (where status <> 'CANCELLED') > 1)
            or count(distinct (vendor_id, customer_id)) > 1
        order by 1
        """,
    ),
    by_sql(
        "delivery.position", "a position belongs to a delivery", DELIVERY,
        """
        select delivery_id from delivery_positions x
        where not exists (select from deliveries d where d.id = x.delivery_id) order by 1
        """,
    ),
)  # fmt: skip

AUTH_CHECKS: Final = (
    by_sql(
        "users.factor", "a user is asked for a second factor exactly where there is a confirmed one", AUTH,
        """
        select u.id as user_id, u.mfa_enabled, a.confirmed_at from users u left join authenticators a on a.user_id = u.id
        where u.mfa_enabled <> (a.confirmed_at is not null) order by u.id
        """,
    ),
)  # fmt: skip

CHECKS: Final[tuple[Check, ...]] = (
    *ORDERS_CHECKS,
    *PAYMENTS_CHECKS,
    *STOCK_CHECKS,
    *DELIVERY_CHECKS,
    *AUTH_CHECKS,
)
