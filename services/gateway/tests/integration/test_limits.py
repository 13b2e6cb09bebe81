"""Rate limits on a real Redis, several gateways sharing it, and what happens when it is away."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from orderhub_gateway.errors import LimitsAway
from orderhub_gateway.limits import LARGEST_LEASE, Limiter, Policy

NOWHERE = "redis://127.0.0.1:9/0"


class Seconds:
    """A monotonic clock that is moved by hand; Redis keeps its own."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def limiter(redis_url: str) -> Any:
    made = Limiter(redis_url)
    yield made
    await made.close()


async def test_a_burst_passes_and_the_next_one_is_told_when_to_come_back(limiter: Limiter) -> None:
    policy, key = Policy("test", rate=0.1, burst=5), uuid4().hex
    verdicts = [await limiter.take(policy, key) for _ in range(8)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False] * 3
    assert [verdict.remaining for verdict in verdicts] == [4, 3, 2, 1, 0, 0, 0, 0]
    assert 9 <= verdicts[-1].retry_after <= 10
    assert verdicts[-1].reset >= verdicts[-1].retry_after


async def test_one_client_does_not_eat_anothers_share(limiter: Limiter) -> None:
    policy = Policy("test", rate=0.1, burst=1)
    first, second = uuid4().hex, uuid4().hex
    assert (await limiter.take(policy, first)).allowed
    assert not (await limiter.take(policy, first)).allowed
    assert (await limiter.take(policy, second)).allowed


async def test_tokens_come_back_with_time(limiter: Limiter) -> None:
    policy, key = Policy("test", rate=50, burst=1), uuid4().hex
    assert (await limiter.take(policy, key)).allowed
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 5
    while not (await limiter.take(policy, key)).allowed:
        assert loop.time() < deadline
        await asyncio.sleep(0.005)


async def test_replicas_share_one_bucket_whatever_they_lease(redis_url: str) -> None:
    policy, key = Policy("test", rate=0.01, burst=100), uuid4().hex
    replicas = [Limiter(redis_url) for _ in range(3)]
    verdicts = await asyncio.gather(*(r.take(policy, key) for _ in range(60) for r in replicas))
    rest = [await r.take(policy, key) for _ in range(60) for r in replicas]
    allowed = sum(verdict.allowed for verdict in [*verdicts, *rest])
    assert 100 - len(replicas) * LARGEST_LEASE <= allowed <= 100
    for replica in replicas:
        await replica.close()


async def test_a_busy_client_asks_redis_less_and_less_often(redis_url: str) -> None:
    clock = Seconds()
    limiter = Limiter(redis_url, monotonic=clock)
    policy, key, asked = Policy("test", rate=1000, burst=1000), uuid4().hex, 0
    ask = limiter._batcher._work

    async def counting(questions: Any) -> Any:
        nonlocal asked
        asked += len(questions)
        return await ask(questions)

    limiter._batcher._work = counting
    for _ in range(100):
        assert (await limiter.take(policy, key)).allowed
    assert asked <= 10
    clock.at += 2  # what is left of the lease lapses, and the next one is small again
    before = asked
    assert (await limiter.take(policy, key)).allowed
    assert asked == before + 1
    await limiter.close()


async def test_without_redis_the_essential_stops_and_the_rest_is_counted_here() -> None:
    clock = Seconds()
    limiter = Limiter(NOWHERE, monotonic=clock)
    essential, usual = Policy("auth", 1, 5, essential=True), Policy("principal", 1, 3)
    with pytest.raises(LimitsAway):
        await limiter.take(essential, "a")
    assert [(await limiter.take(usual, "a")).allowed for _ in range(4)] == [True, True, True, False]
    clock.at += 1.5
    assert (await limiter.take(usual, "a")).allowed
    await limiter.close()


async def test_redis_is_asked_again_after_a_pause(redis_url: str) -> None:
    clock = Seconds()
    limiter = Limiter(NOWHERE, monotonic=clock)
    policy = Policy("auth", 1, 5, essential=True)
    with pytest.raises(LimitsAway):
        await limiter.take(policy, "a")
    back = Limiter(redis_url)
    limiter._script = back._script
    with pytest.raises(LimitsAway):
        await limiter.take(policy, uuid4().hex)
    clock.at += 2
    assert (await limiter.take(policy, uuid4().hex)).allowed
    await limiter.close()
    await back.close()


async def test_answers_say_what_is_left_and_a_refusal_when_to_come_back(open_gateway: Any) -> None:
    api = await open_gateway(rate_per_principal=0.1, burst_per_principal=3)
    headers = await api.as_("customer")
    answers = [await api("GET", "/v1/auth/me", headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"principal";q=3;w=30'
    assert answers[0].headers["ratelimit"].startswith('"principal";r=2;t=')
    assert answers[3].json()["code"] == "gateway.rate_limited"
    assert 1 <= int(answers[3].headers["retry-after"]) <= 10
    other = await api("GET", "/v1/auth/me", headers=await api.as_("customer", "2"))
    assert other.status_code == 200


async def test_without_a_token_or_with_a_forged_one_the_address_is_counted(open_gateway: Any) -> None:
    api = await open_gateway(rate_per_address=0.001, burst_per_address=4)
    for headers in ({}, {"authorization": "Bearer x.y.z"}):
        answers = [await api("GET", f"/v1/vendors/{uuid4()}", headers=headers) for _ in range(2)]
        assert all(answer.status_code != 429 for answer in answers)
    assert (await api("GET", f"/v1/vendors/{uuid4()}")).status_code == 429
    assert (await api("GET", "/v1/auth/me", headers=await api.as_("customer"))).status_code == 200


async def test_guessing_is_slow_per_account_and_per_address(open_gateway: Any) -> None:
    api = await open_gateway(
        login_rate_per_account=0.01,
        login_burst_per_account=3,
        auth_rate_per_address=0.01,
        auth_burst_per_address=8,
    )
    guess = {"email": "ada@example.org", "password": "a wrong guess"}
    statuses = [(await api("POST", "/v1/auth/login", json=guess)).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    others = [{**guess, "email": f"user{n}@example.org"} for n in range(5)]
    statuses = [(await api("POST", "/v1/auth/login", json=other)).status_code for other in others]
    assert statuses == [401, 401, 401, 429, 429]


async def test_a_proxy_is_believed_only_where_it_is_ours(open_gateway: Any) -> None:
    believing = await open_gateway(rate_per_address=0.001, burst_per_address=1, trusted_proxies="127.0.0.0/8")
    for address in ("203.0.113.1", "203.0.113.2", "198.51.100.9, 203.0.113.3"):
        answer = await believing("GET", f"/v1/vendors/{uuid4()}", headers={"x-forwarded-for": address})
        assert answer.status_code != 429
    again = await believing(
        "GET", f"/v1/vendors/{uuid4()}", headers={"x-forwarded-for": "1.1.1.1, 203.0.113.3"}
    )
    assert again.status_code == 429


async def test_without_proxies_of_ours_a_forwarded_address_is_nothing(open_gateway: Any) -> None:
    api = await open_gateway(rate_per_address=0.001, burst_per_address=3)
    answers = [
        await api("GET", f"/v1/vendors/{uuid4()}", headers={"x-forwarded-for": f"203.0.113.{number}"})
        for number in range(4)
    ]
    assert [answer.status_code == 429 for answer in answers] == [False, False, False, True]


async def test_without_redis_reads_go_on_and_logins_wait(open_gateway: Any) -> None:
    api = await open_gateway(redis_url=NOWHERE)
    answer = await api("POST", "/v1/auth/login", json={"email": "a@example.org", "password": "x"})
    assert (answer.status_code, answer.json()["code"]) == (503, "gateway.limits_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert (await api("GET", f"/v1/vendors/{uuid4()}")).json()[
        "code"
    ] == "unavailable"  # let in; nobody is behind
