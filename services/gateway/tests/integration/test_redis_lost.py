"""What every route does while Redis is away, as docs/operations.md has it; and a Redis that comes back without its data."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from orderhub import embedded
from orderhub_gateway.limits import PAUSE_SECONDS

OPERATIONS = Path(__file__).parents[4] / "docs" / "operations.md"
REFUSED = re.compile(r"^\| `([A-Z]+) (/api/v1/\S+)` \| 503 \|", re.MULTILINE)
CLOSED = re.compile(r"^\| `(any|change|[A-Z]+) (/api/v1/\S+)` \| (closed|open) \|", re.MULTILINE)
"""Of the table of routes that have to know which tokens are revoked; a later line counts more."""
BODIES = {
    "/api/v1/auth/password/change": {"current_password": "a guess", "new_password": "another long password"},
    "/api/v1/auth/mfa/totp/disable": {"code": "000000"},
    "/api/v1/auth/mfa/recovery-codes": {"code": "000000"},
}
"""Where the limit is on what the body is about, and so comes after it."""
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[embedded.Redis]:
    """A Redis that is this test's alone; the test may stop it."""
    server = embedded.start_redis(tmp_path / "redis")
    yield server
    server.stop()


async def operations(api: Any) -> list[tuple[str, str]]:
    """(method, path) of every route of the API."""
    document = (await api("GET", "/openapi.json")).json()
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item and path.startswith("/api/")
    ]


def closed(method: str, path: str, *, operator: bool) -> bool:
    """As the document says."""
    found = operator and method != "GET"
    for methods, pattern, word in CLOSED.findall(OPERATIONS.read_text()):
        by_method = {"any": True, "change": method != "GET"}.get(methods, methods == method)
        if by_method and fnmatch(path, pattern):
            found = word == "closed"
    return bool(found)


@pytest.mark.parametrize("role", ["customer", "operator"])
async def test_the_routes_that_wait_for_redis_are_those_of_the_document(
    open_gateway: Any, cache: embedded.Redis, eventually: Any, role: str
) -> None:
    api = await open_gateway(redis_url=cache.url())
    token = await api.as_(role)
    routes = await operations(api)
    assert len(routes) > 30
    assert (await api("GET", "/v1/auth/me", headers=token)).status_code == 200, "it has had a list"
    cache.stop()

    async def is_unknown() -> bool:
        return (await api("GET", "/v1/admin/users", headers=token)).status_code == 503

    await eventually(is_unknown)
    limited, unknown = set(), set()
    for method, path in routes:
        headers = {**token, "idempotency-key": uuid4().hex}
        answer = await api(
            method, re.sub(r"\{.*?\}", str(uuid4()), path), headers=headers, json=BODIES.get(path, {})
        )
        if b"gateway.limits_unavailable" in answer.content:
            limited.add((method, path))
        elif b"auth.revocation_unknown" in answer.content:
            unknown.add((method, path))
        else:
            continue
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert unknown == {route for route in routes if closed(*route, operator=role == "operator")} - limited
    assert limited == set(REFUSED.findall(OPERATIONS.read_text())) - unknown


async def test_a_redis_that_comes_back_without_its_data_is_used_again_with_full_buckets(
    open_gateway: Any, cache: embedded.Redis, tmp_path: Path, eventually: Any
) -> None:
    api = await open_gateway(redis_url=cache.url(), login_rate_per_account=0.001, login_burst_per_account=1)
    guess = {"email": f"{uuid4().hex}@example.org", "password": "a wrong guess"}

    async def status() -> int:
        return int((await api("POST", "/v1/auth/login", json=guess)).status_code)

    assert [await status(), await status()] == [401, 429]
    os.kill(cache.pid, signal.SIGKILL)
    cache.child.wait()
    other = {**guess, "email": f"{uuid4().hex}@example.org"}
    assert (await api("POST", "/v1/auth/login", json=other)).status_code == 503
    for left in (tmp_path / "redis").rglob("*.rdb"):
        left.unlink()
    again = await asyncio.to_thread(embedded.start_redis, tmp_path / "redis")
    try:

        async def is_let_in() -> bool:
            return (await api("POST", "/v1/auth/login", json=other)).status_code == 401

        await eventually(is_let_in, within=10 * PAUSE_SECONDS)
    finally:
        again.stop()
