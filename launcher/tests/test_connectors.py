"""Debezium's connectors: what they are told, and what is done when Kafka Connect is not ready for it.

Whether Debezium understands it is seen in tests/e2e with the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from orderhub import connectors, topology
from orderhub.exits import Refused
from orderhub.reach import Reach
from orderhub.settings import Settings
from pydantic import SecretStr

SERVER = "postgresql://debezium:se%40me@db.internal:5433"
Answers = dict[str, list[tuple[int, Any]]]


class Connect:
    """Kafka Connect's REST interface; what `refusals` holds for a method it answers first."""

    def __init__(self, refusals: Answers) -> None:
        self.refusals = refusals
        self.made: dict[str, dict[str, str]] = {}
        self.url = ""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if waiting := self.refusals.get(method):
            return waiting.pop(0)
        name = path.split("/")[2]
        if method == "PUT":
            self.made[name] = json.loads(body)
            return 201, {}
        return 200, {"tasks": [{"state": "RUNNING"}]}


@contextlib.asynccontextmanager
async def connect(**refusals: list[tuple[int, Any]]) -> AsyncIterator[Connect]:
    there = Connect(refusals)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(" ", 2)
        lengths = [
            line.split(":")[1] for line in head.lower().splitlines() if line.startswith("content-length")
        ]
        status, answer = there.answer(
            method, path, await reader.readexactly(int(lengths[0]) if lengths else 0)
        )
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        begin = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(begin.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        there.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield there


async def register(there: Connect) -> None:
    chosen = Settings(
        connect_url=there.url, database_url=SecretStr(f"{SERVER}/any"), relay="cdc", kafka_prefix="one."
    )
    await connectors.register(Reach(lambda name: f"{SERVER}/{name}", False, "kafka://b:9092"), chosen)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "PAUSE_SECONDS", 0.01)


async def test_a_connector_for_each_database_whose_service_sends() -> None:
    async with connect() as there:
        await register(there)
    assert set(there.made) == {f"one.{database}" for database in topology.WITH_OUTBOX}
    orders = there.made["one.orderhub_orders"]
    login = {name: orders[f"database.{name}"] for name in ("hostname", "port", "user", "password", "dbname")}
    assert login == {
        "hostname": "db.internal", "port": "5433", "user": "debezium", "password": "se@me",
        "dbname": "orderhub_orders",
    }  # fmt: skip


async def test_a_password_goes_through_no_proxy_of_the_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connect() as proxy, connect() as there:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        await register(there)
    assert there.made
    assert not proxy.made


async def test_workers_that_are_just_sharing_the_work_are_asked_again() -> None:
    busy = (409, {"message": "a rebalance is in process"})
    async with connect(PUT=[busy, busy], GET=[busy]) as there:
        await register(there)
    assert len(there.made) == len(topology.WITH_OUTBOX)


async def test_workers_that_share_the_work_for_ever_are_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connectors, "READY_SECONDS", 0.05)
    async with connect(PUT=[(409, {"message": "a rebalance is in process"})] * 1000) as there:
        with pytest.raises(Refused, match="a rebalance is in process"):
            await register(there)


@pytest.mark.parametrize("answer", [(200, b"<html>"), (500, {"message": "no"}), (400, {"message": "bad"})])
async def test_an_answer_that_is_not_kafka_connects_names_the_variable(answer: tuple[int, Any]) -> None:
    async with connect(PUT=[answer]) as there:
        with pytest.raises(Refused, match="ORDERHUB_CONNECT_URL: Kafka Connect"):
            await register(there)


def test_what_the_url_says_of_tls_is_told_to_the_connector() -> None:
    tls = "sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/our.pem&sslkey=/our.key"
    told = connectors.configuration("orderhub_orders", f"{SERVER}/orderhub_orders?{tls}", "")
    assert {name: value for name, value in told.items() if name.startswith("database.ssl")} == {
        "database.sslmode": "verify-full", "database.sslrootcert": "/ca.pem", "database.sslcert": "/our.pem",
        "database.sslkey": "/our.key",
    }  # fmt: skip
    plain = connectors.configuration("orderhub_orders", f"{SERVER}/orderhub_orders", "")
    assert plain["database.sslmode"] == "prefer"
