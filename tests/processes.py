"""How the product is set up in these tests: over how many processes, and on which servers instead of its own parts.

One process for `make test`, one per service and two of each service for `make test-full`, and each set of servers for
`make test-backends`; with Keycloak the people log in there.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

REPLICAS = "replicas"


@dataclass(frozen=True)
class Setup:
    """`servers` are names of `deploy/backends`; what is not named is embedded."""

    processes: str
    servers: tuple[str, ...] = ()


ONE = pytest.param(Setup("1"), id="one-process", marks=pytest.mark.xdist_group("e2e-one-process"))
TWICE = pytest.param(
    Setup(REPLICAS),
    id="two-replicas-of-each",
    marks=[pytest.mark.full, pytest.mark.xdist_group("e2e-two-replicas")],
)
MANY = pytest.param(
    Setup("per-service"),
    id="process-per-service",
    marks=[pytest.mark.full, pytest.mark.xdist_group("e2e-process-per-service")],
)


def on(*servers: str) -> object:
    """Over three processes. One group, as their databases have the same names on one server."""
    marks = [pytest.mark.backends, pytest.mark.xdist_group("e2e-on-servers")]
    return pytest.param(Setup("3", servers), id="+".join(servers), marks=marks)


KEYCLOAK = on("pgbouncer", "redis", "keycloak")
ON_SERVERS = (on("kafka", "postgres15", "redis-secure"), KEYCLOAK, on("kafka", "postgres15", "connect"))
"""Three that have every server in one of them: a suite takes minutes."""
