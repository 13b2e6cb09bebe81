"""What users say of themselves: name, telephone number and postal address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from orderhub_chassis.calls import Call, Caller, service_caller
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.errors import Failure, Kind
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.auth.v1.profile_pb2 import UpdateProfileRequest
from orderhub_contracts.auth.v1.profile_pb2_grpc import ProfileServiceStub

BERLIN = pb.PostalAddress(
    street_address="Invalidenstr. 1", locality="Berlin", postal_code="10115", country="DE"
)
Update = Callable[..., Awaitable[pb.User]]


@pytest.fixture
async def ada(opened: Any) -> pb.User:
    request = pb.CreateUserRequest(
        email="ada@example.org", password="a password for tests", roles=["customer"], name="Ada"
    )
    made: pb.User = await opened.peer.call(
        opened.stub.CreateUser, request, call=Call(caller=service_caller("test"))
    )
    return made


@pytest.fixture
def update(opened: Any, ada: pb.User) -> Update:
    """`await update(phone=…)`, as Ada; `caller` is somebody else."""
    stub = ProfileServiceStub(opened.peer.channel)

    async def updated(caller: Caller | None = None, **fields: Any) -> pb.User:
        call = Call(caller=caller or Caller(ada.id, frozenset({"customer"})))
        made: pb.User = await opened.peer.call(stub.UpdateProfile, UpdateProfileRequest(**fields), call=call)
        return made

    return updated


async def me(opened: Any, ada: pb.User) -> pb.User:
    call = Call(caller=Caller(ada.id, frozenset({"customer"})))
    found: pb.User = await opened.peer.call(opened.stub.GetMe, pb.GetMeRequest(), call=call)
    return found


async def refused(work: Awaitable[Any]) -> Failure:
    with pytest.raises(Failure) as caught:
        await work
    return caught.value


async def test_what_is_given_changes_and_the_rest_stays(opened: Any, ada: pb.User, update: Update) -> None:
    assert (ada.phone, ada.HasField("address"), ada.updated_at) == ("", False, ada.created_at)
    opened.clock.advance(timedelta(hours=1))
    await update(phone="+49 (30) 123-4567")
    changed = await update(address=BERLIN)
    assert (changed.name, changed.phone, changed.address) == ("Ada", "+49301234567", BERLIN)
    assert changed.updated_at == rfc3339(opened.clock.now())
    assert await me(opened, ada) == changed
    unchanged = ("id", "email", "roles", "email_verified", "vendor_id", "created_at", "disabled")
    assert all(getattr(ada, field) == getattr(changed, field) for field in unchanged)


async def test_what_is_empty_is_taken_away(opened: Any, ada: pb.User, update: Update) -> None:
    await update(phone="+49301234567", address=BERLIN)
    changed = await update(name="", phone="", address=pb.PostalAddress())
    assert (changed.name, changed.phone, changed.HasField("address")) == ("", "", False)
    assert await opened.db.fetchval("select address is null from users where id = $1", ada.id)


async def test_an_address_is_one_thing_and_given_as_a_whole(update: Update) -> None:
    await update(address=BERLIN)
    changed = await update(address=pb.PostalAddress(locality="Potsdam"))
    assert changed.address == pb.PostalAddress(locality="Potsdam")


async def test_lines_of_an_address_stay_lines(update: Update) -> None:
    changed = await update(address=pb.PostalAddress(formatted=" Invalidenstr. 1\r\n10115 Berlin \n"))
    assert changed.address.formatted == "Invalidenstr. 1\n10115 Berlin"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"name": "x" * 201}, "/name"),
        ({"phone": "030 1234567"}, "/phone"),
        ({"phone": "+0301234567"}, "/phone"),
        ({"phone": "+49301234567890123"}, "/phone"),
        ({"phone": "call me"}, "/phone"),
        ({"address": {"locality": "Ber\nlin"}}, "/address/locality"),
        ({"address": {"country": "x" * 501}}, "/address/country"),
        ({"address": {"formatted": "a bell \a"}}, "/address/formatted"),
    ],
)
async def test_what_cannot_be_names_its_field_and_changes_nothing(
    opened: Any, ada: pb.User, update: Update, fields: dict[str, Any], pointer: str
) -> None:
    failure = await refused(update(**{"name": "Eve", **fields}))
    assert (failure.kind, failure.errors[0].pointer) == (Kind.INVALID, pointer)
    assert await me(opened, ada) == ada


async def test_only_ones_own_and_only_of_users_that_there_are(update: Update) -> None:
    assert (await refused(update(Caller("", frozenset()), name="x"))).kind is Kind.UNAUTHENTICATED
    stranger = Caller(str(uuid4()), frozenset({"operator"}))
    assert (await refused(update(stranger, name="x"))).code == "auth.user_not_found"
