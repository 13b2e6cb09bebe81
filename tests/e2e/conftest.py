"""One running product for all tests of this folder, in one process and (`make test-full`) in a process per service;
with real servers also one whose people have their tokens from Keycloak.

Every test uses products, customers and orders of its own, so none depends on another; after each module the whole
data has to fit together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import httpx
import pytest
from installation import Installation, is_alive, is_listening
from keycloak import KeycloakPeople, fresh_realm
from processes import FOREIGN, KEYCLOAK, MANY, ONE
from shop import Shop


@pytest.fixture(scope="session", params=[ONE, MANY, KEYCLOAK])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("e2e") / "home"
    with ExitStack() as stack:
        if request.param == FOREIGN:
            backend = request.getfixturevalue("backend")
            realm = stack.enter_context(fresh_realm(backend("keycloak")))
            told = {"ORDERHUB_OIDC_ISSUERS": realm.issuers}
            installation = Installation(folder, extra=told, people=KeycloakPeople(realm))
        else:
            installation = Installation(folder, processes=request.param)
        yield from running(installation)


def running(installation: Installation) -> Iterator[Installation]:
    try:
        installation.start()
        yield installation
    finally:
        if installation.process is not None:
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
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits) as http:
        yield Shop(hub, http)
