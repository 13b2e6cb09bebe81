"""Second factors that somebody guesses at, that their owner has lost, and that are switched off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from orderhub_auth import model, totp
from orderhub_auth.app import build
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.errors import Kind
from orderhub_chassis.grpc import client
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1 import auth_pb2
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from orderhub_contracts.events.v1 import mfa_pb2 as events
from pydantic import SecretStr
from second_steps import ADA, NEW, OPERATOR, PASSWORD, SURE, App, Auth, code_of, opened_with_ada, refused


@pytest.fixture
async def auth(opened: Any, bus_url: str) -> AsyncIterator[Auth]:
    async with opened_with_ada(opened, bus_url) as made:
        yield made


@pytest.fixture
async def ada(auth: Auth) -> Call:
    """Logged in by a password, as everybody is before there is a second factor."""
    return await auth.as_(await auth.login())


async def guess(auth: Auth, app: App, times: int) -> list[str]:
    """Wrong codes after the right password, as many as a login takes before it has to begin again."""
    answers: list[str] = []
    while len(answers) < times:
        token = await auth.step_up()
        for _ in range(min(model.MOST_GUESSES, times - len(answers))):
            answers.append(await code_of(auth.verify(token, app.wrong_code())))
    return answers


async def test_a_login_takes_few_wrong_codes_and_has_to_begin_again_then(auth: Auth, ada: Call) -> None:
    _, recovery = await auth.enrolled(ada)
    token = await auth.step_up()
    wrong = "aaaa-bbbb-cccc-dddd"
    answers = [await code_of(auth.verify(token, wrong)) for _ in range(model.MOST_GUESSES)]
    assert answers == ["auth.wrong_code"] * model.MOST_GUESSES
    assert await code_of(auth.verify(token, recovery[0])) == "auth.mfa_token_refused"
    await auth.verify(await auth.step_up(), recovery[0])


async def test_guesses_at_once_are_counted_like_guesses_one_after_another(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    token, wrong = await auth.step_up(), app.wrong_code()
    answers = await asyncio.gather(*(code_of(auth.verify(token, wrong)) for _ in range(12)))
    assert answers.count("auth.wrong_code") == model.MOST_GUESSES
    assert set(answers) == {"auth.wrong_code", "auth.mfa_token_refused"}


async def test_guessing_is_slow_over_all_logins_and_says_how_long_to_wait(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    assert set(await guess(auth, app, totp.FREE_GUESSES)) == {"auth.wrong_code"}
    for minutes in (1, 2, 4):
        token = await auth.step_up()
        failure = await refused(auth.verify(token, app.code()))
        assert (failure.kind, failure.code) == (Kind.RATE_LIMITED, "auth.codes_too_fast")
        assert failure.retry_after == minutes * 60
        auth.clock.advance(timedelta(minutes=minutes))
        assert await guess(auth, app, 1) == ["auth.wrong_code"]


async def test_who_waits_comes_in_with_a_recovery_code_and_with_the_app_when_the_wait_is_over(
    auth: Auth, ada: Call
) -> None:
    app, recovery = await auth.enrolled(ada)
    await guess(auth, app, totp.FREE_GUESSES)
    token = await auth.step_up()
    assert await code_of(auth.verify(token, app.code())) == "auth.codes_too_fast"
    await auth.verify(token, recovery[0])
    auth.clock.advance(totp.FIRST_WAIT)
    await auth.verify(await auth.step_up(), app.code())
    assert await guess(auth, app, totp.FREE_GUESSES) == ["auth.wrong_code"] * totp.FREE_GUESSES, "anew"


async def test_who_does_not_know_the_password_makes_nobody_wait(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    stale = Call(caller=Caller(ada.caller.user_id, ada.caller.roles))
    for _ in range(totp.FREE_GUESSES + 3):
        assert await code_of(auth.login("a wrong password")) == "auth.wrong_credentials"
        assert await code_of(auth.verify("ohm_unknown", app.wrong_code())) == "auth.mfa_token_refused"
        for method in ("DisableTotp", "RenewRecoveryCodes"):
            for password, code in (("", "auth.password_needed"), ("a guess", "auth.wrong_password")):
                fields = {"current_password": password, "code": app.wrong_code()}
                assert await code_of(auth(method, stale, **fields)) == code
    assert await auth.db.fetchval("select failures from authenticators") == 0
    await auth.verify(await auth.step_up(), app.next_code())


async def test_guesses_go_on_counting_over_a_new_password(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    await guess(auth, app, totp.FREE_GUESSES)
    await auth("ChangePassword", ada, current_password=PASSWORD, new_password=NEW)
    assert await code_of(auth.verify(await auth.step_up(NEW), app.code())) == "auth.codes_too_fast"


async def test_guesses_at_the_first_code_are_slow_as_well(auth: Auth, ada: Call) -> None:
    app = App(auth, (await auth("EnrollTotp", ada)).secret)
    answers = [await code_of(auth("ConfirmTotp", ada, code=app.wrong_code())) for _ in range(6)]
    assert answers == ["auth.wrong_code"] * 5 + ["auth.codes_too_fast"]


async def test_a_user_hears_that_somebody_guesses_after_the_right_password(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    await guess(auth, app, totp.FREE_GUESSES - 1)
    assert await auth.announced() == [events.MfaEnabled(user_id=ada.caller.user_id)]
    await guess(auth, app, 1)
    auth.clock.advance(totp.FIRST_WAIT)
    await guess(auth, app, 1)
    assert await auth.announced() == [
        events.MfaEnabled(user_id=ada.caller.user_id),
        events.SecondFactorGuessed(user_id=ada.caller.user_id),
    ], "once, and not at every guess"


async def test_a_recovery_code_opens_once_however_it_is_typed_and_its_owner_hears_of_it(
    auth: Auth, ada: Call
) -> None:
    _, recovery = await auth.enrolled(ada)
    assert len(set(recovery)) == 10
    typed = f" {recovery[3].upper().replace('-', ' ')} "
    pair = await auth.verify(await auth.step_up(), typed)
    assert (await auth.claims(pair))["amr"] == ["pwd", "otp", "mfa"]
    assert await code_of(auth.verify(await auth.step_up(), recovery[3])) == "auth.wrong_code"
    assert (await auth("CountRecoveryCodes", ada)).left == 9
    assert (await auth.announced())[-1] == events.RecoveryCodeUsed(user_id=ada.caller.user_id, left=9)


async def test_of_one_recovery_code_in_many_logins_at_once_one_counts(auth: Auth, ada: Call) -> None:
    _, recovery = await auth.enrolled(ada)
    tokens = [await auth.step_up() for _ in range(4)]
    answers = await asyncio.gather(*(code_of(auth.verify(token, recovery[0])) for token in tokens))
    assert sorted(answers) == ["auth.wrong_code"] * 3 + ["done"]


async def test_a_recovery_code_of_another_user_is_worth_nothing(auth: Auth, ada: Call) -> None:
    await auth.enrolled(ada)
    await auth.user("eve@example.org")
    eve = await auth.as_(await auth.login(email="eve@example.org"))
    _, hers = await auth.enrolled(eve)
    assert await code_of(auth.verify(await auth.step_up(), hers[0])) == "auth.wrong_code"


async def test_new_recovery_codes_make_the_old_ones_void_and_need_the_password_and_a_code(
    auth: Auth, ada: Call
) -> None:
    app, old = await auth.enrolled(ada)
    auth.clock.advance(timedelta(minutes=5))
    renew = "RenewRecoveryCodes"
    assert await code_of(auth(renew, ada, code=app.next_code())) == "auth.password_needed"
    assert await code_of(auth(renew, ada, **SURE, code=app.wrong_code())) == "auth.wrong_code"
    new = list((await auth(renew, ada, **SURE, code=app.next_code())).codes)
    assert len({*old, *new}) == 20
    assert await code_of(auth.verify(await auth.step_up(), old[0])) == "auth.wrong_code"
    await auth.verify(await auth.step_up(), new[0])
    kinds = [type(event) for event in await auth.announced()]
    assert kinds == [events.MfaEnabled, events.RecoveryCodesReplaced, events.RecoveryCodeUsed]


@pytest.mark.parametrize("by", ["app", "recovery code"])
async def test_it_is_switched_off_by_the_password_and_a_code_and_a_password_is_enough_again(
    auth: Auth, ada: Call, by: str
) -> None:
    app, recovery = await auth.enrolled(ada)
    half = await auth.step_up()
    auth.clock.advance(timedelta(minutes=4, seconds=59))
    code = app.code() if by == "app" else recovery[0]
    assert await code_of(auth("DisableTotp", ada, **SURE, code=app.wrong_code())) == "auth.wrong_code"
    await auth("DisableTotp", ada, **SURE, code=code)
    assert await code_of(auth.verify(half, recovery[1])) == "auth.mfa_token_refused"
    pair = await auth.login()
    assert ((await auth.claims(pair))["amr"], pair.user.mfa_enabled) == (["pwd"], False)
    assert (await auth("CountRecoveryCodes", ada)).left == 0
    told = (await auth.announced())[-1]
    assert told == events.MfaDisabled(user_id=ada.caller.user_id, by_operator=False)
    again, _ = await auth.enrolled(ada)
    assert again.secret != app.secret


async def test_an_operator_switches_it_off_for_who_has_lost_everything(auth: Auth, ada: Call) -> None:
    await auth.enrolled(ada)
    assert (await auth("GetUser", OPERATOR, id=ada.caller.user_id)).mfa_enabled
    for _ in range(2):
        await auth("SwitchOffMfa", OPERATOR, user_id=ada.caller.user_id)
    assert not (await auth.login()).user.mfa_enabled
    told = [event for event in await auth.announced() if isinstance(event, events.MfaDisabled)]
    assert told == [events.MfaDisabled(user_id=ada.caller.user_id, by_operator=True)], (
        "what was off is no news"
    )


@pytest.mark.parametrize("role", ["customer", "vendor", "courier", "service"])
async def test_nobody_else_switches_anybodys_off(auth: Auth, ada: Call, role: str) -> None:
    await auth.enrolled(ada)
    other = Call(caller=Caller(ada.caller.user_id, frozenset({role})))
    assert (await refused(auth("SwitchOffMfa", other, user_id=ada.caller.user_id))).kind is Kind.FORBIDDEN
    for unknown in ("0198c0de-0000-7000-8000-00000000dead", "no id", ""):
        assert await code_of(auth("SwitchOffMfa", OPERATOR, user_id=unknown)) == "auth.user_not_found"
    await auth.step_up()


async def test_a_new_password_by_mail_opens_nothing_without_the_second_factor(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    hash = await auth.db.fetchval("select password_hash from users")
    await auth("RequestPasswordReset", email=ADA)
    code = await auth.mailed_code()
    assert await auth("ConfirmPasswordReset", code=code, new_password=NEW) == RESET
    assert await auth.db.fetchval("select password_hash from users") != hash
    await auth.verify(await auth.step_up(NEW), app.next_code())


RESET = auth_pb2.ConfirmPasswordResetResponse()
"""No token in it."""


async def test_a_changed_key_encryption_key_seals_the_secrets_again_while_it_knows_the_former_one(
    auth: Auth, ada: Call, settings: Any, eventually: Any
) -> None:
    app, _ = await auth.enrolled(ada)
    before = await auth.db.fetchrow("select sealed, sealed_by from authenticators")
    changed = {"key_encryption_key": SecretStr("n" * 40)}
    both = settings.model_copy(
        update={**changed, "former_key_encryption_keys": (settings.key_encryption_key,)}
    )

    async def sealed_again() -> bool:
        row = await auth.db.fetchrow("select sealed, sealed_by from authenticators")
        return row["sealed"] != before["sealed"] and row["sealed_by"] != before["sealed_by"]

    around = Surroundings(clock=auth.clock)
    async with build(both, around):
        assert await eventually(sealed_again)
    async with build(settings.model_copy(update=changed), around) as service:
        address = f"127.0.0.1:{service.grpc_port}"
        async with client.connect(address, service.chassis.tokens, timedelta(seconds=10)) as peer:
            there = Auth(auth.opened_at(peer, AuthServiceStub(peer.channel)), auth.bus)
            await there.verify(await there.step_up(), app.next_code())
    failure = await refused(auth.verify(await auth.step_up(), app.next_code()))
    assert (failure.kind, failure.code) == (Kind.UNAVAILABLE, "auth.secret_stays_sealed")


async def test_a_secret_in_another_users_row_opens_nothing(auth: Auth, ada: Call) -> None:
    """Who can write to the table and nowhere else cannot put its own app in somebody's place."""
    await auth.enrolled(ada)
    await auth.user("eve@example.org")
    mallory, _ = await auth.enrolled(await auth.as_(await auth.login(email="eve@example.org")))
    await auth.db.execute(
        "update authenticators set sealed = (select sealed from authenticators order by user_id desc limit 1)"
    )
    assert await code_of(auth.verify(await auth.step_up(), mallory.next_code())) == "auth.secret_stays_sealed"


async def test_logins_that_stayed_half_done_are_pruned(
    auth: Auth, ada: Call, settings: Any, eventually: Any
) -> None:
    await auth.enrolled(ada)
    await auth.step_up()
    auth.clock.advance(timedelta(minutes=10))
    kept = await auth.step_up()

    async def pruned() -> bool:
        return await auth.db.fetchval("select count(*) from mfa_tokens") == 1

    async with build(settings, Surroundings(clock=auth.clock)):
        assert await eventually(pruned)
    assert kept
