"""Becoming a customer: what a stranger learns from it (nothing), and what the owner of an address does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from orderhub_chassis import messages
from orderhub_chassis.errors import Failure
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.events.v1 import events_pb2

ADA, PASSWORD, OTHER = "ada@example.org", "a password for tests", "another long password"
MAILS = (events_pb2.EmailVerificationRequested, events_pb2.RegistrationAttempted)


class Auth:
    """A running auth, and what it announced of registrations."""

    def __init__(self, opened: Any, bus: asyncpg.Connection) -> None:
        self.clock, self.db = opened.clock, opened.db
        self._opened, self._bus = opened, bus

    async def __call__(self, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        return await self._opened.peer.call(getattr(self._opened.stub, method), request)

    async def register(self, email: str = ADA, password: str = PASSWORD, name: str = "Ada") -> Any:
        return await self("Register", email=email, password=password, name=name)

    async def mails(self) -> list[Any]:
        """The oldest first: on the bus, or still in the outbox."""
        rows = await self.db.fetch("select records from outbox")
        rows += await self._bus.fetch("select records from log")
        records = {
            r.id: r
            for row in rows
            for part in messages.unpack(row["records"]).parts
            for r in messages.batch_from_bytes(part.batch).records
        }
        kinds = {kind.DESCRIPTOR.full_name: kind for kind in MAILS}
        return [kinds[r.type].FromString(r.payload) for _, r in sorted(records.items()) if r.type in kinds]

    async def warnings(self) -> list[str]:
        """Who was told that somebody registered with its address."""
        return [
            mail.email for mail in await self.mails() if isinstance(mail, events_pb2.RegistrationAttempted)
        ]


@pytest.fixture
async def auth(opened: Any, bus_url: str) -> AsyncIterator[Auth]:
    bus = await asyncpg.connect(bus_url)
    yield Auth(opened, bus)
    await bus.close()


async def test_a_new_customer_may_log_in_and_has_a_code_in_the_mail(auth: Auth) -> None:
    await auth.register(" Ada@Example.org")
    pair = await auth("Login", email=ADA, password=PASSWORD)
    assert (pair.user.name, list(pair.user.roles), pair.user.email_verified) == ("Ada", ["customer"], False)
    [mail] = await auth.mails()
    assert (mail.email, mail.user_id) == (ADA, pair.user.id)
    await auth("ConfirmEmailVerification", code=mail.code)
    assert (await auth("Login", email=ADA, password=PASSWORD)).user.email_verified


async def test_a_known_address_is_answered_like_a_new_one_and_its_owner_is_mailed(
    auth: Auth, hashes: Counter[str]
) -> None:
    costs, answers = [], []
    for email in (ADA, "eve@example.org", "ADA@example.org"):
        hashes.clear()
        answers.append(
            (await auth.register(email, OTHER if answers else PASSWORD, "Eve")).SerializeToString()
        )
        costs.append(dict(hashes))
    assert answers == [b""] * 3
    assert costs == [{"hash": 1}] * 3
    assert await auth.warnings() == [ADA]
    assert (await auth("Login", email=ADA, password=PASSWORD)).user.name == "Eve"
    with pytest.raises(Failure) as caught:
        await auth("Login", email=ADA, password=OTHER)
    assert caught.value.code == "auth.wrong_credentials"


async def test_both_ways_write_in_their_transaction(auth: Auth) -> None:
    """What writes nothing commits without waiting for the disk, which would be seen from far away."""
    await auth.register()
    await auth.register()
    for email in (ADA, "eve@example.org"):
        before = await auth.db.fetchval("select xmin::text from users where email = $1", email)
        await auth.register(email)
        after = await auth.db.fetchval("select xmin::text from users where email = $1", email)
        assert after not in (before, None)


@pytest.mark.parametrize(
    ("password", "name", "pointer"),
    [("short", "", "/password"), (ADA, "", "/password"), (PASSWORD, "a bell \a", "/name")],
    ids=["length", "is email", "name"],
)
async def test_what_is_refused_is_refused_for_any_address(
    auth: Auth, password: str, name: str, pointer: str
) -> None:
    for _ in range(2):
        with pytest.raises(Failure) as caught:
            await auth.register(password=password, name=name)
        assert caught.value.errors[0].pointer == pointer
        await auth.register()


async def test_an_owner_is_told_once_an_hour(auth: Auth) -> None:
    await auth.register()
    await asyncio.gather(*(auth.register() for _ in range(5)))
    assert await auth.warnings() == [ADA]
    auth.clock.advance(timedelta(minutes=59))
    await auth.register()
    assert await auth.warnings() == [ADA]
    auth.clock.advance(timedelta(minutes=1))
    await auth.register()
    assert await auth.warnings() == [ADA] * 2


async def test_of_registrations_at_the_same_moment_one_makes_the_user(auth: Auth) -> None:
    await asyncio.gather(*(auth.register() for _ in range(5)))
    assert await auth.db.fetchval("select count(*) from users") == 1
    assert await auth.warnings() == [ADA]


async def test_who_cannot_come_in_is_not_told(auth: Auth) -> None:
    await auth.register()
    await auth.db.execute("update users set disabled = true")
    await auth.register()
    assert await auth.warnings() == []
