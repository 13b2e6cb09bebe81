-- The embedded bus: a partitioned, durable log of record batches, and who reads which partition.

create table topics (
    id smallint generated always as identity primary key,
    name text not null unique,
    partitions int not null check (partitions > 0),
    retention interval not null,
    next_position bigint not null default 0
) with (fillfactor = 20);

-- One row per record batch, whatever partitions it touches: rows are what writing costs. A position counts within the
-- topic; who reads some of its partitions passes over the others' parts.
create table log (
    topic_id smallint not null,
    position bigint not null,
    batch_id uuid not null,
    count int not null,
    -- Partition, number of its records, and so on in pairs: for whoever counts without looking inside.
    parts int[] not null,
    records bytea not null,
    published_at timestamptz not null default clock_timestamp(),
    primary key (topic_id, position)
) with (toast_tuple_target = 8160);
-- Compressing a batch costs more time than writing it whole.
alter table log alter column records set storage external;
create index log_published_at on log using brin (published_at);

create table groups (
    name text primary key
);

create table members (
    group_name text not null references groups on delete cascade,
    member text not null,
    -- Only these: during a rolling deploy the members of a group may read different ones.
    topics smallint[] not null,
    expires_at timestamptz not null,
    primary key (group_name, member)
);

create table leases (
    group_name text not null references groups on delete cascade,
    topic_id smallint not null references topics,
    partition smallint not null,
    member text,
    generation bigint not null default 0,
    expires_at timestamptz not null default '-infinity',
    -- The first position that is not committed.
    committed bigint not null default 0,
    primary key (group_name, topic_id, partition)
) with (fillfactor = 20);

-- One call, so that no lock waits for a client. The topics' rows are locked in key order and stay locked until the
-- positions given out are committed: a reader never passes a position that appears later. `p_parts` are the texts of
-- integer arrays, since an array of arrays would have to be rectangular.
create function publish(
    p_topics smallint[], p_batches uuid[], p_counts int[], p_parts text[], p_records bytea[]
) returns void language plpgsql as $$
begin
    perform 1 from topics where id = any(p_topics) order by id for no key update;

    with incoming as (
        select t, b, c, p, r, row_number() over (partition by t order by o) - 1 as nth
        from unnest(p_topics, p_batches, p_counts, p_parts, p_records) with ordinality as u (t, b, c, p, r, o)
    ), counted as (
        select t, count(*) as rows from incoming group by t
    ), moved as (
        update topics set next_position = next_position + c.rows from counted c where id = c.t
        returning id, next_position - c.rows as first
    )
    insert into log (topic_id, position, batch_id, count, parts, records)
    select i.t, m.first + i.nth, i.b, i.c, i.p::int[], i.r
    from incoming i join moved m on m.id = i.t
    order by i.t, i.nth;
end $$;

-- Renews a member and its leases, forgets the members whose time is over, gives free partitions to those who
-- should have them, and returns what the caller holds. `wanted` is false where it should let go.
create function heartbeat(p_group text, p_member text, p_topics smallint[], p_ttl interval)
returns table (topic_id smallint, partition smallint, generation bigint, committed bigint, wanted boolean)
language plpgsql as $$
#variable_conflict use_column
declare
    v_now timestamptz;
begin
    insert into groups (name) values (p_group) on conflict do nothing;
    perform 1 from groups where name = p_group for update;
    v_now := clock_timestamp();
    insert into members (group_name, member, topics, expires_at)
    values (p_group, p_member, p_topics, v_now + p_ttl)
    on conflict (group_name, member) do update set topics = excluded.topics, expires_at = excluded.expires_at;
    delete from members where group_name = p_group and expires_at < v_now;
    -- A new group begins with the oldest that is still there.
    insert into leases (group_name, topic_id, partition, committed)
    select p_group, t.id, n, coalesce((select min(l.position) from log l where l.topic_id = t.id), t.next_position)
    from topics t cross join generate_series(0, t.partitions - 1) n
    where t.id = any(p_topics) and not exists (
        select from leases s where s.group_name = p_group and s.topic_id = t.id and s.partition = n
    ) on conflict do nothing;
    update leases set member = null
    where group_name = p_group and member is not null and expires_at < v_now;
    update leases set expires_at = v_now + p_ttl where group_name = p_group and member = p_member;
    update leases l set member = p_member, generation = l.generation + 1, expires_at = v_now + p_ttl
    from target_members(p_group) t
    where l.group_name = p_group and l.member is null
      and t.topic_id = l.topic_id and t.partition = l.partition and t.member = p_member;
    return query
        select l.topic_id, l.partition, l.generation, l.committed, t.member is not distinct from p_member
        from leases l left join target_members(p_group) t using (topic_id, partition)
        where l.group_name = p_group and l.member = p_member;
end $$;

-- Each partition's member by rank, among those that read its topic.
create function target_members(p_group text)
returns table (topic_id smallint, partition smallint, member text)
language sql stable as $$
    with numbered as (
        select l.topic_id, l.partition, row_number() over (order by l.partition, l.topic_id) - 1 as place
        from leases l where l.group_name = p_group
    )
    select n.topic_id, n.partition, (array_agg(m.member order by m.member))[1 + n.place % count(*)]
    from numbered n join members m on m.group_name = p_group and n.topic_id = any(m.topics)
    group by n.topic_id, n.partition, n.place
$$;
