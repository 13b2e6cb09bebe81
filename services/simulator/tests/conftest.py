"""A running simulator on a fresh database, and a client that has its key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import httpx
import pytest
from orderhub_simulator.app import build
from orderhub_simulator.settings import Settings

API_KEY = "a-key-for-tests-only"


@pytest.fixture
async def database_url(make_database: Callable[..., Awaitable[str]]) -> str:
    return await make_database("orderhub_simulator")


@pytest.fixture
async def sql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, api_key=API_KEY, timeout_seconds=0)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with build(settings) as service, a_client(service.url) as client:
        yield client


@pytest.fixture
def client_of() -> Callable[[str], httpx.AsyncClient]:
    """For tests that start the simulator themselves."""
    return a_client


def a_client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url, headers={"authorization": f"Bearer {API_KEY}"}, timeout=30, trust_env=False
    )
