-- A list of what few products are (a kind, what is archived) read all the others; one of every status, by price or
-- title, sorted all of them, as the indexes knew the active ones alone.
create index products_kind on products (kind, id);
create index products_status on products (status, id);
drop index products_price;
create index products_price on products (price_minor, id);
drop index products_title;
create index products_title on products (title, id);
