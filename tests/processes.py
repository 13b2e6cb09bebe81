"""How the product is set up in these tests: over how many processes, and on which servers instead of its own parts.

One process for `make test`, and each set of servers for `make test-backends`: with the first of them there are two
replicas of every service, with the second a process per service, and the people log in at Keycloak.
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
SERVERS_MARKS = [pytest.mark.backends, pytest.mark.xdist_group("e2e-on-servers")]
"""One group, as the databases of all have the same names on one server."""


def on(*servers: str, processes: str = "3") -> object:
    return pytest.param(Setup(processes, servers), id="+".join(servers), marks=SERVERS_MARKS)


TWICE = on("kafka", "postgres15", "redis-secure", processes=REPLICAS)
KEYCLOAK = on("pgbouncer", "redis", "keycloak", processes="per-service")
ON_SERVERS = (TWICE, KEYCLOAK, on("kafka", "postgres15", "connect"))
"""Three that have every server in one of them: a suite takes minutes."""
