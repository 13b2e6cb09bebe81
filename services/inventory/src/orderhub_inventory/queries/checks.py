"""Reads for the checks of `orderhub check`: each returns the rows that break an invariant, none when all is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Check:
    """`sql` takes no argument and runs on inventory's database; every row that it returns is a finding."""

    name: str
    sql: str


STOCK_IS_ITS_MOVEMENTS = """
select s.product_id, s.on_hand, s.reserved, s.quarantined, m.on_hand as journal_on_hand,
       m.reserved as journal_reserved, m.quarantined as journal_quarantined
from stocks s full join (
    select product_id, sum(delta_on_hand)::bigint as on_hand, sum(delta_reserved)::bigint as reserved,
           sum(delta_quarantined)::bigint as quarantined
    from stock_movements group by product_id
) m using (product_id)
where s.product_id is null
   or (s.on_hand, s.reserved, s.quarantined)
      <> (coalesce(m.on_hand, 0), coalesce(m.reserved, 0), coalesce(m.quarantined, 0))
order by product_id
"""
STOCK_IS_ITS_RESERVATIONS = """
select s.product_id, s.reserved, s.quarantined, r.reserved as held, r.quarantined as in_quarantine
from stocks s full join (
    select product_id, coalesce(sum(quantity) filter (where status = 'RESERVED'), 0)::bigint as reserved,
           coalesce(sum(quantity) filter (where status = 'QUARANTINED'), 0)::bigint as quarantined
    from reservations where status in ('RESERVED', 'QUARANTINED') group by product_id
) r using (product_id)
where s.product_id is null
   or (s.reserved, s.quarantined) <> (coalesce(r.reserved, 0), coalesce(r.quarantined, 0))
order by product_id
"""
STOCK_IS_ITS_ANIMALS = """
select s.product_id, s.on_hand, s.reserved, s.quarantined, a.on_hand as animals_on_hand,
       a.reserved as animals_reserved, a.quarantined as animals_quarantined
from stocks s join products p on p.id = s.product_id and p.kind = 'individual'
left join (
    select product_id, count(*) filter (where status in ('free', 'reserved')) as on_hand,
           count(*) filter (where status = 'reserved') as reserved,
           count(*) filter (where status = 'quarantined') as quarantined
    from animals group by product_id
) a using (product_id)
where (s.on_hand, s.reserved, s.quarantined)
      <> (coalesce(a.on_hand, 0), coalesce(a.reserved, 0), coalesce(a.quarantined, 0))
order by s.product_id
"""
ANIMAL_HELD_TWICE = """
select animal_id, array_agg(order_id::text || '/' || line_no order by order_id, line_no) as held_by
from reservations
where animal_id is not null and status in ('RESERVED', 'COMMITTED', 'QUARANTINED')
group by animal_id having count(*) > 1 order by animal_id
"""
ANIMAL_AND_LINE_AGREE = """
select coalesce(a.id, r.animal_id) as animal_id, a.status as animal_status, a.order_id as animal_order_id,
       r.order_id, r.line_no, r.status
from (select * from animals where order_id is not null) a
full join (
    select * from reservations
    where animal_id is not null and status in ('RESERVED', 'COMMITTED', 'QUARANTINED')
) r on r.order_id = a.order_id and r.line_no = a.line_no and r.animal_id = a.id
where a.id is null or r.order_id is null
   or (a.status, r.status) not in (('reserved', 'RESERVED'), ('sold', 'COMMITTED'), ('quarantined', 'QUARANTINED'))
order by 1
"""
HALF_REFUSED_ORDERS = """
select order_id, array_agg(status order by line_no) as statuses from reservations
group by order_id having bool_or(status = 'FAILED') and not bool_and(status = 'FAILED') order by order_id
"""
INDIVIDUAL_LINE_WITHOUT_ANIMAL = """
select r.order_id, r.line_no, r.product_id, r.animal_id, p.kind
from reservations r left join products p on p.id = r.product_id
where r.status <> 'FAILED'
  and (p.id is null or (p.kind = 'individual') <> (r.animal_id is not null))
order by r.order_id, r.line_no
"""
PRODUCT_WITHOUT_STOCK = """
select p.id as product_id, p.sku from products p left join stocks s on s.product_id = p.id
where s.product_id is null order by p.id
"""

CHECKS: Final[tuple[Check, ...]] = (
    Check("stock differs from its journal", STOCK_IS_ITS_MOVEMENTS),
    Check("stock differs from its reservations", STOCK_IS_ITS_RESERVATIONS),
    Check("stock differs from its animals", STOCK_IS_ITS_ANIMALS),
    Check("an animal is held twice", ANIMAL_HELD_TWICE),
    Check("an animal and the order line that holds it differ", ANIMAL_AND_LINE_AGREE),
    Check("an order is half refused", HALF_REFUSED_ORDERS),
    Check("an order line holds no animal, or one of no product", INDIVIDUAL_LINE_WITHOUT_ANIMAL),
    Check("a product has no stock row", PRODUCT_WITHOUT_STOCK),
)


async def findings(connection: Any) -> list[tuple[str, dict[str, Any]]]:
    """Every row of every check, with the check's name. `connection` is asyncpg's, or anything with its fetch."""
    found = []
    for check in CHECKS:
        found += [(check.name, dict(row)) for row in await connection.fetch(check.sql)]
    return found
