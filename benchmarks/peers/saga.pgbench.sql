-- One order at a time through seven transactions, as a saga over an outbox is usually written: each hop takes its
-- message into the inbox, does its work and leaves the next message in the outbox. There is no bus, no relay, no
-- HTTP and no other language than C: nothing that handles one order at a time can be faster on this machine.
\set sku random(1, 1000)
begin;
insert into orders values (gen_random_uuid(), 'PENDING', :sku, 1, 100) returning id as order_id \gset
insert into saga_runs values (:order_id, 0, 'RUNNING', now());
insert into outbox (topic, key, payload) values ('inventory.commands', :order_id, '\x00');
commit;
begin;
insert into inbox values ('inventory', :order_id);
update stock set available = available - 1, reserved = reserved + 1 where sku = :sku and available >= 1;
insert into outbox (topic, key, payload) values ('orders.replies', :order_id, '\x00');
commit;
begin;
insert into inbox values ('orders.reserved', :order_id);
update saga_runs set step = 1 where order_id = :order_id;
insert into outbox (topic, key, payload) values ('payments.commands', :order_id, '\x00');
commit;
begin;
insert into inbox values ('payments', :order_id);
insert into payments values (:order_id, 'CAPTURED', 100);
insert into ledger_entries (order_id, account, amount_minor)
    values (:order_id, 'customer', -100), (:order_id, 'vendor', 100);
insert into outbox (topic, key, payload) values ('orders.replies', :order_id, '\x00');
commit;
begin;
insert into inbox values ('orders.paid', :order_id);
update saga_runs set step = 2 where order_id = :order_id;
insert into outbox (topic, key, payload) values ('delivery.commands', :order_id, '\x00');
commit;
begin;
insert into inbox values ('delivery', :order_id);
insert into deliveries values (:order_id, :order_id, 'CREATED');
insert into outbox (topic, key, payload) values ('orders.replies', :order_id, '\x00');
commit;
begin;
insert into inbox values ('orders.booked', :order_id);
update saga_runs set step = 3, state = 'SUCCEEDED' where order_id = :order_id;
update orders set status = 'CONFIRMED' where id = :order_id;
insert into outbox (topic, key, payload) values ('orders.events', :order_id, '\x00');
commit;
