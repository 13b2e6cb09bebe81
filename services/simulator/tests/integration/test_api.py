"""Every operation over a real socket and a real PostgreSQL: effects, keys, tokens, listing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from orderhub_simulator.api import routes
from orderhub_simulator.app import build
from orderhub_simulator.settings import Settings


async def test_an_authorization_is_captured_and_refunded_in_parts(client: Any) -> None:
    held = (await client.authorize()).json()
    expected = {**client.BODY, "id": held["id"], "status": "authorized", "decline_code": None}
    del expected["token"]
    assert held == {**expected, "captured_minor": 0, "refunded_minor": 0}
    captured = (await client.act(held["id"], "capture", "c1", amount_minor=800)).json()
    assert (captured["status"], captured["captured_minor"]) == ("captured", 800)
    for key, amount in (("r1", 300), ("r2", 500)):
        await client.act(held["id"], "refunds", key, amount_minor=amount, reference=key)
    shown = (await client.get(f"/v1/authorizations/{held['id']}")).json()
    assert (shown["captured_minor"], shown["refunded_minor"]) == (800, 800)
    assert shown["updated_at"] > shown["created_at"]
    refunds = (await client.get(f"/v1/authorizations/{held['id']}/refunds")).json()["items"]
    assert [(refund["reference"], refund["amount_minor"]) for refund in refunds] == [("r1", 300), ("r2", 500)]
    over = await client.act(held["id"], "refunds", "r3", amount_minor=1, reference="r3")
    assert client.error_of(over) == (409, "refund_exceeds_captured", "amount_minor")


async def test_a_void_needs_no_body_and_ends_the_authorization(client: Any) -> None:
    held = (await client.authorize()).json()
    path = f"/v1/authorizations/{held['id']}/void"
    assert (await client.post(path, headers={"idempotency-key": "v1"})).json()["status"] == "voided"
    again = await client.post(path, headers={"idempotency-key": "v1"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert client.error_of(await client.act(held["id"], "capture", "c1", amount_minor=1))[:2] == (
        409,
        "already_voided",
    )


async def test_a_refused_operation_answers_the_same_after_a_restart(
    settings: Settings, client_of: Any
) -> None:
    async with build(settings) as service, client_of(service.url) as client:
        held = (await client.authorize()).json()
        first = await client.act(held["id"], "capture", "c1", amount_minor=1001)
        assert client.error_of(first) == (409, "capture_exceeds_authorized", "amount_minor")
    async with build(settings) as service, client_of(service.url) as client:
        second = await client.act(held["id"], "capture", "c1", amount_minor=1001)
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
    client: Any, sql: asyncpg.Connection, token: str, statuses: list[int]
) -> None:
    seen = [(await client.authorize(token=token)).status_code for _ in statuses]
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
    client: Any, token: str, action: str, statuses: list[int]
) -> None:
    held = (await client.authorize(token=token)).json()
    if action == "refunds":
        assert (await client.act(held["id"], "capture", "c0", amount_minor=1000)).status_code == 200
    body = {"capture": {"amount_minor": 1000}, "void": {}, "refunds": {"amount_minor": 1, "reference": "r"}}[
        action
    ]
    seen = [(await client.act(held["id"], action, "k1", **body)).status_code for _ in statuses]
    assert seen == statuses


async def test_flaky_attempts_are_counted_across_a_restart(settings: Settings, client_of: Any) -> None:
    seen = []
    for _ in range(4):
        async with build(settings) as service, client_of(service.url) as client:
            seen.append((await client.authorize(token="tok_flaky")).status_code)
    assert seen == [503, 503, 200, 200]


async def test_a_time_out_holds_its_own_answer_and_nobody_elses(
    settings: Settings, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = asyncio.Event()
    asked: list[float] = []

    class Clock:
        @staticmethod
        async def sleep(seconds: float) -> None:
            asked.append(seconds)
            await over.wait()

    monkeypatch.setattr(routes, "asyncio", Clock)
    held_back = asyncio.create_task(client.authorize("slow", token="tok_timeout"))
    while (told := await client.get("/v1/operations/slow")).status_code == 404:
        pass
    assert (await client.authorize("slow", token="tok_timeout")).json() == told.json()["body"]
    assert not held_back.done()
    over.set()
    assert (await held_back).status_code == 504
    assert asked == [settings.timeout_seconds]


async def test_a_time_out_in_a_batch_delays_no_other_operation(settings: Settings, client_of: Any) -> None:
    slow = settings.model_copy(update={"timeout_seconds": 300})
    async with build(slow) as service, client_of(service.url) as client:
        operations = [client.authorizing(f"k{n}") for n in range(3)]
        operations[1]["token"] = "tok_timeout"
        assert [slot["http_status"] for slot in await client.batch(*operations)] == [200, 504, 200]
        assert [slot["http_status"] for slot in await client.batch(*operations)] == [200, 200, 200]


async def test_operations_of_a_batch_stand_alone(client: Any) -> None:
    held = (await client.authorize()).json()["id"]
    results = await client.batch(
        client.authorizing("b1"),
        {"op": "capture", "key": "b2", "authorization_id": held, "amount_minor": 1000},
        {"op": "capture", "key": "b3", "authorization_id": held, "amount_minor": 1000},
        {"op": "refund", "key": "b4", "authorization_id": held, "amount_minor": 400, "reference": "half"},
        {"op": "void", "key": "b5", "authorization_id": str(uuid4())},
        client.authorizing("b6", token="tok_flaky"),
        client.authorizing("b1"),
        {"op": "lookup", "key": "a1"},
        {"op": "lookup", "key": "never"},
    )
    assert [slot["key"] for slot in results] == ["b1", "b2", "b3", "b4", "b5", "b6", "b1", "a1", "never"]
    assert [slot["http_status"] for slot in results] == [200, 200, 409, 200, 404, 503, 200, 200, 404]
    assert results[6]["body"] == results[0]["body"]
    assert results[7]["body"]["body"]["id"] == held
    assert results[3]["body"]["refund"]["reference"] == "half"


async def test_a_malformed_operation_gets_its_own_400_and_the_others_run(client: Any) -> None:
    results = await client.batch(
        client.authorizing("b1"),
        client.authorizing("b2", amount_minor=0),
        {"op": "explode", "key": "b3"},
        {"op": "void", "key": 7, "authorization_id": "x"},
        "nonsense",
        client.authorizing("b4"),
    )
    assert [slot["http_status"] for slot in results] == [200, 400, 400, 400, 400, 200]
    assert [slot["key"] for slot in results] == ["b1", "b2", "b3", None, None, "b4"]
    assert results[1]["body"]["error"]["field"] == "amount_minor"
    assert results[2]["body"]["error"]["field"] == "op"


async def test_a_hundred_concurrent_calls_with_one_key_have_one_effect(
    client: Any, sql: asyncpg.Connection
) -> None:
    answers = await asyncio.gather(*(client.authorize() for _ in range(100)))
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await sql.fetchval("SELECT count(*) FROM authorizations") == 1


async def test_a_hundred_concurrent_captures_with_own_keys_have_one_effect(client: Any) -> None:
    held = (await client.authorize()).json()["id"]
    calls = (client.act(held, "capture", f"c{n}", amount_minor=1000) for n in range(100))
    statuses = sorted([answer.status_code for answer in await asyncio.gather(*calls)])
    assert statuses == [200] + [409] * 99


async def test_concurrent_refunds_never_give_back_more_than_was_captured(client: Any) -> None:
    held = (await client.authorize()).json()["id"]
    await client.act(held, "capture", "c1", amount_minor=1000)
    calls = (client.act(held, "refunds", f"r{n}", amount_minor=300, reference="r") for n in range(20))
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
        calls = [client.authorize(f"k{n % 20}") for n in range(200) for client in (a, b)]
        answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 20
    assert await sql.fetchval("SELECT count(*) FROM authorizations") == 20


async def test_the_listing_pages_through_every_change_once_and_can_be_resumed(
    client: Any,
) -> None:
    await client.batch(*(client.authorizing(f"k{n}", reference=f"o{n % 2}") for n in range(7)))
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
    await client.act(seen[0], "void", "v1")
    changed = (await client.get("/v1/authorizations", params={"updated_after": last})).json()["items"]
    assert [(item["id"], item["status"]) for item in changed] == [(seen[0], "voided")]


async def test_the_look_up_of_a_key_tells_its_stored_answer(client: Any) -> None:
    assert client.error_of(await client.get("/v1/operations/a%2F1")) == (404, "operation_unknown", None)
    held = (await client.authorize("a/1")).json()
    told = (await client.get("/v1/operations/a%2F1")).json()
    assert told == {"key": "a/1", "op": "authorize", "http_status": 200, "body": held}


async def test_an_answer_of_today_is_listed_after_yesterday(client: Any) -> None:
    await client.authorize()
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    listed = (await client.get("/v1/authorizations", params={"updated_after": yesterday})).json()
    assert len(listed["items"]) == 1
    assert listed["next_cursor"] is None
