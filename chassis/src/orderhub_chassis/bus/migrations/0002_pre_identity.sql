-- Which bus this is, wherever its database is moved to.
create table identity (
    id int primary key check (id = 1),
    bus uuid not null
);
insert into identity values (1, gen_random_uuid());
