"""Every route over a real socket and a real PostgreSQL: effects, keys, tokens, listing, bad input."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from orderhub import embedded
from orderhub_simulator.app import build
from orderhub_simulator.settings import Settings
from pydantic import SecretStr

BODY = {"amount_minor": 1000, "currency": "EUR", "token": "tok_ok", "reference": "order-1"}


async def authorize(client: httpx.AsyncClient, key: str = "a1", **over: Any) -> httpx.Response:
    return await client.post("/v1/authorizations", json={**BODY, **over}, headers={"idempotency-key": key})


async def act(client: httpx.AsyncClient, id: str, action: str, key: str, **body: Any) -> httpx.Response:
    return await client.post(f"/v1/authorizations/{id}/{action}", json=body, headers={"idempotency-key": key})


async def batch(client: httpx.AsyncClient, *operations: dict[str, Any]) -> list[dict[str, Any]]:
    response = await client.post("/v1/batch", json={"operations": operations})
    assert response.status_code == 200, response.text
    return response.json()["results"]


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["code"], error.get("field")


async def test_an_authorization_is_captured_and_refunded_in_parts(client: httpx.AsyncClient) -> None:
    held = (await authorize(client)).json()
    expected = {**BODY, "id": held["id"], "status": "authorized", "decline_code": None}
    del expected["token"]
    assert held == {**expected, "captured_minor": 0, "refunded_minor": 0}
    captured = (await act(client, held["id"], "capture", "c1", amount_minor=800)).json()
    assert (captured["status"], captured["captured_minor"]) == ("captured", 800)
    for key, amount in (("r1", 300), ("r2", 500)):
        await act(client, held["id"], "refunds", key, amount_minor=amount, reference=key)
    shown = (await client.get(f"/v1/authorizations/{held['id']}")).json()
    assert (shown["captured_minor"], shown["refunded_minor"]) == (800, 800)
    assert shown["updated_at"] > shown["created_at"]
    refunds = (await client.get(f"/v1/authorizations/{held['id']}/refunds")).json()["items"]
    assert [(refund["reference"], refund["amount_minor"]) for refund in refunds] == [("r1", 300), ("r2", 500)]
    over = await act(client, held["id"], "refunds", "r3", amount_minor=1, reference="r3")
    assert error_of(over) == (409, "refund_exceeds_captured", "amount_minor")


async def test_a_void_needs_no_body_and_ends_the_authorization(client: httpx.AsyncClient) -> None:
    held = (await authorize(client)).json()
    path = f"/v1/authorizations/{held['id']}/void"
    assert (await client.post(path, headers={"idempotency-key": "v1"})).json()["status"] == "voided"
    again = await client.post(path, headers={"idempotency-key": "v1"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert error_of(await act(client, held["id"], "capture", "c1", amount_minor=1))[:2] == (
        409,
        "already_voided",
    )


async def test_a_refused_operation_answers_the_same_after_a_restart(
    settings: Settings, client_of: Any
) -> None:
    async with build(settings) as service, client_of(service.url) as client:
        held = (await authorize(client)).json()
        first = await act(client, held["id"], "capture", "c1", amount_minor=1001)
        assert error_of(first) == (409, "capture_exceeds_authorized", "amount_minor")
    async with build(settings) as service, client_of(service.url) as client:
        second = await act(client, held["id"], "capture", "c1", amount_minor=1001)
        assert (second.content, second.headers["idempotency-replayed"]) == (first.content, "true")


@pytest.mark.parametrize(
    ("token", "statuses"),
    [
        ("tok_ok", [200, 200]),
        ("tok_declined", [200, 200]),
        ("tok_insufficient_funds", [200, 200]),
        ("tok_timeout", [504, 200, 200]),
        ("tok_flaky", [503, 503, 200, 200]),
        ("tok_unheard_of", [422, 422]),
    ],
)
async def test_each_authorize_token_behaves_as_promised(
    client: httpx.AsyncClient, sql: asyncpg.Connection, token: str, statuses: list[int]
) -> None:
    seen = [(await authorize(client, token=token)).status_code for _ in statuses]
    assert seen == statuses
    assert await sql.fetchval("SELECT count(*) FROM authorizations") == (
        0 if token == "tok_unheard_of" else 1
    )


@pytest.mark.parametrize(
    ("token", "action", "statuses"),
    [
        ("tok_capture_timeout", "capture", [504, 200]),
        ("tok_capture_flaky", "capture", [503, 503, 200]),
        ("tok_void_flaky", "void", [503, 503, 200]),
        ("tok_refund_flaky", "refunds", [503, 503, 200]),
    ],
)
async def test_each_later_token_fails_in_its_own_operation_only(
    client: httpx.AsyncClient, token: str, action: str, statuses: list[int]
) -> None:
    held = (await authorize(client, token=token)).json()
    if action == "refunds":
        assert (await act(client, held["id"], "capture", "c0", amount_minor=1000)).status_code == 200
    body = {"capture": {"amount_minor": 1000}, "void": {}, "refunds": {"amount_minor": 1, "reference": "r"}}[
        action
    ]
    seen = [(await act(client, held["id"], action, "k1", **body)).status_code for _ in statuses]
    assert seen == statuses


async def test_flaky_attempts_are_counted_across_a_restart(settings: Settings, client_of: Any) -> None:
    seen = []
    for _ in range(4):
        async with build(settings) as service, client_of(service.url) as client:
            seen.append((await authorize(client, token="tok_flaky")).status_code)
    assert seen == [503, 503, 200, 200]


async def test_a_time_out_holds_its_own_answer_and_nobody_elses(settings: Settings, client_of: Any) -> None:
    slow = settings.model_copy(update={"timeout_seconds": 0.6})
    async with build(slow) as service, client_of(service.url) as client:
        started = time.monotonic()
        held_back = asyncio.create_task(authorize(client, "slow", token="tok_timeout"))
        while (told := await client.get("/v1/operations/slow")).status_code == 404:
            pass
        assert (await authorize(client, "slow", token="tok_timeout")).json() == told.json()["body"]
        assert not held_back.done()
        assert (await held_back).status_code == 504
        assert time.monotonic() - started >= 0.6


async def test_a_time_out_in_a_batch_delays_no_other_operation(settings: Settings, client_of: Any) -> None:
    slow = settings.model_copy(update={"timeout_seconds": 300})
    async with build(slow) as service, client_of(service.url) as client:
        operations = [{"op": "authorize", "key": f"k{n}", **BODY} for n in range(3)]
        operations[1]["token"] = "tok_timeout"
        assert [slot["http_status"] for slot in await batch(client, *operations)] == [200, 504, 200]
        assert [slot["http_status"] for slot in await batch(client, *operations)] == [200, 200, 200]


async def test_operations_of_a_batch_stand_alone(client: httpx.AsyncClient) -> None:
    held = (await authorize(client)).json()["id"]
    results = await batch(
        client,
        {"op": "authorize", "key": "b1", **BODY},
        {"op": "capture", "key": "b2", "authorization_id": held, "amount_minor": 1000},
        {"op": "capture", "key": "b3", "authorization_id": held, "amount_minor": 1000},
        {"op": "refund", "key": "b4", "authorization_id": held, "amount_minor": 400, "reference": "half"},
        {"op": "void", "key": "b5", "authorization_id": str(uuid4())},
        {"op": "authorize", "key": "b6", **BODY, "token": "tok_flaky"},
        {"op": "authorize", "key": "b1", **BODY},
        {"op": "lookup", "key": "a1"},
        {"op": "lookup", "key": "never"},
    )
    assert [slot["key"] for slot in results] == ["b1", "b2", "b3", "b4", "b5", "b6", "b1", "a1", "never"]
    assert [slot["http_status"] for slot in results] == [200, 200, 409, 200, 404, 503, 200, 200, 404]
    assert results[6]["body"] == results[0]["body"]
    assert results[7]["body"]["body"]["id"] == held
    assert results[3]["body"]["refund"]["reference"] == "half"


async def test_a_malformed_operation_gets_its_own_400_and_the_others_run(client: httpx.AsyncClient) -> None:
    results = await batch(
        client,
        {"op": "authorize", "key": "b1", **BODY},
        {"op": "authorize", "key": "b2", **BODY, "amount_minor": 0},
        {"op": "explode", "key": "b3"},
        {"op": "void", "key": 7, "authorization_id": "x"},
        "nonsense",
        {"op": "authorize", "key": "b4", **BODY},
    )
    assert [slot["http_status"] for slot in results] == [200, 400, 400, 400, 400, 200]
    assert [slot["key"] for slot in results] == ["b1", "b2", "b3", None, None, "b4"]
    assert results[1]["body"]["error"]["field"] == "amount_minor"
    assert results[2]["body"]["error"]["field"] == "op"


async def test_a_hundred_concurrent_calls_with_one_key_have_one_effect(
    client: httpx.AsyncClient, sql: asyncpg.Connection
) -> None:
    answers = await asyncio.gather(*(authorize(client) for _ in range(100)))
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await sql.fetchval("SELECT count(*) FROM authorizations") == 1


async def test_a_hundred_concurrent_captures_with_own_keys_have_one_effect(client: httpx.AsyncClient) -> None:
    held = (await authorize(client)).json()["id"]
    calls = (act(client, held, "capture", f"c{n}", amount_minor=1000) for n in range(100))
    statuses = sorted([answer.status_code for answer in await asyncio.gather(*calls)])
    assert statuses == [200] + [409] * 99


async def test_concurrent_refunds_never_give_back_more_than_was_captured(client: httpx.AsyncClient) -> None:
    held = (await authorize(client)).json()["id"]
    await act(client, held, "capture", "c1", amount_minor=1000)
    calls = (act(client, held, "refunds", f"r{n}", amount_minor=300, reference="r") for n in range(20))
    statuses = [answer.status_code for answer in await asyncio.gather(*calls)]
    assert (statuses.count(200), statuses.count(409)) == (3, 17)
    assert (await client.get(f"/v1/authorizations/{held}")).json()["refunded_minor"] == 900


async def test_two_processes_on_one_database_still_have_one_effect_per_key(
    settings: Settings, client_of: Any, sql: asyncpg.Connection
) -> None:
    async with (
        build(settings) as one,
        build(settings) as two,
        client_of(one.url) as a,
        client_of(two.url) as b,
    ):
        calls = [authorize(client, f"k{n % 20}") for n in range(200) for client in (a, b)]
        answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 20
    assert await sql.fetchval("SELECT count(*) FROM authorizations") == 20


async def test_the_listing_pages_through_every_change_once_and_can_be_resumed(
    client: httpx.AsyncClient,
) -> None:
    await batch(
        client, *({"op": "authorize", "key": f"k{n}", **BODY, "reference": f"o{n % 2}"} for n in range(7))
    )
    seen, cursor = [], ""
    while cursor is not None:
        page = (await client.get(f"/v1/authorizations?limit=3{cursor and '&cursor=' + cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 7
    by_reference = (await client.get("/v1/authorizations", params={"reference": "o1"})).json()
    assert [item["reference"] for item in by_reference["items"]] == ["o1"] * 3
    last = page["items"][-1]["updated_at"]
    assert (await client.get("/v1/authorizations", params={"updated_after": last})).json()["items"] == []
    await act(client, seen[0], "void", "v1")
    changed = (await client.get("/v1/authorizations", params={"updated_after": last})).json()["items"]
    assert [(item["id"], item["status"]) for item in changed] == [(seen[0], "voided")]


async def test_the_look_up_of_a_key_tells_its_stored_answer(client: httpx.AsyncClient) -> None:
    assert error_of(await client.get("/v1/operations/a%2F1")) == (404, "operation_unknown", None)
    held = (await authorize(client, "a/1")).json()
    told = (await client.get("/v1/operations/a%2F1")).json()
    assert told == {"key": "a/1", "op": "authorize", "http_status": 200, "body": held}


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
    client: httpx.AsyncClient, sql: asyncpg.Connection
) -> None:
    for body, field in BAD_BODIES:
        answer = await client.post("/v1/authorizations", content=body, headers={"idempotency-key": "k1"})
        assert error_of(answer) == (400, "invalid_body", field), body[:100]
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


async def test_a_batch_that_cannot_be_taken_apart_is_400_as_a_whole(client: httpx.AsyncClient) -> None:
    for body, field in BAD_BATCHES:
        answer = await client.post("/v1/batch", content=body)
        assert error_of(answer) == (400, "invalid_body", field), body[:100]


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


async def test_a_wrong_call_gets_the_right_4xx(client: httpx.AsyncClient) -> None:
    for method, path, headers, expected in WRONG_CALLS:
        assert error_of(await client.request(method, path, headers=headers)) == expected, path


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
    client: httpx.AsyncClient, request_: bytes, status: int, code: str
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


async def test_a_body_of_another_type_or_size_is_refused(client: httpx.AsyncClient) -> None:
    form = {"idempotency-key": "k1", "content-type": "application/x-www-form-urlencoded"}
    assert (await client.post("/v1/authorizations", content=b"a=1", headers=form)).status_code == 415
    assert (await client.post("/v1/batch", content=b" " * (4 * 1024 * 1024 + 1))).status_code == 413
    assert (await authorize(client)).status_code == 200


async def test_without_the_api_key_there_is_nothing_but_401(client: httpx.AsyncClient) -> None:
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


async def test_health_and_metrics_need_no_key(client: httpx.AsyncClient) -> None:
    await authorize(client)
    del client.headers["authorization"]
    assert (await client.get("/livez")).status_code == (await client.get("/readyz")).status_code == 200
    assert (
        'orderhub_simulator_operations_total{http_status="200",op="authorize"}'
        in (await client.get("/metrics")).text
    )


def start_behind(door: Path, folder: Path) -> embedded.Postgres:
    """A server takes another port at each start; the door is always at the same place."""
    server = embedded.start_postgres(folder)
    door.unlink(missing_ok=True)
    door.symlink_to(server.sockets / f".s.PGSQL.{server.port}")
    return server


async def test_while_the_database_is_away_the_answer_is_503_and_later_all_is_well(
    client_of: Any, settings: Settings, tmp_path: Path
) -> None:
    door, folder = tmp_path / ".s.PGSQL.5432", tmp_path / "postgres"
    server = start_behind(door, folder)
    try:
        url = f"postgresql://{embedded.SUPERUSER}@/postgres?host={tmp_path}"
        moved = settings.model_copy(update={"database_url": SecretStr(url)})
        async with build(moved) as service, client_of(service.url) as client:
            assert (await authorize(client)).status_code == 200
            server.stop()
            assert error_of(await authorize(client, "a2")) == (503, "unavailable", None)
            assert (await client.get("/v1/authorizations")).status_code == 503
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/livez")).status_code == 200
            assert [s["http_status"] for s in await batch(client, {"op": "lookup", "key": "b1"})] == [503]
            server = start_behind(door, folder)
            assert (await client.get("/readyz")).status_code == 200
            assert (await authorize(client)).headers["idempotency-replayed"] == "true"
            assert (await authorize(client, "a2")).status_code == 200
    finally:
        server.stop()


WRONG_MONEY = [
    "captured_minor = 1001, status = 'captured'",
    "captured_minor = 500, refunded_minor = 501, status = 'captured'",
    "captured_minor = 500, status = 'voided'",
    "status = 'declined'",
    "amount_minor = 0",
    "currency = 'eur'",
]


async def test_the_database_itself_refuses_wrong_money(
    client: httpx.AsyncClient, sql: asyncpg.Connection
) -> None:
    await authorize(client)
    for change in WRONG_MONEY:
        with pytest.raises(asyncpg.CheckViolationError):
            await sql.execute(f"UPDATE authorizations SET {change}")


async def test_look_ups_use_an_index_from_the_first_row(
    client: httpx.AsyncClient, sql: asyncpg.Connection
) -> None:
    await authorize(client)
    await sql.execute("SET enable_seqscan = off")
    for query in (
        "SELECT * FROM operations WHERE key = ANY(ARRAY['a1'])",
        "SELECT * FROM authorizations WHERE reference = 'order-1'",
        "SELECT * FROM authorizations WHERE (updated_at, id) > (now(), '00000000-0000-0000-0000-000000000000') ORDER BY updated_at, id LIMIT 5",
        "SELECT * FROM refunds WHERE authorization_id = '00000000-0000-0000-0000-000000000000'",
    ):
        plan = "\n".join(row[0] for row in await sql.fetch("EXPLAIN " + query))
        assert "Index" in plan, plan
        assert "Seq Scan" not in plan, plan


async def test_an_answer_of_today_is_listed_after_yesterday(client: httpx.AsyncClient) -> None:
    await authorize(client)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    listed = (await client.get("/v1/authorizations", params={"updated_after": yesterday})).json()
    assert len(listed["items"]) == 1
    assert listed["next_cursor"] is None


async def test_a_growing_table_is_never_read_whole(
    client: httpx.AsyncClient, sql: asyncpg.Connection
) -> None:
    """Plans that are made on empty tables stay for a while; statistics are not there yet."""
    for round in range(12):
        keys = [f"{round}-{n}" for n in range(50)]
        held = await batch(client, *({"op": "authorize", "key": f"a{key}", **BODY} for key in keys))
        ids = [slot["body"]["id"] for slot in held]
        captures = [
            {"op": "capture", "key": f"c{key}", "authorization_id": id, "amount_minor": 1000}
            for key, id in zip(keys, ids, strict=True)
        ]
        assert {slot["http_status"] for slot in await batch(client, *captures)} == {200}
        await client.get("/v1/authorizations", params={"reference": "order-1"})
        await client.get(f"/v1/authorizations/{ids[0]}")
    assert await rows_read_whole(sql) == 0


async def rows_read_whole(sql: asyncpg.Connection) -> int:
    """PostgreSQL adds a session's numbers up when the session is idle for a second or ends, so they all end here."""
    await sql.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'orderhub-%'"
    )
    return await sql.fetchval(
        "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname <> 'schema_migrations'"
    )
