"""The parts of an installation: services, their databases and secrets, and which processes carry them.

One table for everybody who needs it: `up`, `run`, `migrate`, `check`, `config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Processes = Literal["1", "2", "3", "per-service"]

MESSAGING: Final = "orderhub_chassis"
BUS_PACKAGE: Final = "orderhub_chassis.bus"
BUS_DATABASE: Final = "orderhub_bus"
SIMULATOR: Final = "simulator"


@dataclass(frozen=True)
class Service:
    """A service in the launcher's eyes. Its package is `orderhub_<name>`, its database has the same name."""

    name: str
    has_database: bool = True

    @property
    def package(self) -> str:
        return f"orderhub_{self.name}"

    @property
    def database(self) -> str:
        return f"orderhub_{self.name}"


SERVICES: Final = (
    Service("auth"),
    Service("inventory"),
    Service("payments"),
    Service("delivery"),
    Service("orders"),
    Service("gateway", has_database=False),
)
"""In the order in which one process opens them: the gateway last, so that at a stop it closes its doors first."""

BY_NAME: Final = {service.name: service for service in SERVICES}
NAMES: Final = tuple(BY_NAME)

WITH_OUTBOX: Final = tuple(service.database for service in SERVICES if service.has_database)
"""Databases with outbox and inbox."""
MIGRATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    **{service.database: (MESSAGING, service.package) for service in SERVICES if service.has_database},
    "orderhub_simulator": ("orderhub_simulator",),
    BUS_DATABASE: (BUS_PACKAGE,),
}
"""Database → packages whose migrations it carries."""


def databases(kafka: str = "") -> dict[str, tuple[str, ...]]:
    """The same of an installation whose bus is on those brokers, where they are given: then there is no database for it."""
    return {name: packages for name, packages in MIGRATIONS.items() if not kafka or name != BUS_DATABASE}


FRONT: Final = ("auth", "gateway")
PARTICIPANTS: Final = ("inventory", "payments", "delivery")
GROUPS: Final[Mapping[Processes, Mapping[str, tuple[str, ...]]]] = {
    "1": {"services": NAMES},
    "2": {"core": (*PARTICIPANTS, "orders"), "front": FRONT},
    "3": {"participants": PARTICIPANTS, "orders": ("orders",), "front": FRONT},
    "per-service": {name: (name,) for name in NAMES},
}
"""Process name → services in it. What the user waits for (gateway, auth) is apart from what works behind; why the
default parts that once more, decision 0038 says."""
