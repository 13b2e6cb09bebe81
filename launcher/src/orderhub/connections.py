"""How many connections to PostgreSQL an installation may have: what `max_connections` has to allow.

Counted from the settings' defaults, for so many replicas of every service; `docs/operations.md` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from orderhub_inventory.app import SEARCHES

from orderhub import topology
from orderhub.settings import settings_of

MAX_CONNECTIONS: Final = 100
"""PostgreSQL's own default."""
RESERVED: Final = 3
"""`superuser_reserved_connections`, PostgreSQL's own default: these are not for us."""
AT_ONCE: Final = len(topology.MIGRATIONS)
"""`orderhub migrate` and `orderhub check` open one to each database; nobody runs both at once."""
EXPORTER: Final = 1
BESIDE: Final[Mapping[str, int]] = {"inventory": SEARCHES}
"""What a service opens beside its pool and the bus's."""


@dataclass(frozen=True)
class Row:
    """`each` is one replica's most."""

    who: str
    each: int
    replicas: int

    @property
    def total(self) -> int:
        return self.each * self.replicas


def default(service: str, name: str) -> int:
    """The size of a pool, unless somebody says otherwise."""
    return int(settings_of(service).model_fields[name].default)


def plan(replicas: int, *, embedded_bus: bool, size: Callable[[str, str], int] = default) -> list[Row]:
    """Per service, and what else connects; `size` gives a service's setting. The simulator is a party of its own, with a
    server of its own.
    """
    services = [service.name for service in topology.SERVICES if service.has_database]
    rows = [Row(name, own(name, size) + bus(name, size) * embedded_bus, replicas) for name in services]
    return [
        *rows,
        Row("`orderhub migrate` or `orderhub check`", AT_ONCE, 1),
        Row("postgres-exporter", EXPORTER, 1),
    ]


def own(service: str, size: Callable[[str, str], int] = default) -> int:
    """To the service's own database."""
    return size(service, "database_pool_size") + BESIDE.get(service, 0)


def bus(service: str, size: Callable[[str, str], int] = default) -> int:
    return size(service, "bus_pool_size")


def total(rows: list[Row]) -> int:
    return sum(row.total for row in rows)


def table() -> str:
    """As it stands in the documents."""
    with_bus, without = plan(2, embedded_bus=True), plan(2, embedded_bus=False)
    lines = [
        "| who | replicas | with Kafka | with the bus in PostgreSQL |",
        "|---|---|---|---|",
        *(
            f"| {a.who} | {a.replicas} | {b.total} | {a.total} |"
            for a, b in zip(with_bus, without, strict=True)
        ),
        f"| **together** | | **{total(without)}** | **{total(with_bus)}** |",
    ]
    return "\n".join(lines)
