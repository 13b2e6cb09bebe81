"""The switch: what is refused while it is on, who is not, and that no restart turns it off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from orderhub import embedded
from orderhub_gateway.maintenance import KEY, Maintenance, State
from redis.asyncio import Redis

PATH = "/v1/admin/maintenance"
ON = {"enabled": True, "message": "We are back at six.", "retry_after_seconds": 1200}
OFF = {"enabled": False}


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[embedded.Redis]:
    """A Redis of this test alone: the switch is for all who share one."""
    server = embedded.start_redis(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
async def api(open_gateway: Any, cache: embedded.Redis) -> Any:
    opened = await open_gateway(redis_url=cache.url())
    for role in ("customer", "vendor", "courier", "operator"):
        await opened.token(role)
    return opened


async def turned(api: Any, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api("POST", PATH, json=body, headers=await api.as_("operator"))
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def is_refused(answer: Any) -> bool:
    return bool(answer.status_code == 503 and answer.json()["code"] == "gateway.maintenance")


async def test_it_is_off_until_somebody_turns_it_on_and_says_who_did(api: Any) -> None:
    operator = await api.as_("operator")
    before = (await api("GET", PATH, headers=operator)).json()
    assert (before["enabled"], before["changed_at"], before["changed_by"]) == (False, None, None)
    made = await turned(api, ON)
    assert made == {**ON, "changed_at": made["changed_at"], "changed_by": api.users["operator"]["id"]}
    assert (await api("GET", PATH, headers=operator)).json() == made
    assert (await turned(api, OFF))["enabled"] is False


async def test_changes_are_refused_with_the_message_and_everything_else_goes_on(api: Any) -> None:
    await turned(api, ON)
    document = (await api("GET", "/openapi.json")).json()
    goes_on = {
        "/api/v1/auth/login",
        "/api/v1/auth/refresh",
        "/api/v1/auth/logout",
        "/api/v1/deliveries/quote",
    }
    seen = 0
    for path, methods in document["paths"].items():
        for method in methods:
            role = "customer" if "/admin/" not in path else "vendor"
            filled = "/".join(str(uuid4()) if part.startswith("{") else part for part in path.split("/"))
            answer = await api(method.upper(), filled, headers=await api.as_(role))
            refused = method != "get" and path not in goes_on and path != "/api/v1/auth/mfa/verify"
            assert is_refused(answer) is refused, (method, path, answer.text)
            if refused:
                seen += 1
                assert answer.headers["retry-after"] == "1200"
                assert answer.json()["detail"] == "We are back at six."
    assert seen > 30
    for path in ("/livez", "/readyz", "/health", "/metrics"):
        assert (await api("GET", path)).status_code == 200
    assert is_refused(await api("POST", "/v1/auth/register", json={}))
    assert is_refused(await api("POST", "/v1/orders", json={}))


async def test_operators_pass_and_can_log_in(api: Any) -> None:
    await turned(api, ON)
    user = {"email": api.users["operator"]["email"], "password": "a password for tests"}
    assert (await api("POST", "/v1/auth/login", json=user)).status_code == 200
    body = {"email": f"{uuid4().hex}@example.org", "password": "a long password", "roles": ["courier"]}
    made = await api("POST", "/v1/admin/users", json=body, headers=await api.as_("operator"))
    assert made.status_code == 201
    for role in ("customer", "vendor", "courier"):
        assert is_refused(await api("POST", PATH, json=OFF, headers=await api.as_(role)))
    await turned(api, OFF)
    answer = await api("POST", PATH, json=OFF, headers=await api.as_("customer"))
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")


async def test_probes_metrics_and_the_log_of_readiness_show_it(api: Any) -> None:
    await turned(api, ON)
    ready = await api("GET", "/readyz")
    assert ready.status_code == 200
    assert ready.json()["notes"] == {"maintenance": "changes are refused: We are back at six."}
    assert "orderhub_gateway_maintenance 1.0" in (await api("GET", "/metrics")).text
    await turned(api, OFF)
    assert "notes" not in (await api("GET", "/readyz")).json()


async def test_another_replica_knows_of_it_and_one_that_starts_knows_before_its_first_request(
    api: Any, open_gateway: Any, cache: embedded.Redis, eventually: Any
) -> None:
    other = await open_gateway(redis_url=cache.url())

    async def refuses() -> bool:
        return is_refused(await other("POST", "/v1/auth/register", json={}))

    async def takes() -> bool:
        return not await refuses()

    assert await takes()
    await turned(api, ON)
    await eventually(refuses)
    started = await open_gateway(redis_url=cache.url())
    assert is_refused(await started("POST", "/v1/auth/register", json={}))
    await turned(api, OFF)
    await eventually(takes)


async def test_a_redis_that_lost_it_is_told_again_by_whoever_knows(
    api: Any, cache: embedded.Redis, eventually: Any
) -> None:
    await turned(api, ON)
    redis = Redis.from_url(cache.url())
    await redis.flushall()

    async def is_back() -> bool:
        return await redis.get(KEY) is not None

    await eventually(is_back)
    assert is_refused(await api("POST", "/v1/auth/register", json={}))
    await redis.aclose()


async def test_without_redis_it_stays_as_it_was_and_cannot_be_turned(api: Any, cache: embedded.Redis) -> None:
    await turned(api, ON)
    cache.stop()
    customer = await api.as_("customer")
    assert is_refused(await api("POST", "/v1/auth/logout-all", headers=customer))
    answer = await api("POST", PATH, json=OFF, headers=await api.as_("operator"))
    # Some seconds later nobody knows any more whether the operator's token was revoked.
    assert answer.status_code == 503
    assert answer.json()["code"] in ("gateway.maintenance_unavailable", "auth.revocation_unknown")
    assert is_refused(await api("POST", "/v1/auth/logout-all", headers=customer))


async def test_what_is_no_state_turns_nothing(cache: embedded.Redis) -> None:
    told: list[tuple[str, str]] = []
    redis = Redis.from_url(cache.url())
    switch = Maintenance(cache.url(), lambda part, words: told.append((part, words)))
    await switch.turn(State(enabled=True, message="closed", changed_at="2026-03-01T12:00:00Z"))
    for nonsense in (b"on", b"{", b'{"enabled": "yes"}', b"\xff", b"[]", b'{"retry_after": 0}'):
        await redis.set(KEY, nonsense)
        await switch.load()
        assert switch.state.enabled, nonsense
    await redis.set(KEY, b'{"enabled": false, "added_later": 1}')
    await switch.load()
    assert not switch.state.enabled
    assert told == [("maintenance", "changes are refused: closed"), ("maintenance", "")]
    await asyncio.gather(switch.close(), redis.aclose())


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/enabled"), ({"enabled": "yes"}, "/enabled"), ({**ON, "retry_after_seconds": 0}, "/retry_after_seconds"),
        ({**ON, "retry_after_seconds": 86_401}, "/retry_after_seconds"), ({**ON, "message": ""}, "/message"),
        ({**ON, "by": "me"}, "/by"), ({**ON, "message": "x" * 501}, "/message"),
    ],
    ids=["empty", "type", "too-soon", "too-late", "no-words", "unknown", "too-many-words"],
)  # fmt: skip
async def test_a_wrong_body_is_named_and_turns_nothing(api: Any, body: dict[str, Any], pointer: str) -> None:
    operator = await api.as_("operator")
    answer = await api("POST", PATH, json=body, headers=operator)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)
    assert (await api("GET", PATH, headers=operator)).json()["enabled"] is False
