-- How often a dead letter was replayed, and how fast replays of all replicas may follow each other.

-- Of the dead letter that its key waits for; counted before the replay runs, dry ones not.
alter table dead_letters add column replays int not null default 0;

-- One bucket per service: `full_at` is when it is full again. One row, by the database's clock.
create table replay_pace (
    id int primary key check (id = 1),
    full_at timestamptz not null
);
insert into replay_pace values (1, now());
