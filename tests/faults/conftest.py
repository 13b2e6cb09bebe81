"""Two replicas of everything on PostgreSQL 15, three brokers and Redis, and every link leads through toxiproxy.

One product for all tests of this folder; after each of them all of its data has to fit together.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backends import with_parameters
from linked import Linked, through
from orderhub_backends.control import Backends
from toxics import Toxiproxy

SERVERS = ("kafka", "postgres15", "redis", "toxiproxy")


@pytest.fixture(scope="session")
def toxiproxy(breakable: Backends) -> Iterator[Toxiproxy]:
    list(breakable.up(SERVERS))
    found = Toxiproxy(breakable.address("toxiproxy")["url"])
    yield found
    found.close()


@pytest.fixture(scope="session")
def fleet(
    breakable: Backends, toxiproxy: Toxiproxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Linked]:
    postgres, kafka = breakable.address("postgres15"), breakable.address("kafka")
    dsn = with_parameters(
        through(toxiproxy, "postgres", postgres["url"]), sslmode="verify-full", sslrootcert=postgres["ca"]
    )
    ways = zip(kafka["proxied"].split(","), kafka["behind"].split(","), strict=True)
    brokers = [toxiproxy.way(f"kafka-{i}", behind, listen) for i, (listen, behind) in enumerate(ways, 1)]
    told = {
        "ORDERHUB_DATABASE_URL": dsn,
        "ORDERHUB_REDIS_URL": through(toxiproxy, "redis", breakable.address("redis")["url"]),
        "ORDERHUB_BUS": f"kafka://{','.join(brokers)}",
        "ORDERHUB_DRAIN_DELAY": "0.5",
    }
    fleet = Linked(tmp_path_factory.mktemp("faults") / "home", extra=told, toxiproxy=toxiproxy)
    try:
        fleet.start()
        fleet.json("seed", "--bench")
        yield fleet
    finally:
        assert fleet.stop() == 0
