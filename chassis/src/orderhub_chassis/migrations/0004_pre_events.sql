-- The outbox's other form, for change data capture: a row per message, its attributes as columns that become headers.
-- Rows are read from the write-ahead log; they stay until the replication slot has confirmed them, so that what waits can
-- be seen and counted.
create table outbox_events (
    position bigint generated always as identity primary key,
    topic text not null,
    partition int not null,
    key text not null,
    payload bytea not null,
    ce_id text not null,
    ce_type text not null,
    ce_source text not null,
    ce_time text not null,
    ce_subject text,
    traceparent text,
    ce_actor text,
    ce_vendorid text,
    ce_sagaorder text,
    ce_sagarun text,
    ce_sagastep text,
    ce_sagaepoch text,
    ce_sagacompensation text,
    lsn pg_lsn not null default pg_current_wal_insert_lsn(),
    created_at timestamptz not null
);
alter table outbox_events alter column payload set storage external;
