"""Wrong passwords make their guesser wait, on every replica, and nobody else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import cycle
from typing import Any

import pytest
from orderhub_auth.app import build
from orderhub_auth.backoff import Keys
from orderhub_auth.errors import PasswordsBusy
from orderhub_auth.passwords import Passwords
from orderhub_auth.settings import Settings
from orderhub_auth.store import guesses
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Failure, Kind
from orderhub_chassis.grpc import client
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub

ADA, EVE, PASSWORD, WRONG = "ada@example.org", "eve@example.org", "a password for tests", "a wrong password"
HOME, CAFE, ATTACKER = "198.51.100.1", "198.51.100.2", "203.0.113.7"
HELD = "auth.guessed_too_often"
CLEAN = "delete from guesses where key in (select key from guesses for update skip locked)"
"""What the clean-up does with rows that say nothing, if nobody holds them."""


class Replicas:
    """Two of auth on one database and by one clock; calls go to them in turn."""

    def __init__(self, peers: list[client.Peer], clock: ManualClock, db: Any) -> None:
        self._next = cycle((peer, AuthServiceStub(peer.channel)) for peer in peers)
        self.clock, self.db = clock, db

    async def __call__(self, method: str, request: Any, call: Call | None = None) -> Any:
        peer, stub = next(self._next)
        return await peer.call(getattr(stub, method), request, call=call)

    async def register(self, email: str) -> None:
        await self("Register", pb.RegisterRequest(email=email, password=PASSWORD))

    async def login(self, email: str, password: str, address: str) -> str:
        """How it ended: `in`, or the code of the refusal."""
        request = pb.LoginRequest(email=email, password=password, client=pb.Client(address=address))
        try:
            await self("Login", request)
        except Failure as failure:
            self.refused = failure
            return failure.code.removeprefix("auth.")
        return "in"

    async def guess(self, times: int, email: str = ADA, address: str = ATTACKER) -> list[str]:
        return [await self.login(email, WRONG, address) for _ in range(times)]


@pytest.fixture
async def replicas(settings: Settings) -> AsyncIterator[Replicas]:
    clock, as_shipped = (
        ManualClock(),
        {
            name: Settings.model_fields[name].default
            for name in (
                "wrong_passwords_per_place",
                "wrong_passwords_per_account",
                "wrong_passwords_per_address",
            )
        },
    )
    settings = settings.model_copy(update=as_shipped)
    async with AsyncExitStack() as stack:
        services = [
            await stack.enter_async_context(build(settings, Surroundings(clock=clock))) for _ in range(2)
        ]
        peers = [
            await stack.enter_async_context(
                client.connect(f"127.0.0.1:{one.grpc_port}", one.chassis.tokens, timedelta(seconds=10))
            )
            for one in services
        ]
        yield Replicas(peers, clock, services[0].chassis.db)


@pytest.mark.parametrize("email", [ADA, "nobody@example.org"], ids=["known", "unknown"])
async def test_guesses_at_one_account_have_to_wait_longer_and_longer_whether_it_is_there_or_not(
    replicas: Replicas, email: str, hashes: Counter[str]
) -> None:
    await replicas.register(ADA)
    assert await replicas.guess(6, email) == ["wrong_credentials"] * 5 + ["guessed_too_often"]
    hashes.clear()
    for seconds in (1, 2, 4):
        assert await replicas.login(email, WRONG, ATTACKER) == "guessed_too_often"
        refused = replicas.refused
        assert (refused.kind, refused.code, refused.retry_after) == (Kind.RATE_LIMITED, HELD, seconds)
        replicas.clock.advance(timedelta(seconds=seconds - 0.001))
        assert await replicas.login(email, PASSWORD, ATTACKER) == "guessed_too_often", "right ones wait too"
        replicas.clock.advance(timedelta(seconds=0.001))
        assert await replicas.login(email, WRONG, ATTACKER) == "wrong_credentials", "Retry-After is honest"
    assert hashes == {"verify": 3}, "nobody looks at a password that has to wait"


async def test_of_a_hundred_guesses_at_once_no_more_are_looked_at_than_of_a_hundred_in_a_row(
    replicas: Replicas, hashes: Counter[str]
) -> None:
    await replicas.register(ADA)
    hashes.clear()
    answers = await asyncio.gather(*(_alone(replicas, number) for number in range(100)))
    assert Counter(answers) == {"wrong_credentials": 5, "guessed_too_often": 95}
    assert hashes == {"verify": 5}


async def _alone(replicas: Replicas, number: int) -> str:
    return await replicas.login(ADA, f"{WRONG} {number}", ATTACKER)


async def test_an_attack_from_everywhere_locks_nobody_out(replicas: Replicas) -> None:
    """Where Ada has logged in before nothing is felt of it; elsewhere she waits for seconds, or asks for a mail."""
    await replicas.register(ADA)
    assert await replicas.login(ADA, PASSWORD, HOME) == "in"
    for number in range(60):
        await replicas.guess(1, address=f"203.0.113.{number}")
    assert await replicas.login(ADA, PASSWORD, CAFE) == "guessed_too_often"
    assert replicas.refused.retry_after <= 5
    assert await replicas.login(ADA, PASSWORD, HOME) == "in"
    assert await replicas.login(ADA, PASSWORD, CAFE) == "guessed_too_often", (
        "a login elsewhere ends no attack"
    )
    replicas.clock.advance(timedelta(seconds=5))
    assert await replicas.login(ADA, PASSWORD, CAFE) == "in"


async def test_a_refresh_neither_waits_nor_forgives(replicas: Replicas) -> None:
    await replicas.register(ADA)
    request = pb.LoginRequest(email=ADA, password=PASSWORD, client=pb.Client(address=HOME))
    token = (await replicas("Login", request)).refresh_token
    assert (await replicas.guess(6))[-1] == "guessed_too_often"
    for _ in range(3):
        refresh = pb.RefreshRequest(refresh_token=token, client=pb.Client(address=ATTACKER))
        token = (await replicas("Refresh", refresh)).refresh_token
    assert await replicas.guess(1) == ["guessed_too_often"]


async def test_a_password_tried_on_many_accounts_is_slow_and_own_logins_in_between_do_not_help(
    replicas: Replicas,
) -> None:
    await replicas.register(ADA)
    await replicas.register(EVE)
    for number in range(50):
        assert await replicas.guess(1, f"user-{number}@example.org") == ["wrong_credentials"], number
        assert await replicas.login(EVE, PASSWORD, ATTACKER) == "in"
    assert await replicas.guess(1, "another@example.org") == ["guessed_too_often"]
    assert await replicas.login(EVE, PASSWORD, ATTACKER) == "in", "who has logged in there before is not held"
    assert await replicas.guess(1, "another@example.org") == ["guessed_too_often"]
    assert await replicas.login(ADA, PASSWORD, HOME) == "in", "another address is not concerned"


async def test_a_right_password_starts_the_count_of_its_place_again(replicas: Replicas) -> None:
    await replicas.register(ADA)
    for _ in range(3):
        assert await replicas.guess(4, address=HOME) == ["wrong_credentials"] * 4
        assert await replicas.login(ADA, PASSWORD, HOME) == "in"


async def test_guesses_with_a_stolen_token_wait_and_hold_up_no_login(replicas: Replicas) -> None:
    await replicas.register(ADA)
    request = pb.LoginRequest(email=ADA, password=PASSWORD, client=pb.Client(address=HOME))
    user = (await replicas("Login", request)).user
    call = Call(caller=Caller(user.id, frozenset({"customer"})))
    codes = []
    for _ in range(6):
        change = pb.ChangePasswordRequest(current_password=WRONG, new_password=f"{PASSWORD} 2")
        with pytest.raises(Failure) as caught:
            await replicas("ChangePassword", change, call)
        codes.append(caught.value.code)
    assert codes == ["auth.wrong_password"] * 5 + [HELD]
    for address in (HOME, CAFE):
        assert await replicas.login(ADA, PASSWORD, address) == "in"


async def test_a_password_nobody_had_time_for_is_no_wrong_one(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    await replicas.register(ADA)

    async def busy(passwords: Any, password: str, hash: str | None) -> bool:
        raise PasswordsBusy

    with monkeypatch.context() as patch:
        patch.setattr(Passwords, "verify", busy)
        assert await replicas.guess(10) == ["busy"] * 10
    assert await replicas.guess(6) == ["wrong_credentials"] * 5 + ["guessed_too_often"]


async def test_nobody_reads_from_the_counts_who_logged_in_from_where(replicas: Replicas) -> None:
    await replicas.register(ADA)
    await replicas.guess(1)
    rows = await replicas.db.fetch("select g::text from guesses g")
    assert len(rows) == 3
    assert not any(text in str(row) for row in rows for text in ("ada", ATTACKER))


async def test_counts_that_are_looked_at_are_not_cleaned_away_meanwhile(replicas: Replicas) -> None:
    """Forgiven counts say nothing and may go; between making sure that they are there and reading them they did."""
    keys = Keys.of(ADA, HOME)
    await replicas.db.run(lambda tx: guesses.load_counts(tx, keys))

    async def work(tx: Any) -> Any:
        async def cleaned_before(query: str, *given: Any) -> Any:
            await replicas.db.execute(CLEAN)
            return await fetch(query, *given)

        fetch, tx.fetch = tx.fetch, cleaned_before
        return await guesses.load_counts(tx, keys)

    await replicas.db.run(work)
