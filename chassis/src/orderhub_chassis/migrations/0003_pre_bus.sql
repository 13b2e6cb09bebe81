-- The bus that this database's outbox empties into and its inbox fills from, so that nobody goes on with another one while
-- messages still lie on it. No row before the first start.
create table bus_in_use (
    id int primary key check (id = 1),
    identity text not null
);
