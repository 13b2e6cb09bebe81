"""What operators change of users: standing, names, and whether they may come in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from orderhub_chassis.calls import Call, Caller, service_caller
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.errors import Failure, Kind
from orderhub_contracts.auth.v1 import auth_pb2 as pb

PASSWORD = "a password for tests"
OPERATOR = Call(caller=Caller(str(uuid4()), frozenset({"operator"})))
Ask = Callable[..., Awaitable[Any]]
Standing = pb.UpdateUserRequest.Standing


@pytest.fixture
def ask(opened: Any) -> Ask:
    """`await ask("UpdateUser", id=…)`, as an operator who is no user here; `call` is another caller."""

    async def asked(method: str, call: Call = OPERATOR, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        return await opened.peer.call(getattr(opened.stub, method), request, call=call)

    return asked


async def made(ask: Ask, email: str, *roles: str) -> pb.User:
    call = Call(caller=service_caller("launcher"))
    return await ask("CreateUser", call, email=email, password=PASSWORD, roles=roles or ["customer"])


async def refused(work: Awaitable[Any]) -> Failure:
    with pytest.raises(Failure) as caught:
        await work
    return caught.value


async def test_a_disabled_user_is_stopped_at_every_door_until_it_is_let_in_again(ask: Ask) -> None:
    user = await made(ask, "ada@example.org")
    pair = await ask("Login", email=user.email, password=PASSWORD)
    assert (await ask("UpdateUser", id=user.id, disabled=True)).disabled
    assert (await refused(ask("Login", email=user.email, password=PASSWORD))).code == "auth.user_disabled"
    assert (await refused(ask("Refresh", refresh_token=pair.refresh_token))).code == "auth.refresh_refused"
    wrong = await refused(ask("Login", email=user.email, password="a wrong password"))
    assert wrong.code == "auth.wrong_credentials", "who does not know the password learns nothing of the user"
    assert not (await ask("UpdateUser", id=user.id, disabled=False)).disabled
    assert (await ask("Login", email=user.email, password=PASSWORD)).user.id == user.id
    assert (await refused(ask("Refresh", refresh_token=pair.refresh_token))).code == "auth.refresh_refused"


async def test_a_lock_ends_the_sessions_and_then_ends_by_itself_or_by_an_operator(
    ask: Ask, opened: Any
) -> None:
    user = await made(ask, "ada@example.org")
    login = {"email": user.email, "password": PASSWORD}
    for ended_by in ("time", "operator"):
        pair = await ask("Login", **login)
        until = rfc3339(opened.clock.now() + timedelta(hours=1))
        assert (await ask("UpdateUser", id=user.id, locked_until=until)).locked_until == until
        assert (await refused(ask("Login", **login))).code == "auth.user_locked"
        assert (
            await refused(ask("Refresh", refresh_token=pair.refresh_token))
        ).code == "auth.refresh_refused"
        if ended_by == "time":
            opened.clock.advance(timedelta(hours=1))
        else:
            assert (await ask("UpdateUser", id=user.id, locked_until="")).locked_until == ""
        assert (await ask("Login", **login)).user.id == user.id
        assert (
            await refused(ask("Refresh", refresh_token=pair.refresh_token))
        ).code == "auth.refresh_refused"


@pytest.mark.parametrize(
    "until", ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00", "soon"]
)
async def test_a_lock_lies_ahead(ask: Ask, until: str) -> None:
    user = await made(ask, "ada@example.org")
    failure = await refused(ask("UpdateUser", id=user.id, locked_until=until, disabled=True))
    assert (failure.kind, failure.errors[0].pointer) == (Kind.INVALID, "/locked_until")
    assert await ask("GetUser", id=user.id) == user


async def test_what_is_not_given_stays(ask: Ask) -> None:
    user = await made(ask, "ada@example.org", "customer", "courier")
    changed = await ask("UpdateUser", id=user.id, name="Ada")
    assert (changed.name, list(changed.roles), changed.disabled) == ("Ada", ["courier", "customer"], False)
    changed = await ask("UpdateUser", id=user.id, standing=Standing(roles=["customer"]))
    assert (changed.name, list(changed.roles)) == ("Ada", ["customer"])
    assert await ask("GetUser", id=user.id) == changed


async def test_other_roles_are_in_the_next_access_token(ask: Ask) -> None:
    user = await made(ask, "ada@example.org")
    pair = await ask("Login", email=user.email, password=PASSWORD)
    vendor = str(uuid4())
    await ask("UpdateUser", id=user.id, standing=Standing(roles=["vendor"], vendor_id=vendor))
    again = await ask("Refresh", refresh_token=pair.refresh_token)
    assert (list(again.user.roles), again.user.vendor_id) == (["vendor"], vendor)


@pytest.mark.parametrize(
    ("standing", "pointer"),
    [
        (Standing(roles=["vendor"]), "/vendor_id"),
        (Standing(roles=["customer"], vendor_id="0198c0de-0000-7000-8000-0000000000ff"), "/vendor_id"),
        (Standing(roles=["king"]), "/roles"),
        (Standing(), "/roles"),
    ],
)
async def test_a_standing_that_cannot_be_changes_nothing(ask: Ask, standing: Any, pointer: str) -> None:
    user = await made(ask, "ada@example.org")
    failure = await refused(ask("UpdateUser", id=user.id, standing=standing, disabled=True))
    assert (failure.kind, failure.errors[0].pointer) == (Kind.INVALID, pointer)
    assert await ask("GetUser", id=user.id) == user


@pytest.mark.parametrize(
    "change",
    [
        {"disabled": True},
        {"standing": Standing(roles=["customer"])},
        {"locked_until": "2027-01-01T00:00:00Z"},
    ],
    ids=["disabled", "customer", "locked"],
)
async def test_the_last_operator_stays_one(ask: Ask, change: dict[str, Any]) -> None:
    one, other = [await made(ask, f"{n}@example.org", "operator") for n in ("one", "other")]
    answers = await asyncio.gather(
        *(ask("UpdateUser", id=user.id, **change) for user in (one, other)), return_exceptions=True
    )
    [lost] = [answer for answer in answers if isinstance(answer, Exception)]
    assert isinstance(lost, Failure)
    assert lost.code == "auth.last_operator"


@pytest.mark.parametrize("id", ["0198c0de-0000-7000-8000-0000000000ff", "no-uuid", ""])
async def test_nobody_is_not_found(ask: Ask, id: str) -> None:
    for method in ("GetUser", "UpdateUser"):
        assert (await refused(ask(method, id=id))).code == "auth.user_not_found"


async def test_only_operators_may(ask: Ask) -> None:
    user = await made(ask, "ada@example.org")
    mine = Call(caller=Caller(user.id, frozenset({"customer"})))
    for method in ("GetUser", "UpdateUser"):
        assert (await refused(ask(method, mine, id=user.id))).kind is Kind.FORBIDDEN
