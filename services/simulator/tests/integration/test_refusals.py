"""Over a real socket: what is refused, how that is said, and that it changes nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest

BAD_BODIES = [
    (b"", None),
    (b"{", None),
    (b"[]", None),
    (b"null", None),
    (b"\xff", None),
    (b'{"amount_minor": 1, "currency": "EUR", "token": "tok_ok", "reference": "\xff"}', None),
    (b'{"amount_minor": 1, "currency": "EUR", "token": "tok_ok", "reference": "\\udc00"}', None),
    (b'{"amount_minor": 1, "currency": "EUR", "token": "tok_ok"}', "reference"),
    (b'{"amount_minor": 0, "currency": "EUR", "token": "tok_ok", "reference": "r"}', "amount_minor"),
    (b'{"amount_minor": -5, "currency": "EUR", "token": "tok_ok", "reference": "r"}', "amount_minor"),
    (b'{"amount_minor": 1.5, "currency": "EUR", "token": "tok_ok", "reference": "r"}', "amount_minor"),
    (b'{"amount_minor": "1", "currency": "EUR", "token": "tok_ok", "reference": "r"}', "amount_minor"),
    (b'{"amount_minor": true, "currency": "EUR", "token": "tok_ok", "reference": "r"}', "amount_minor"),
    (
        b'{"amount_minor": 99999999999999999999, "currency": "EUR", "token": "t", "reference": "r"}',
        "amount_minor",
    ),
    (b'{"amount_minor": 1, "currency": "eur", "token": "tok_ok", "reference": "r"}', "currency"),
    (b'{"amount_minor": 1, "currency": "EURO", "token": "tok_ok", "reference": "r"}', "currency"),
    (b'{"amount_minor": 1, "currency": "EUR\\n", "token": "tok_ok", "reference": "r"}', "currency"),
    (b'{"amount_minor": 1, "currency": "EUR", "token": null, "reference": "r"}', "token"),
    (b'{"amount_minor": 1, "currency": "EUR", "token": "tok_ok", "reference": ""}', "reference"),
    (b'{"amount_minor": 1, "currency": "EUR", "token": "tok_ok", "reference": "a\\u0000b"}', "reference"),
    (b'{"amount_minor": 1, "currency": "EUR", "token": "tok_ok", "reference": "r", "more": 1}', "more"),
    (b'{"amount_minor": ' + b"[" * 100_000, "amount_minor"),
    (b'{"more": ' + b"[" * 100_000, "more"),
]


async def test_a_bad_body_is_400_with_the_field_named_and_changes_nothing(
    client: Any, sql: asyncpg.Connection
) -> None:
    for body, field in BAD_BODIES:
        answer = await client.post("/v1/authorizations", content=body, headers={"idempotency-key": "k1"})
        assert client.error_of(answer) == (400, "invalid_body", field), body[:100]
    assert await sql.fetchval("SELECT count(*) FROM operations") == 0


BAD_BATCHES = [
    (b"", None),
    (b"{}", "operations"),
    (b'{"operations": 1}', "operations"),
    (b'{"operations": [], "x": 1}', "x"),
    (b'{"operations": [' + b"[" * 100_000, None),
    (b'{"operations": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}", None),
    (b'{"operations": [' + b",".join([b"{}"] * 1001) + b"]}", "operations"),
]


async def test_a_batch_that_cannot_be_taken_apart_is_400_as_a_whole(client: Any) -> None:
    for body, field in BAD_BATCHES:
        answer = await client.post("/v1/batch", content=body)
        assert client.error_of(answer) == (400, "invalid_body", field), body[:100]


WRONG_CALLS = [
    ("POST", "/v1/authorizations", {}, (400, "idempotency_key_required", "Idempotency-Key")),
    (
        "POST",
        "/v1/authorizations",
        {"idempotency-key": "a b"},
        (400, "idempotency_key_invalid", "Idempotency-Key"),
    ),
    (
        "POST",
        "/v1/authorizations",
        {"idempotency-key": "k" * 256},
        (400, "idempotency_key_invalid", "Idempotency-Key"),
    ),
    ("POST", "/v1/authorizations/7/void", {"idempotency-key": "k"}, (404, "authorization_not_found", None)),
    ("GET", "/v1/authorizations/%00", {}, (404, "authorization_not_found", None)),
    ("GET", "/v1/authorizations/7/", {}, (404, "route_not_found", None)),
    ("GET", "/v1/operations/%00", {}, (400, "idempotency_key_invalid", "Idempotency-Key")),
    ("GET", "/v1/operations/", {}, (400, "idempotency_key_invalid", "Idempotency-Key")),
    ("GET", "/v1/nothing", {}, (404, "route_not_found", None)),
    ("PUT", "/v1/authorizations", {}, (405, "method_not_allowed", None)),
    ("GET", "/v1/batch", {}, (405, "method_not_allowed", None)),
    ("GET", "/v1/authorizations?limit=0", {}, (400, "invalid_parameter", "limit")),
    ("GET", "/v1/authorizations?limit=201", {}, (400, "invalid_parameter", "limit")),
    ("GET", "/v1/authorizations?limit=1&limit=2", {}, (400, "invalid_parameter", "limit")),
    ("GET", "/v1/authorizations?colour=red", {}, (400, "invalid_parameter", "colour")),
    ("GET", "/v1/authorizations?reference=%00", {}, (400, "invalid_parameter", "reference")),
    ("GET", "/v1/authorizations?reference=%ff", {}, (400, "invalid_parameter", None)),
    ("GET", "/v1/authorizations?cursor=%25", {}, (400, "invalid_parameter", "cursor")),
    ("GET", "/v1/authorizations?cursor=WzEsMl0=", {}, (400, "invalid_parameter", "cursor")),
    ("GET", "/v1/authorizations?updated_after=yesterday", {}, (400, "invalid_parameter", "updated_after")),
    (
        "GET",
        "/v1/authorizations?updated_after=2026-01-01T00:00:00",
        {},
        (400, "invalid_parameter", "updated_after"),
    ),
    (
        "GET",
        "/v1/authorizations?updated_after=0001-01-01T00:00:00%2B14:00",
        {},
        (400, "invalid_parameter", "updated_after"),
    ),
]


async def test_a_wrong_call_gets_the_right_4xx(client: Any) -> None:
    for method, path, headers, expected in WRONG_CALLS:
        assert client.error_of(await client.request(method, path, headers=headers)) == expected, path


UNREADABLE = [
    (b"hello\r\n\r\n", 400, "malformed"),
    (b"GET /v1/batch HTTP/1.1\r\nno colon\r\n\r\n", 400, "malformed"),
    (b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n", 400, "malformed"),
    (b"FOO /v1/batch HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "target_too_long"),
    (b"GET /livez HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431, "headers_too_large"),
    (
        b"POST /v1/batch HTTP/1.1\r\nAuthorization: Bearer a-key-for-tests-only\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"xyz\r\n",
        400,
        "malformed",
    ),
]


@pytest.mark.parametrize(("request_", "status", "code"), UNREADABLE, ids=range(len(UNREADABLE)))
async def test_what_is_no_http_is_answered_as_every_other_wrong_call(
    client: Any, request_: bytes, status: int, code: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    try:
        writer.write(request_)
        async with asyncio.timeout(10):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    assert (int(head.split()[1]), json.loads(body)["error"]["code"]) == (status, code)
    assert b"content-type: application/json" in head.lower()
    assert b"connection: close" in head.lower()


async def test_a_body_of_another_type_or_size_is_refused(client: Any) -> None:
    form = {"idempotency-key": "k1", "content-type": "application/x-www-form-urlencoded"}
    assert (await client.post("/v1/authorizations", content=b"a=1", headers=form)).status_code == 415
    assert (await client.post("/v1/batch", content=b" " * (4 * 1024 * 1024 + 1))).status_code == 413
    assert (await client.authorize()).status_code == 200


async def test_without_the_api_key_there_is_nothing_but_401(client: Any) -> None:
    del client.headers["authorization"]
    for given in (None, b"Bearer", b"Bearer wrong", b"Basic a-key-for-tests-only", b"Bearer \xff"):
        headers = {b"authorization": given} if given else {}
        for method, path in (
            ("POST", "/v1/batch"),
            ("GET", "/v1/operations/k"),
            ("GET", "/v1/nothing"),
            ("GET", "/x"),
        ):
            assert (await client.request(method, path, headers=headers)).status_code == 401, (given, path)


async def test_health_and_metrics_need_no_key(client: Any) -> None:
    await client.authorize()
    del client.headers["authorization"]
    assert (await client.get("/livez")).status_code == (await client.get("/readyz")).status_code == 200
    assert (
        'orderhub_simulator_operations_total{http_status="200",op="authorize"}'
        in (await client.get("/metrics")).text
    )
