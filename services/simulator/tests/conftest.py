"""A running simulator on a fresh database, and a client that has its key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar

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


class Client(httpx.AsyncClient):
    """Has the key, and knows the shapes of the operations."""

    BODY: ClassVar = {"amount_minor": 1000, "currency": "EUR", "token": "tok_ok", "reference": "order-1"}

    async def authorize(self, key: str = "a1", **over: Any) -> httpx.Response:
        return await self.post(
            "/v1/authorizations", json={**self.BODY, **over}, headers={"idempotency-key": key}
        )

    async def act(self, id: str, action: str, key: str, **body: Any) -> httpx.Response:
        path = f"/v1/authorizations/{id}/{action}"
        return await self.post(path, json=body, headers={"idempotency-key": key})

    def authorizing(self, key: str, **over: Any) -> dict[str, Any]:
        """As an operation of a batch."""
        return {"op": "authorize", "key": key, **self.BODY, **over}

    async def batch(self, *operations: Any) -> list[dict[str, Any]]:
        response = await self.post("/v1/batch", json={"operations": operations})
        assert response.status_code == 200, response.text
        return response.json()["results"]

    @staticmethod
    def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
        error = response.json()["error"]
        return response.status_code, error["code"], error.get("field")


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with build(settings) as service, a_client(service.url) as client:
        yield client


@pytest.fixture
def client_of() -> Callable[[str], Client]:
    """For tests that start the simulator themselves."""
    return a_client


def a_client(url: str) -> Client:
    return Client(base_url=url, headers={"authorization": f"Bearer {API_KEY}"}, timeout=30, trust_env=False)
