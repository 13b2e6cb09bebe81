"""Which bus a database belongs to. A service that went on with another one would leave its messages behind on the first."""

from __future__ import annotations

from typing import Any

from orderhub_chassis.bus.base import Bus, OtherBus
from orderhub_chassis.db import Database

CLAIM = """
insert into bus_in_use values (1, $1)
on conflict (id) do update set identity = bus_in_use.identity returning identity
"""


EMBEDDED = "select bus from identity"


def embedded(bus: object) -> str:
    """The name of an embedded bus, from what `EMBEDDED` finds in its database."""
    return f"the embedded bus {bus}"


def name(bus: Bus, relay: str) -> str:
    """Of the bus and of who publishes to it: the outbox has a form for each."""
    return f"{bus.identity} by CDC" if relay == "cdc" else bus.identity


async def require(db: Database, name: str) -> None:
    """The first start notes its bus. Raises OtherBus."""
    noted = await db.fetchval(CLAIM, name)
    if noted != name:
        raise OtherBus(
            f"{db.service}: its messages are on {noted}, and ORDERHUB_BUS names {name}: run `orderhub migrate` with"
            " the new ORDERHUB_BUS, which makes sure that nothing is left on the other"
        )


async def noted(connection: Any) -> str | None:
    """Of a database that has all migrations; None before the first start."""
    found: str | None = await connection.fetchval("select identity from bus_in_use")
    return found


async def note(connection: Any, identity: str) -> None:
    """To be called when nothing is left on the other bus."""
    await connection.execute(
        "insert into bus_in_use values (1, $1) on conflict (id) do update set identity = excluded.identity",
        identity,
    )
