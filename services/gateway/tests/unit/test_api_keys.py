"""Keys at the door: what is asked of auth, how long its word is believed, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import get_args

import pytest
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Failure, Unavailable
from orderhub_contracts import api_keys as contract
from orderhub_contracts.api_keys import Presented
from orderhub_contracts.auth.v1.api_keys_pb2 import ResolvedApiKey
from orderhub_gateway import api_keys
from orderhub_gateway.api_keys import FRESH_SECONDS, ApiKeys
from orderhub_gateway.schemas.api_keys import Scope


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def a_key(number: int = 1) -> bytes:
    return contract.assembled(f"{number:012}", "s" * contract.SECRET_LENGTH).encode()


class Auth:
    """What auth would say; `asked` is every question."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.asked: list[list[str]] = []
        self.revoked: set[str] = set()
        self.failure: Exception | None = None
        self.lives = 3600.0
        self.takes = 0.0

    async def resolve(self, presented: Sequence[Presented]) -> list[ResolvedApiKey]:
        self.asked.append([one.public_id for one in presented])
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        until = int(self.clock.now().timestamp() + self.lives)
        answers = [
            ResolvedApiKey(
                good=one.public_id not in self.revoked, id=one.public_id, vendor_id="v1", scopes=["orders:read"],
                expires_at=until,
            )
            for one in presented
        ]  # fmt: skip
        self.clock.at += seconds(self.takes)
        return answers


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def auth(clock: ManualClock) -> Auth:
    return Auth(clock)


@pytest.fixture
def keys(auth: Auth, clock: ManualClock) -> ApiKeys:
    return ApiKeys(auth.resolve, clock)


async def refused(keys: ApiKeys, key: bytes) -> str:
    with pytest.raises(Failure) as failure:
        await keys.caller(key)
    return failure.value.code


async def test_a_key_is_its_vendor_limited_to_its_scopes_and_a_principal_of_its_own(keys: ApiKeys) -> None:
    caller = await keys.caller(a_key())
    assert (caller.user_id, caller.roles, caller.vendor_id) == ("000000000001", {"vendor"}, "v1")
    assert caller.scopes == {"orders:read"}


async def test_a_verdict_is_believed_for_less_than_a_second_of_use(
    keys: ApiKeys, auth: Auth, clock: ManualClock
) -> None:
    for _ in range(3):
        await keys.caller(a_key())
    assert len(auth.asked) == 1
    auth.revoked.add("000000000001")
    clock.advance(seconds(FRESH_SECONDS - 0.01))
    assert await keys.caller(a_key())
    clock.advance(seconds(0.01))
    assert await refused(keys, a_key()) == "auth.api_key_refused"
    assert FRESH_SECONDS < 1


async def test_the_time_that_the_answer_took_counts(keys: ApiKeys, auth: Auth) -> None:
    auth.takes = FRESH_SECONDS
    await keys.caller(a_key())
    await keys.caller(a_key())
    assert len(auth.asked) == 2


async def test_a_key_is_not_believed_past_its_end(keys: ApiKeys, auth: Auth, clock: ManualClock) -> None:
    auth.lives = 0.0
    clock.at = clock.at.replace(microsecond=0)
    await keys.caller(a_key())
    auth.revoked.add("000000000001")
    assert await refused(keys, a_key()) == "auth.api_key_refused"


async def test_many_requests_at_once_are_one_question_that_names_each_key_once(
    keys: ApiKeys, auth: Auth
) -> None:
    callers = await asyncio.gather(*(keys.caller(a_key(n % 3)) for n in range(30)))
    assert sorted(auth.asked[0]) == [f"{n:012}" for n in range(3)]
    assert len(auth.asked) == 1
    assert [caller.user_id for caller in callers] == [f"{n % 3:012}" for n in range(30)]


async def test_a_refused_key_is_not_asked_about_again_at_once(keys: ApiKeys, auth: Auth) -> None:
    auth.revoked.add("000000000001")
    for _ in range(3):
        assert await refused(keys, a_key()) == "auth.api_key_refused"
    assert len(auth.asked) == 1


@pytest.mark.parametrize(
    "wrong", [b"ohk_", b"ohk_x", a_key()[:-1], a_key() + b"0", a_key().swapcase(), b"\xff" * 66, b"ohk_\x00"], ids=range(7)
)  # fmt: skip
async def test_what_is_no_key_is_refused_without_a_question(keys: ApiKeys, auth: Auth, wrong: bytes) -> None:
    assert await refused(keys, wrong) == "auth.api_key_refused"
    assert auth.asked == []


async def test_without_auth_nobody_comes_in_and_that_is_not_remembered(
    keys: ApiKeys, auth: Auth, clock: ManualClock
) -> None:
    await keys.caller(a_key())
    clock.advance(seconds(1))
    auth.failure = Unavailable("auth is away")
    assert await refused(keys, a_key()) == Unavailable.code
    auth.failure = None
    assert await keys.caller(a_key())


async def test_what_is_remembered_has_a_bound_and_holds_no_key(
    keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "KNOWN", 3)
    for number in range(10):
        await keys.caller(a_key(number))
    assert len(keys._known) == 3
    assert a_key(9).decode() not in str(keys._known)


def test_the_document_and_the_contract_name_the_same_scopes() -> None:
    assert get_args(Scope) == tuple(contract.SCOPES)
