-- What a list of products may ask for, as a value of its own: an index on the two numbers that it comes from would grow
-- with every reservation. This one is touched only when a product sells out or comes back.
alter table stocks add column in_stock boolean not null generated always as (on_hand > reserved) stored;
create index stocks_in_stock on stocks (in_stock, product_id);
