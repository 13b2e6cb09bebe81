-- What payments remembers of an order's sagas (the highest epoch, the answers given) stands in the order's payment, whose
-- row is read, locked and written with it anyway. saga_standings is left for the orders that have no payment, and
-- for the moment in which one is made: its key keeps two transactions apart that meet an unknown order at once.
alter table payments
    add column saga_epoch bigint not null default 0,
    add column saga_answers bytea not null default '';
alter table payments alter column saga_epoch drop default, alter column saga_answers drop default;

update payments p set saga_epoch = s.epoch, saga_answers = s.answers from saga_standings s where s.order_id = p.order_id;
delete from saga_standings s using payments p where p.order_id = s.order_id;

-- A payment grows with each answer to more than twice its first size, and finds the room for it in its page.
alter table payments set (fillfactor = 20);
alter table saga_standings reset (fillfactor);
