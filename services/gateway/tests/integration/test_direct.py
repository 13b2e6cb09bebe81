"""The short way and Litestar's own answer alike; a slash at the end of an address takes the long one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

ORDERS, PRODUCTS = "/api/v1/orders", "/api/v1/products"
JSON = {"content-type": "application/json"}
GOOD = b'{"lines":[{"sku":"A","quantity":1}],"payment":{"token":"tok_ok"},"ship_to":{"name":"A","line1":"B",'
GOOD += b'"city":"C","postal_code":"1","country":"DE"}}'
ODD = [
    ({}, b""),
    (JSON, b""),
    (JSON, b"{}"),
    (JSON, b"[1, 2"),
    (JSON, b'{"lines":[]}'),
    (JSON, b'{"lines":[],"lines":[]}'),
    ({"content-type": "text/plain"}, b"{}"),
    (JSON, GOOD),
    ({**JSON, "idempotency-key": "k"}, GOOD),
    (JSON, b" " * 1100 * 1024),
]


async def answer(api: Any, path: str, headers: dict[str, str], body: bytes) -> tuple[Any, ...]:
    given = await api("POST", path, content=body, headers=headers)
    problem = {k: v for k, v in given.json().items() if k != "trace_id"}
    names = sorted(name for name in given.headers if not name.startswith("ratelimit"))
    return given.status_code, given.headers["content-type"], names, problem


@pytest.mark.parametrize(
    ("role", "statuses"),
    [
        ("anybody", {401}),
        ("customer", {400, 403, 413, 415, 503}),
        ("vendor", {400, 403, 413, 415}),
        ("courier", {403}),
    ],
)
async def test_both_ways_answer_alike(api: Any, role: str, statuses: set[int]) -> None:
    as_role = await api.as_(role)
    seen = set()
    for path in (ORDERS, PRODUCTS):
        for headers, body in ODD:
            short = await answer(api, path, {**as_role, **headers}, body)
            assert short == await answer(api, path + "/", {**as_role, **headers}, body)
            seen.add(short[0])
    assert seen == statuses


async def test_an_odd_host_is_refused_on_both(api: Any) -> None:
    bodies = []
    for path in (ORDERS, ORDERS + "/"):
        head = f"POST {path} HTTP/1.1\r\nhost: a b\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
        reader, writer = await asyncio.open_connection("127.0.0.1", api.http.base_url.port)
        writer.write(head.encode())
        async with asyncio.timeout(20):
            received = await reader.read()
        writer.close()
        assert received.startswith(b"HTTP/1.1 400 ")
        bodies.append({**json.loads(received.partition(b"\r\n\r\n")[2]), "trace_id": ""})
    assert bodies[0] == bodies[1]
    assert bodies[0]["code"] == "request.malformed"
