"""One running product for all tests of this folder: in one process, and (`make test-backends`) on servers instead of
its own parts, as a process per service and as two replicas of each.

Every test uses products, customers and orders of its own, so none depends on another; after each module the whole
data has to fit together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import backends
import httpx
import pytest
from fleet import Fleet, InTurn
from installation import Installation, is_alive, is_listening
from keycloak import KeycloakPeople, fresh_realm
from people import OwnPeople
from processes import ON_SERVERS, ONE, REPLICAS, Setup
from shop import Shop


@pytest.fixture(scope="session", params=[ONE, *ON_SERVERS])
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, backend: backends.Backend
) -> Iterator[Installation]:
    setup: Setup = request.param
    folder = tmp_path_factory.mktemp("e2e") / "home"
    if "connect" in setup.servers:
        backends.forget_connectors(backend)
    if {"postgres15", "pgbouncer"} & set(setup.servers):
        backends.empty(backend)
    told, people = backends.variables(backend, setup.servers), OwnPeople()
    with ExitStack() as stack:
        if "keycloak" in setup.servers:
            realm = stack.enter_context(fresh_realm(backend("keycloak")))
            told["ORDERHUB_OIDC_ISSUERS"], people = realm.issuers, KeycloakPeople(realm)
        made = Fleet if setup.processes == REPLICAS else Installation
        yield from running(made(folder, setup.processes, told, people=people))


def running(installation: Installation) -> Iterator[Installation]:
    try:
        installation.start()
        yield installation
    finally:
        if installation.is_started:
            family, taken = installation.family(), installation.ports()
            assert installation.stop() == 0, installation.said
            assert not [pid for pid in family if is_alive(pid)]
            assert not [port for port in taken if is_listening(port)]


@pytest.fixture(scope="module")
def fits(hub: Installation) -> Iterator[None]:
    """After the module: `orderhub check`."""
    yield
    hub.check()


@pytest.fixture
async def shop(hub: Installation) -> AsyncIterator[Shop]:
    """The product as its users see it."""
    limits = httpx.Limits(max_connections=100)
    url = f"{hub.url}/api/v1/"
    transport = InTurn(hub.urls, httpx.AsyncHTTPTransport(limits=limits, trust_env=False))
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, transport=transport) as http:
        yield Shop(hub, http)
