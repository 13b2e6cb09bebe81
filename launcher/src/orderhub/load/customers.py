"""The customers of a run: registered through the gateway like everybody, kept for the next run while their tokens last."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable

import msgspec

from orderhub import home
from orderhub.exits import Refused
from orderhub.gateway import expires_at
from orderhub.load import wire

SPARE_SECONDS = 60.0
PATIENCE_SECONDS = 120.0
AT_ONCE = 4


async def pool(place: home.Home, url: str, count: int, *, run_seconds: float) -> list[str]:
    """Access tokens of `count` customers that last for the run."""
    until = time.time() + run_seconds + SPARE_SECONDS
    kept = [token for token in _kept(place, url) if expires_at(token) > until][:count]
    gate = asyncio.Semaphore(AT_ONCE)
    fresh = await asyncio.gather(*(_limited(gate, lambda: _register(url)) for _ in range(count - len(kept))))
    tokens = [*kept, *fresh]
    home.write_private(place.load_tokens, {"gateway": url, "tokens": tokens})
    return tokens


def _kept(place: home.Home, url: str) -> list[str]:
    """Those of the last run. Tokens name their issuer, so another port makes them worthless."""
    try:
        kept = json.loads(place.load_tokens.read_text())
    except (OSError, ValueError):
        return []
    return list(kept["tokens"]) if kept.get("gateway") == url else []


async def _limited(gate: asyncio.Semaphore, work: Callable[[], Awaitable[str]]) -> str:
    async with gate:
        return await work()


async def _register(url: str) -> str:
    email = f"load-{secrets.token_hex(8)}@load.orderhub.example"
    login = {"email": email, "password": secrets.token_urlsafe(15)}
    await _asked(url, "auth/register", {**login, "name": "Load Customer"})
    return await token_for(url, login["email"], login["password"])


async def token_for(url: str, email: str, password: str) -> str:
    """Log in."""
    reply = await _asked(url, "auth/login", {"email": email, "password": password})
    return str(reply.json()["access_token"])


async def _asked(url: str, path: str, body: dict[str, str]) -> wire.Reply:
    """As slowly as the gateway's limits ask for."""
    connection = wire.Connection(url)
    data = wire.request("POST", path, url.removeprefix("http://"), body=msgspec.json.encode(body))
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while True:
            reply = await connection.send(data)
            if reply.status in (200, 202):
                return reply
            if reply.status not in (429, 503) or time.monotonic() > until:
                raise Refused(f"{path}: the gateway answered {reply.status} {reply.code}")
            await asyncio.sleep(max(reply.retry_after, 0.2))
    except wire.Broken as error:
        raise Refused(f"the gateway at {url} does not answer: {error}") from error
    finally:
        connection.close()
