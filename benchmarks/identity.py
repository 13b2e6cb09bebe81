"""What who calls costs: a token at the gateway over none, and logins beside other requests.

Each client has an address of its own on the loopback interface, so that the shipped rate limits, which stay on, see many
clients as they would in the world.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any, Final

CLIENTS: Final = 100
AT_ONCE: Final = 20
"""Logins that begin together."""
IDLE_SECONDS: Final = 5.0
BETWEEN_SECONDS: Final = 0.005
"""Between two requests whose latency is looked at: they say what a client sees, and are no load."""


class Unexpected(Exception):
    """An answer that makes the figure worthless."""


class Client:
    """One kept connection from an address of its own, one request at a time."""

    def __init__(self, number: int, host: str, port: int) -> None:
        self._address, self._host, self._port = f"127.0.1.{number + 1}", host, port

    async def __aenter__(self) -> Client:
        opened = asyncio.open_connection(self._host, self._port, local_addr=(self._address, 0))
        self._reader, self._writer = await opened
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """The status and the body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        return int(head[9:12]), await self._reader.readexactly(length)

    async def timed(self, request: bytes, wanted: int = 200) -> float:
        """Seconds."""
        began = time.perf_counter()
        status, body = await self.send(request)
        seconds = time.perf_counter() - began
        if status != wanted:
            raise Unexpected(f"{status} instead of {wanted}: {body[:200].decode(errors='replace')}")
        return seconds


def get(path: str, token: str = "") -> bytes:
    authorization = f"authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nhost: orderhub\r\n{authorization}\r\n".encode()


def post(path: str, body: dict[str, Any]) -> bytes:
    text = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nhost: orderhub\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(text)}\r\n\r\n{text}".encode()


async def token_us(host: str, port: int, tokens: list[str], product: str, pairs: int) -> dict[str, float]:
    """Microseconds by which a request with a known token takes longer, the medians of requests one after another.

    Anonymous ones and others in turn over the same connections, so that a machine that grows slower does so for both.
    """
    path = f"/api/v1/products/{product}"
    clients = [Client(number, host, port) for number in range(CLIENTS)]
    seconds: tuple[list[float], list[float]] = ([], [])
    for client in clients:
        await client.__aenter__()
    try:
        requests = [(get(path), get(path, tokens[number % len(tokens)])) for number in range(CLIENTS)]
        for turn in range(pairs):
            number = turn % CLIENTS
            for kind in (0, 1) if turn // CLIENTS % 2 else (1, 0):
                took = await clients[number].timed(requests[number][kind])
                if turn >= 2 * CLIENTS:  # each token was seen before
                    seconds[kind].append(took)
    finally:
        for client in clients:
            await client.__aexit__()
    anonymous, known = (1e6 * statistics.median(one) for one in seconds)
    return {"anonymous_us": anonymous, "token_us": known - anonymous}


async def logins(host: str, port: int, product: str, rounds: int) -> dict[str, float]:
    """The p99 of other requests while `AT_ONCE` logins begin together again and again, over theirs when nobody logs in."""
    users = [
        {"email": f"{token_hex(8)}@example.org", "password": "a password of the bench"}
        for _ in range(AT_ONCE)
    ]
    for number, user in enumerate(users):
        await _once(number, host, port, post("/api/v1/auth/register", user), 202)
    request = get(f"/api/v1/products/{product}")

    async def storm() -> None:
        for _ in range(rounds):
            sent = (post("/api/v1/auth/login", user) for user in users)
            await asyncio.gather(*(_once(n, host, port, one, 200) for n, one in enumerate(sent)))

    idle = await _probe(host, port, request, lambda: asyncio.sleep(IDLE_SECONDS))
    began = time.perf_counter()
    busy = await _probe(host, port, request, storm)
    length = time.perf_counter() - began
    return {
        "login_idle_p99_ms": 1000 * _p99(idle), "login_busy_p99_ms": 1000 * _p99(busy),
        "login_ratio": _p99(busy) / _p99(idle), "login_ms": 1000 * length / rounds / AT_ONCE,
    }  # fmt: skip


async def _once(number: int, host: str, port: int, request: bytes, wanted: int) -> None:
    async with Client(number, host, port) as client:
        await client.timed(request, wanted)


async def _probe(host: str, port: int, request: bytes, work: Callable[[], Awaitable[None]]) -> list[float]:
    """Latencies of a request that is sent again and again while `work` is under way, from many addresses."""
    clients = [Client(CLIENTS + number, host, port) for number in range(CLIENTS)]
    for client in clients:
        await client.__aenter__()
    try:
        task, seconds, turn = asyncio.ensure_future(work()), [], 0
        while not task.done():
            seconds.append(await clients[turn % CLIENTS].timed(request))
            turn += 1
            await asyncio.sleep(BETWEEN_SECONDS)
        await task
        return seconds
    finally:
        for client in clients:
            await client.__aexit__()


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]
