-- Payments, what is asked of the provider for them, and the double-entry ledger.
--
-- payments              one row per order; the money columns say where the money is now
-- payment_intents       every effect outside: intent, then the provider's answer. `pending` is the one that is (or
--                       will be) asked, `waiting` ones queue behind it by `seq`, `done` and `failed` are answered
-- refunds               every refund that was granted, by a saga or by a person
-- ledger_transactions   a posting; its id is the id of what caused it: a refund's for `refund_granted`, an intent's
--                       for `capture`, `refund_paid` and `refund_returned`. So nothing can be posted twice
-- ledger_entries        debit positive, credit negative
--
-- What is posted (authorizing, declining and voiding move no money and post nothing):
--   capture           provider_clearing +amount    vendor_payable:{vendor} -amount
--   refund_granted    refunds +amount              customer:{order} -amount
--   refund_paid       customer:{order} +amount     provider_clearing -amount
--   refund_returned   customer:{order} +amount     refunds -amount       (the provider refused the refund)
--
-- Invariants, for `orderhub check` (per payment p, sums over the entries of its order):
--   L1  each transaction: sum(amount_minor) = 0 per currency, and at least two entries
--   L2  sum(vendor_payable:*)    = -p.captured_minor
--   L3  sum(refunds)             =  p.refunded_minor + p.refund_pending_minor
--   L4  sum(customer:{order})    = -p.refund_pending_minor
--   L5  sum(provider_clearing)   =  p.captured_minor - p.refunded_minor
--   L6  every transaction has entries, a payment, and the currency of its payment
--   P1  p.refunded_minor         =  sum(refunds where status = 'succeeded')
--   P2  p.refund_pending_minor   =  sum(refunds where status = 'pending')
--   P3  a payment that is PENDING has an open intent (pending or waiting); an open intent has a payment
--   P4  each refund that is pending has exactly one open intent, and each that is not has none
--   P5  at most one pending intent per payment (unique index), and a waiting one only behind a pending one
-- Neither intents nor ledger have foreign keys: each row would lock its payment once more. L6 and P3 find an orphan.
-- Once nothing is under way: captured - granted refunds (L2, L3) is what the order owes.

-- A standing is made empty here, before the provider has answered, and then grows to eight times that.
alter table saga_standings set (fillfactor = 10);

create table payments (
    id uuid primary key,
    order_id uuid not null unique,
    customer_id uuid not null,
    vendor_id uuid not null,
    status text not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    amount_minor bigint not null check (amount_minor > 0),
    authorized_minor bigint not null,
    captured_minor bigint not null,
    refunded_minor bigint not null,
    -- Granted and on its way to the provider: refundable = captured - refunded - pending.
    refund_pending_minor bigint not null,
    provider text not null,
    provider_ref text not null,
    reason_code text not null,
    version bigint not null check (version > 0),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint authorized_within_amount check (authorized_minor between 0 and amount_minor),
    constraint captured_within_authorized check (captured_minor between 0 and authorized_minor),
    constraint refunds_within_captured check (
        refunded_minor >= 0 and refund_pending_minor >= 0
        and refunded_minor + refund_pending_minor <= captured_minor
    ),
    constraint status_tells_the_money check (
        case status
            when 'PENDING' then authorized_minor = 0
            when 'DECLINED' then authorized_minor = 0
            when 'FAILED' then authorized_minor = 0
            when 'AUTHORIZED' then authorized_minor > 0 and captured_minor = 0
            when 'VOIDED' then authorized_minor > 0 and captured_minor = 0
            when 'CAPTURED' then captured_minor > 0 and refunded_minor = 0
            when 'PARTIALLY_REFUNDED' then refunded_minor > 0 and refunded_minor < captured_minor
            when 'REFUNDED' then captured_minor > 0 and refunded_minor = captured_minor
            else false
        end
    )
) with (fillfactor = 40);
create index payments_customer on payments (customer_id, id);
create index payments_vendor on payments (vendor_id, id);

create table payment_intents (
    id uuid primary key,
    seq bigint generated always as identity,
    payment_id uuid not null,
    order_id uuid not null,
    -- reverse: undo whatever there is; becomes a void or a refund when it is its turn, or ends as `done`
    kind text not null check (kind in ('authorize', 'capture', 'void', 'refund', 'reverse')),
    amount_minor bigint not null check (amount_minor >= 0),
    -- The idempotency key at the provider: the same however often the intent is tried.
    provider_key text not null unique,
    -- What authorizing needs and nobody needs afterwards: emptied with the answer.
    token text not null,
    -- The saga step to answer (SagaRef); empty where a person asked.
    saga bytea not null,
    refund_id uuid,
    -- Why it is undone or refunded, in the words of who asked.
    reason text not null,
    traceparent text not null,
    status text not null check (status in ('waiting', 'pending', 'done', 'failed')),
    -- Counts the leases given out; a result is written only under the lease it was asked with.
    attempts int not null,
    next_attempt_at timestamptz not null,
    lease_owner text not null,
    lease_until timestamptz not null,
    told_unknown boolean not null,
    -- The last thing that went wrong.
    problem text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    constraint reverse_is_not_asked check (kind <> 'reverse' or status in ('waiting', 'done')),
    constraint refund_has_its_row check ((kind = 'refund') = (refund_id is not null))
) with (fillfactor = 50);
create unique index payment_intents_one_open on payment_intents (payment_id) where status = 'pending';
create index payment_intents_waiting on payment_intents (payment_id, seq) where status = 'waiting';

create table refunds (
    id uuid primary key,
    payment_id uuid not null references payments,
    order_id uuid not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null,
    reason text not null,
    -- The principal who asked, or `saga`.
    requested_by text not null,
    status text not null check (status in ('pending', 'succeeded', 'failed')),
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create index refunds_payment on refunds (payment_id, id);

create table ledger_transactions (
    id uuid primary key,
    kind text not null check (kind in ('capture', 'refund_granted', 'refund_paid', 'refund_returned')),
    payment_id uuid not null,
    order_id uuid not null,
    created_at timestamptz not null
);

create table ledger_entries (
    id bigint generated always as identity primary key,
    transaction_id uuid not null,
    account text not null,
    amount_minor bigint not null check (amount_minor <> 0),
    currency text not null,
    order_id uuid not null
);
create index ledger_entries_account on ledger_entries (account, id);
create index ledger_entries_order on ledger_entries (order_id, id);

-- Set-wise: looks only at the rows of the statement. A transaction's entries therefore come in one statement, and
-- since rows never change, what balanced when it was written balances for ever.
create function ledger_entries_must_balance() returns trigger language plpgsql as $$
declare
    wrong uuid;
begin
    select transaction_id into wrong from added
    group by transaction_id having min(currency) <> max(currency) or sum(amount_minor) <> 0 limit 1;
    if found then
        raise exception 'ledger transaction % does not balance', wrong
            using errcode = 'check_violation', constraint = 'ledger_entries_balance';
    end if;
    select a.transaction_id into wrong from added a
    where not exists (select from ledger_transactions t where t.id = a.transaction_id) limit 1;
    if found then
        raise exception 'ledger transaction % does not exist', wrong
            using errcode = 'foreign_key_violation', constraint = 'ledger_entries_transaction';
    end if;
    return null;
end $$;
create trigger ledger_entries_balance after insert on ledger_entries
    referencing new table as added for each statement execute function ledger_entries_must_balance();

create function ledger_is_immutable() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is immutable: correct it by a new transaction'
        using errcode = 'restrict_violation', constraint = 'ledger_is_immutable';
end $$;
create trigger ledger_entries_immutable before update or delete or truncate on ledger_entries
    for each statement execute function ledger_is_immutable();
create trigger ledger_transactions_immutable before update or delete or truncate on ledger_transactions
    for each statement execute function ledger_is_immutable();
