-- Every step of a saga moves its run and nearly always its order. The live run therefore stands in the order's own row,
-- and a step writes one row instead of two; a run that is over is kept in ended_runs and never written again.
--
--   * an order has one live run at most, and all of its run_ columns are null where it has none;
--   * the epoch of a live run is its order's;
--   * every run that was ever started is in saga_runs once: live_runs and ended_runs together.

alter table orders
    add column run_id uuid,
    add column run_definition text,
    add column run_definition_version int,
    add column run_state text check (run_state in ('RUNNING', 'HELD', 'PIVOT_UNKNOWN', 'COMPENSATING',
        'COMPENSATION_FAILED', 'STUCK')),
    add column run_step int,
    add column run_attempts int,
    add column run_deadline_at timestamptz,
    add column run_expires_at timestamptz,
    add column run_stop_requested boolean,
    add column run_reason bytea,
    add column run_created_at timestamptz,
    -- When the command of the step under way was sent.
    add column run_moved_at timestamptz;

update orders o set run_id = r.id, run_definition = r.definition, run_definition_version = r.definition_version,
    run_state = r.state, run_step = r.step, run_attempts = r.attempts, run_deadline_at = r.deadline_at,
    run_expires_at = r.expires_at, run_stop_requested = r.stop_requested, run_reason = r.reason,
    run_created_at = r.created_at, run_moved_at = r.updated_at
from saga_runs r where r.order_id = o.id and r.state not in ('SUCCEEDED', 'FAILED');
delete from saga_runs where state not in ('SUCCEEDED', 'FAILED');

-- The sweeper and the lists of what is under way read the live ones only. The deadline is in no index, so that a step
-- that neither starts nor ends a run is a HOT update.
create unique index orders_live_runs on orders (run_id) where run_id is not null;

drop index saga_runs_one_live;
alter table saga_runs rename to ended_runs;
alter index saga_runs_pkey rename to ended_runs_pkey;
alter index saga_runs_order rename to ended_runs_order;
alter table ended_runs
    drop column deadline_at,
    alter column stop_requested drop default,
    alter column reason drop default,
    drop constraint saga_runs_state_check,
    add constraint ended_runs_state_check check (state in ('SUCCEEDED', 'FAILED'));
alter table ended_runs reset (fillfactor);

create view live_runs as
select run_id as id, id as order_id, run_definition as definition, run_definition_version as definition_version,
    run_state as state, run_step as step, epoch, run_attempts as attempts, run_deadline_at as deadline_at,
    run_expires_at as expires_at, run_stop_requested as stop_requested, run_reason as reason,
    run_created_at as created_at, run_moved_at as updated_at
from orders where run_id is not null;

create view saga_runs as
select * from live_runs
union all
select id, order_id, definition, definition_version, state, step, epoch, attempts, null::timestamptz, expires_at,
    stop_requested, reason, created_at, updated_at
from ended_runs;
