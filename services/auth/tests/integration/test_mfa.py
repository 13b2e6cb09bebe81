"""Second factors: enrolled, asked for at each login, and good for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.errors import Kind
from second_steps import ADA, NEW, OPERATOR, PASSWORD, App, Auth, code_of, opened_with_ada, refused

WRONG = "000000"
A_CLIENT = """
insert into clients (
    id, name, auth_method, redirect_uris, post_logout_redirect_uris, grant_types, scopes, id_token_alg, require_pkce,
    first_party, roles, created_at, updated_at
) values (gen_random_uuid(), 'a shop', 'none', '{}', '{}', '{}', '{}', 'RS256', true, false, '{}', now(), now())
"""


@pytest.fixture
async def auth(opened: Any, bus_url: str) -> AsyncIterator[Auth]:
    async with opened_with_ada(opened, bus_url) as made:
        yield made


@pytest.fixture
async def ada(auth: Auth) -> Call:
    """Logged in by a password, as everybody is before there is a second factor."""
    return await auth.as_(await auth.login())


async def test_a_login_takes_two_steps_and_its_tokens_say_so_also_after_a_refresh(
    auth: Auth, ada: Call
) -> None:
    app, _ = await auth.enrolled(ada)
    token = await auth.step_up()
    auth.clock.advance(timedelta(seconds=40))
    pair, at = await auth.verify(token, app.code()), auth.clock.now()
    assert (pair.user.email, pair.user.mfa_enabled) == (ADA, True)
    auth.clock.advance(timedelta(minutes=10))
    for one in (pair, await auth("Refresh", refresh_token=pair.refresh_token)):
        claims = await auth.claims(one)
        assert (claims["amr"], claims["auth_time"]) == (["pwd", "otp", "mfa"], int(at.timestamp()))


async def test_nothing_is_asked_for_before_a_first_code_has_shown_that_the_app_has_the_secret(
    auth: Auth, ada: Call
) -> None:
    made = await auth("EnrollTotp", ada, current_password=PASSWORD)
    assert made.otpauth_uri.startswith("otpauth://totp/OrderHub:ada%40example.org?secret=")
    assert not (await auth.login()).user.mfa_enabled
    app = App(auth, made.secret)
    assert await code_of(auth("ConfirmTotp", ada, code=app.wrong_code())) == "auth.wrong_code"
    assert not (await auth.login()).user.mfa_enabled
    assert len((await auth("ConfirmTotp", ada, code=app.code())).codes) == 10
    await auth.step_up()
    assert (await auth("GetMe", ada)).mfa_enabled


async def test_who_enrols_shows_the_password_or_has_just_logged_in(auth: Auth, ada: Call) -> None:
    await auth("EnrollTotp", ada)
    assert await code_of(auth("EnrollTotp", ada, current_password="a guess")) == "auth.wrong_password"
    auth.clock.advance(timedelta(minutes=5))
    failure = await refused(auth("EnrollTotp", ada))
    assert (failure.code, failure.errors[0].pointer) == ("auth.password_needed", "/current_password")
    await auth("EnrollTotp", ada, current_password=PASSWORD)


@pytest.mark.parametrize("whose", ["nobody's", "another user's", "an ended one", "a client's", "an old one"])
async def test_a_session_that_is_no_fresh_one_of_the_user_stands_for_no_password(
    auth: Auth, ada: Call, whose: str
) -> None:
    await auth.user("eve@example.org")
    eve = await auth.as_(await auth.login(email="eve@example.org"))
    session = ada.caller.session_id
    if whose == "nobody's":
        session = ""
    elif whose == "another user's":
        session = eve.caller.session_id
    elif whose == "an ended one":
        await auth("RevokeSession", ada, id=session)
    elif whose == "an old one":
        ago = auth.clock.now() - timedelta(days=1)
        await auth.db.execute("update sessions set authenticated_at = $1", ago)
    else:
        await auth.db.execute(A_CLIENT)
        await auth.db.execute("update sessions set client_id = (select id from clients)")
    call = Call(caller=Caller(ada.caller.user_id, ada.caller.roles, session_id=session))
    assert await code_of(auth("EnrollTotp", call)) == "auth.password_needed"


async def test_an_enrolment_that_waits_too_long_or_is_followed_by_another_one_is_worth_nothing(
    auth: Auth, ada: Call
) -> None:
    old = App(auth, (await auth("EnrollTotp", ada, current_password=PASSWORD)).secret)
    new = App(auth, (await auth("EnrollTotp", ada, current_password=PASSWORD)).secret)
    assert await code_of(auth("ConfirmTotp", ada, code=old.code())) == "auth.wrong_code"
    auth.clock.advance(timedelta(minutes=15))
    assert await code_of(auth("ConfirmTotp", ada, code=new.code())) == "auth.mfa_not_enrolled"


async def test_what_cannot_be_in_this_state_is_a_conflict(auth: Auth, ada: Call) -> None:
    sure = {"current_password": PASSWORD, "code": WRONG}
    assert await code_of(auth("ConfirmTotp", ada, code=WRONG)) == "auth.mfa_not_enrolled"
    for method in ("DisableTotp", "RenewRecoveryCodes"):
        failure = await refused(auth(method, ada, **sure))
        assert (failure.kind, failure.code) == (Kind.CONFLICT, "auth.mfa_not_enabled")
    app, _ = await auth.enrolled(ada)
    for method, fields in (
        ("EnrollTotp", {"current_password": PASSWORD}),
        ("ConfirmTotp", {"code": app.next_code()}),
    ):
        failure = await refused(auth(method, ada, **fields))
        assert (failure.kind, failure.code) == (Kind.CONFLICT, "auth.mfa_enabled")


async def test_switching_it_on_ends_the_sessions_that_a_password_alone_has_opened(
    auth: Auth, ada: Call
) -> None:
    other, mine = await auth.login(), await auth.login()
    call = await auth.as_(mine)
    await auth.enrolled(call)
    assert await code_of(auth("Refresh", refresh_token=other.refresh_token)) == "auth.refresh_refused"
    again = await auth("Refresh", refresh_token=mine.refresh_token)
    assert (await auth.claims(again))["amr"] == ["pwd", "otp", "mfa"]


async def test_no_session_of_a_password_alone_gives_a_token_to_who_has_a_second_factor(
    auth: Auth, ada: Call
) -> None:
    """The gate itself, should a session ever be left over."""
    pair = await auth.login()
    await auth.enrolled(await auth.as_(pair))
    await auth.db.execute("update sessions set amr = '{pwd}'")
    assert await code_of(auth("Refresh", refresh_token=pair.refresh_token)) == "auth.second_factor_missing"


async def test_a_code_counts_once_for_all_that_asks_for_one(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    used = app.code()
    assert await code_of(auth.verify(await auth.step_up(), used)) == "auth.wrong_code", "it has confirmed"
    code = app.next_code()
    await auth.verify(await auth.step_up(), code)
    for again in (
        auth.verify(await auth.step_up(), code),
        auth("RenewRecoveryCodes", ada, current_password=PASSWORD, code=code),
        auth("DisableTotp", ada, current_password=PASSWORD, code=code),
    ):
        assert await code_of(again) == "auth.wrong_code"


async def test_of_one_code_in_many_logins_at_once_one_counts(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    tokens = [await auth.step_up() for _ in range(4)]
    code = app.next_code()
    answers = await asyncio.gather(*(code_of(auth.verify(token, code)) for token in tokens))
    assert sorted(answers) == ["auth.wrong_code"] * 3 + ["done"]


async def test_a_token_of_the_first_step_is_good_once_and_for_five_minutes(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    token = await auth.step_up()
    await auth.verify(token, app.next_code())
    assert await code_of(auth.verify(token, app.next_code())) == "auth.mfa_token_refused"
    token = await auth.step_up()
    auth.clock.advance(timedelta(minutes=5))
    assert await code_of(auth.verify(token, app.code())) == "auth.mfa_token_refused"
    for unknown in ("ohm_unknown", "", token.removeprefix("ohm_")):
        failure = await refused(auth.verify(unknown, app.code()))
        assert (failure.kind, failure.code) == (Kind.UNAUTHENTICATED, "auth.mfa_token_refused")


async def test_of_two_right_codes_for_one_login_at_once_one_counts(auth: Auth, ada: Call) -> None:
    app, recovery = await auth.enrolled(ada)
    token, code = await auth.step_up(), app.next_code()
    answers = await asyncio.gather(
        code_of(auth.verify(token, code)), code_of(auth.verify(token, recovery[0]))
    )
    assert sorted(answers) == ["auth.mfa_token_refused", "done"]


async def test_a_token_of_the_first_step_opens_nothing_else_and_nothing_else_stands_for_it(
    auth: Auth, ada: Call
) -> None:
    app, _ = await auth.enrolled(ada)
    token = await auth.step_up()
    assert await code_of(auth("Refresh", refresh_token=token)) == "auth.refresh_refused"
    reset = {"code": token, "new_password": NEW}
    assert await code_of(auth("ConfirmPasswordReset", **reset)) == "auth.code_refused"
    pair = await auth.verify(token, app.next_code())
    assert await code_of(auth.verify(pair.refresh_token, app.next_code())) == "auth.mfa_token_refused"


async def test_a_login_that_is_half_done_ends_when_the_password_is_another_one(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    token = await auth.step_up()
    await auth("ChangePassword", ada, current_password=PASSWORD, new_password=NEW)
    assert await code_of(auth.verify(token, app.next_code())) == "auth.mfa_token_refused"
    await auth.verify(await auth.step_up(NEW), app.code())


async def test_a_password_that_is_hashed_anew_at_the_first_step_spoils_no_second_step(
    auth: Auth, ada: Call
) -> None:
    app, _ = await auth.enrolled(ada)
    other = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(PASSWORD)
    await auth.db.execute("update users set password_hash = $1", other)
    token = await auth.step_up()
    assert await auth.db.fetchval("select password_hash from users") != other
    await auth.verify(token, app.next_code())


async def test_a_disabled_user_gets_past_neither_step(auth: Auth, ada: Call) -> None:
    app, _ = await auth.enrolled(ada)
    token, code = await auth.step_up(), app.next_code()
    await auth("UpdateUser", OPERATOR, id=ada.caller.user_id, disabled=True)
    assert await code_of(auth.verify(token, code)) == "auth.user_disabled"
    assert await code_of(auth.login()) == "auth.user_disabled"
    await auth("UpdateUser", OPERATOR, id=ada.caller.user_id, disabled=False)
    await auth.verify(token, code)


async def test_a_login_during_the_confirmation_gets_no_tokens_that_last(auth: Auth, ada: Call) -> None:
    app = App(auth, (await auth("EnrollTotp", ada)).secret)
    logins = [auth.login() for _ in range(5)]
    _, *answers = await asyncio.gather(
        auth("ConfirmTotp", ada, code=app.code()), *logins, return_exceptions=True
    )
    for pair in answers:
        if isinstance(pair, Exception):
            assert getattr(pair, "code", pair) == "auth.mfa_required"
        else:
            assert await code_of(auth("Refresh", refresh_token=pair.refresh_token)) == "auth.refresh_refused"


async def test_what_is_kept_of_a_second_factor_opens_nothing(auth: Auth, ada: Call) -> None:
    app, recovery = await auth.enrolled(ada)
    token = await auth.step_up()
    rows: list[Any] = []
    for table in ("authenticators", "recovery_codes", "mfa_tokens", "outbox"):
        rows += [dict(row) for row in await auth.db.fetch(f"select * from {table}")]
    kept = str(rows) + "".join(
        bytes(v).decode("latin-1") for r in rows for v in r.values() if isinstance(v, bytes)
    )
    for secret in (app.secret, token, token.removeprefix("ohm_"), *recovery):
        assert secret not in kept
    assert {row["sealed"].count(".") for row in rows if "sealed" in row} == {4}, "JWE in compact form"
