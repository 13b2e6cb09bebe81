"""The provider past its happy ways: gates at redemption, guessing, second factors, clients that come and go.

What the specifications demand of a relying party's view is in tests/conformance.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pyotp
import pytest
from orderhub_auth.provider import devices, store
from orderhub_auth.provider.exchange import SLOWER
from orderhub_chassis.calls import Call, Caller, service_caller
from orderhub_chassis.errors import Failure
from orderhub_contracts.auth.v1 import auth_pb2, mfa_pb2
from orderhub_contracts.auth.v1 import oidc_pb2 as pb
from orderhub_contracts.auth.v1.mfa_pb2_grpc import MfaServiceStub
from orderhub_contracts.auth.v1.oidc_pb2_grpc import ClientServiceStub, OidcServiceStub

EMAIL, PASSWORD = "ada@example.org", "a password for tests"
CALLBACK = "https://app.example/callback"
SERVICE = Call(caller=service_caller("gateway"))
LOCKED = "update users set locked_until = now() + interval '10 years'"
DISABLED = "update users set disabled = true"
GUARDED = "update users set mfa_enabled = true"
"""As if a login had slipped through while its user got a second factor."""
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Ada:
    """A person with a browser, and the clients that she meets."""

    def __init__(self, opened: Any) -> None:
        self.opened = opened
        self.oidc, self.clients = (
            OidcServiceStub(opened.peer.channel),
            ClientServiceStub(opened.peer.channel),
        )
        self.cookie, self.user_id = "", ""

    async def come(self) -> None:
        new = auth_pb2.CreateUserRequest(email=EMAIL, password=PASSWORD, roles=["customer"])
        self.user_id = (await self.opened.peer.call(self.opened.stub.CreateUser, new, call=SERVICE)).id

    async def client(self, **over: Any) -> pb.RegisteredClient:
        given = {
            "name": "App", "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "client_secret_post", "scopes": ["openid", "api"],
            "id_token_signed_response_alg": "RS256", "first_party": True, **over,
        }  # fmt: skip
        request = pb.CreateClientRequest(settings=pb.ClientSettings(**given))
        made: pb.RegisteredClient = await self.opened.peer.call(
            self.clients.CreateClient, request, call=SERVICE
        )
        return made

    async def turn(self, method: str, request: Any) -> pb.Turn:
        """The browser keeps the cookie that it is given."""
        request.browser.cookie = self.cookie
        turn: pb.Turn = await self.opened.peer.call(getattr(self.oidc, method), request, call=SERVICE)
        self.cookie = turn.cookie or self.cookie
        return turn

    async def go(self, client: pb.RegisteredClient, **over: str) -> pb.Turn:
        given = {
            "client_id": client.id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid api",
        }
        request = pb.AuthorizeRequest(parameters=_listed({**given, **over}))
        return await self.turn("Authorize", request)

    async def sign_in(self, page: pb.Page, **over: str) -> pb.Turn:
        given = {"email": EMAIL, "password": PASSWORD, **over}
        return await self.turn("SignIn", pb.SignInRequest(interaction=page.interaction, **given))

    async def code(self, client: pb.RegisteredClient, **over: str) -> str:
        turn = await self.go(client, **over)
        if turn.HasField("page"):
            turn = await self.sign_in(turn.page)
        return parse_qs(urlsplit(turn.redirect.uri).query)["code"][0]

    async def ask(self, method: str, client: pb.RegisteredClient, **given: str) -> tuple[int, dict[str, Any]]:
        proof = {"client_id": client.id, "client_secret": client.secret}
        call = pb.ClientCall(parameters=_listed({**proof, **given}))
        answer = await self.opened.peer.call(getattr(self.oidc, method), call, call=SERVICE)
        return answer.status, json.loads(answer.json or "{}")

    async def tokens(self, client: pb.RegisteredClient, code: str) -> tuple[int, dict[str, Any]]:
        return await self.ask(
            "Token", client, grant_type="authorization_code", code=code, redirect_uri=CALLBACK
        )

    async def refreshed(self, client: pb.RegisteredClient, token: str) -> tuple[int, dict[str, Any]]:
        return await self.ask("Token", client, grant_type="refresh_token", refresh_token=token)

    async def sessions(self) -> list[auth_pb2.Session]:
        call = Call(caller=Caller(self.user_id, frozenset({"customer"})))
        request = auth_pb2.ListSessionsRequest()
        return list((await self.opened.peer.call(self.opened.stub.ListSessions, request, call=call)).items)


def _listed(given: dict[str, str]) -> list[pb.Parameter]:
    return [pb.Parameter(name=name, value=value) for name, value in given.items()]


@pytest.fixture
async def ada(opened: Any) -> Ada:
    person = Ada(opened)
    await person.come()
    return person


@pytest.mark.parametrize("standing", [LOCKED, DISABLED, GUARDED], ids=["locked", "disabled", "guarded"])
async def test_whoever_is_locked_meanwhile_gets_nothing_for_a_code_or_a_refresh_token(
    ada: Ada, standing: str
) -> None:
    client = await ada.client()
    _, pair = await ada.tokens(client, await ada.code(client))
    code = await ada.code(client)
    await ada.opened.db.execute(standing)
    for status, answer in (
        await ada.tokens(client, code),
        await ada.refreshed(client, pair["refresh_token"]),
    ):
        assert (status, answer["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("standing", [LOCKED, DISABLED, GUARDED], ids=["locked", "disabled", "guarded"])
async def test_whoever_is_locked_meanwhile_gets_nothing_for_a_device(ada: Ada, standing: str) -> None:
    client = await ada.client(redirect_uris=[], grant_types=[DEVICE_GRANT])
    device = await allowed_device(ada, client)
    await ada.opened.db.execute(standing)
    status, answer = await ada.ask("Token", client, grant_type=DEVICE_GRANT, device_code=device)
    assert (status, answer["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("standing", [LOCKED, DISABLED], ids=["locked", "disabled"])
async def test_whoever_is_locked_is_told_so_at_the_login_and_its_browser_is_nobodys(
    ada: Ada, standing: str
) -> None:
    client = await ada.client()
    await ada.code(client)
    await ada.opened.db.execute(standing)
    turn = await ada.go(client)
    assert turn.page.kind == "login"
    assert (await ada.sign_in(turn.page)).page.notice == "disabled"
    silent = await ada.go(client, prompt="none")
    assert "error=login_required" in silent.redirect.uri


async def waiting_device(ada: Ada, client: pb.RegisteredClient) -> dict[str, Any]:
    status, answer = await ada.ask("AuthorizeDevice", client, scope="openid api")
    assert status == 200, answer
    return answer


async def device_page(ada: Ada, user_code: str = "") -> pb.Page:
    turn = await ada.turn("VisitDevice", pb.VisitDeviceRequest(user_code=user_code))
    if turn.page.kind == "login":
        turn = await ada.sign_in(turn.page)
    return turn.page


async def allowed_device(ada: Ada, client: pb.RegisteredClient) -> str:
    device = await waiting_device(ada, client)
    page = await device_page(ada)
    typed = device["user_code"].lower().replace("-", " ")
    decided = pb.DecideDeviceRequest(interaction=page.interaction, user_code=typed, decision="allow")
    done = await ada.turn("DecideDevice", decided)
    assert done.page.notice == "device_allowed"
    return str(device["device_code"])


async def test_guessing_the_codes_of_devices_ends_after_five(ada: Ada) -> None:
    client = await ada.client(redirect_uris=[], grant_types=[DEVICE_GRANT])
    device, page = await waiting_device(ada, client), await device_page(ada)

    async def typed(code: str) -> pb.Page:
        request = pb.DecideDeviceRequest(interaction=page.interaction, user_code=code, decision="allow")
        return (await ada.turn("DecideDevice", request)).page

    for _ in range(devices.MISSES):
        assert (await typed("BBBB-BBBB")).notice == "code_unknown"
    told = await typed(device["user_code"])
    assert (told.notice, told.retry_after) == ("slow", 600), "the right one, too late"
    ada.opened.clock.advance(devices.PAUSE)
    page = await device_page(ada)
    assert (await typed((await waiting_device(ada, client))["user_code"])).notice == "device_allowed"


async def test_a_device_that_polls_too_often_is_slowed_down(ada: Ada) -> None:
    client = await ada.client(redirect_uris=[], grant_types=[DEVICE_GRANT])
    device = await waiting_device(ada, client)

    async def poll() -> str:
        _, answer = await ada.ask("Token", client, grant_type=DEVICE_GRANT, device_code=device["device_code"])
        return str(answer["error"])

    assert await poll() == "authorization_pending"
    assert await poll() == "slow_down"
    ada.opened.clock.advance(timedelta(seconds=devices.INTERVAL + 1))
    assert await poll() == "slow_down", f"{SLOWER} seconds more by now"
    ada.opened.clock.advance(timedelta(seconds=devices.INTERVAL + 2 * SLOWER))
    assert await poll() == "authorization_pending"
    ada.opened.clock.advance(devices.LIFETIME)
    assert await poll() == "expired_token"


async def with_an_app(ada: Ada) -> pyotp.TOTP:
    mfa = MfaServiceStub(ada.opened.peer.channel)
    call = Call(caller=Caller(ada.user_id, frozenset({"customer"})))
    enrolled = await ada.opened.peer.call(
        mfa.EnrollTotp, mfa_pb2.EnrollTotpRequest(current_password=PASSWORD), call=call
    )
    app = pyotp.TOTP(enrolled.secret)
    code = app.at(ada.opened.clock.now())
    await ada.opened.peer.call(mfa.ConfirmTotp, mfa_pb2.ConfirmTotpRequest(code=code), call=call)
    ada.opened.clock.advance(timedelta(minutes=1))
    return app


async def test_a_login_on_a_page_needs_the_second_factor_and_says_so_in_its_tokens(ada: Ada) -> None:
    client, app = await ada.client(), await with_an_app(ada)
    page = (await ada.sign_in((await ada.go(client)).page)).page
    assert page.kind == "second_factor"
    nobody = await ada.go(client, prompt="none")
    assert "error=login_required" in nobody.redirect.uri, "half a login is none"
    wrong = await ada.sign_in(page, email="", password="", code="000000")
    assert (wrong.page.kind, wrong.page.notice) == ("second_factor", "wrong")
    done = await ada.sign_in(page, email="", password="", code=app.at(ada.opened.clock.now()))
    code = parse_qs(urlsplit(done.redirect.uri).query)["code"][0]
    status, answer = await ada.tokens(client, code)
    assert status == 200
    claims = json.loads(_payload(answer["id_token"]))
    assert (claims["acr"], claims["amr"]) == ("2", ["pwd", "otp", "mfa"])


async def test_wrong_codes_wear_the_half_login_out(ada: Ada) -> None:
    client, app = await ada.client(), await with_an_app(ada)
    page = (await ada.sign_in((await ada.go(client)).page)).page
    for _ in range(5):
        await ada.sign_in(page, email="", password="", code="000000")
    with pytest.raises(Failure) as refused:
        await ada.sign_in(page, email="", password="", code=app.at(ada.opened.clock.now()))
    assert refused.value.code == "auth.foreign_interaction"


def _payload(token: str) -> bytes:
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def test_a_login_from_before_the_second_factor_gets_no_tokens_any_more(ada: Ada) -> None:
    client = await ada.client()
    code = await ada.code(client)
    await with_an_app(ada)
    status, answer = await ada.tokens(client, code)
    assert (status, answer["error"]) == (400, "invalid_grant")


async def test_a_cookie_that_was_planted_before_the_login_is_worth_nothing_after_it(ada: Ada) -> None:
    client = await ada.client()
    page = (await ada.go(client)).page
    planted = ada.cookie
    await ada.sign_in(page)
    assert ada.cookie != planted
    ada.cookie = planted
    assert (await ada.go(client)).page.kind == "login"


async def test_sessions_say_for_which_client_they_are(ada: Ada) -> None:
    client = await ada.client(name="Aquarist app")
    await ada.tokens(client, await ada.code(client))
    assert [session.client_name for session in await ada.sessions()] == ["Aquarist app", ""]


async def test_a_client_that_is_disabled_or_deleted_loses_what_it_was_issued(ada: Ada) -> None:
    client, other = await ada.client(), await ada.client(name="Other")
    _, pair = await ada.tokens(client, await ada.code(client))
    _, others = await ada.tokens(other, await ada.code(other))
    disable = pb.UpdateClientRequest(id=client.id, disabled=True)
    await ada.opened.peer.call(ada.clients.UpdateClient, disable, call=SERVICE)
    assert (await ada.refreshed(client, pair["refresh_token"]))[0] == 401
    assert (await ada.go(client)).page.notice == "client_unknown"
    enable = pb.UpdateClientRequest(id=client.id, disabled=False)
    await ada.opened.peer.call(ada.clients.UpdateClient, enable, call=SERVICE)
    assert (await ada.refreshed(client, pair["refresh_token"]))[1]["error"] == "invalid_grant"
    await ada.opened.peer.call(ada.clients.DeleteClient, pb.GetClientRequest(id=other.id), call=SERVICE)
    assert (await ada.refreshed(other, others["refresh_token"]))[0] == 401


async def test_a_new_secret_takes_the_place_of_the_old_one(ada: Ada) -> None:
    client = await ada.client()
    request = pb.GetClientRequest(id=client.id)
    renewed = await ada.opened.peer.call(ada.clients.RenewSecret, request, call=SERVICE)
    assert (await ada.tokens(client, "x"))[0] == 401
    assert (await ada.tokens(renewed, "x"))[1]["error"] == "invalid_grant"
    found = await ada.opened.peer.call(ada.clients.GetClient, request, call=SERVICE)
    assert found.secret == ""
    kept = str(dict(await ada.opened.db.fetchrow("select * from clients where id = $1", UUID(client.id))))
    assert renewed.secret not in kept
    assert client.secret not in kept


async def test_a_repeated_registration_makes_one_client_and_shows_its_secret_once(ada: Ada) -> None:
    settings = pb.ClientSettings(
        name="Robot", grant_types=["client_credentials"], scopes=["api"], roles=["courier"],
        token_endpoint_auth_method="client_secret_basic", id_token_signed_response_alg="RS256",
    )  # fmt: skip
    request = pb.CreateClientRequest(settings=settings)
    call = SERVICE._replace(idempotency_key="k1", fingerprint=b"f" * 32)
    first = await ada.opened.peer.call(ada.clients.CreateClient, request, call=call)
    again = await ada.opened.peer.call(ada.clients.CreateClient, request, call=call)
    assert (again.id, again.secret) == (first.id, "")
    assert first.secret.startswith("ohs_")


async def test_logging_in_as_somebody_else_ends_what_the_browser_had(ada: Ada) -> None:
    client = await ada.client()
    _, pair = await ada.tokens(client, await ada.code(client))
    new = auth_pb2.CreateUserRequest(email="grace@example.org", password=PASSWORD, roles=["customer"])
    await ada.opened.peer.call(ada.opened.stub.CreateUser, new, call=SERVICE)
    ada.opened.clock.advance(timedelta(seconds=1))
    turn = await ada.go(client, prompt="select_account")
    await ada.sign_in(turn.page, email="grace@example.org")
    assert (await ada.refreshed(client, pair["refresh_token"]))[1]["error"] == "invalid_grant"


async def test_logging_in_again_as_the_same_person_keeps_what_clients_have(ada: Ada) -> None:
    client = await ada.client()
    _, pair = await ada.tokens(client, await ada.code(client))
    ada.opened.clock.advance(timedelta(seconds=1))
    await ada.sign_in((await ada.go(client, prompt="login")).page)
    assert (await ada.refreshed(client, pair["refresh_token"]))[0] == 200


async def test_a_first_party_refresh_token_is_nothing_to_a_client_nor_a_clients_to_the_api(ada: Ada) -> None:
    client = await ada.client()
    login = auth_pb2.LoginRequest(email=EMAIL, password=PASSWORD)
    own = await ada.opened.peer.call(ada.opened.stub.Login, login)
    assert (await ada.refreshed(client, own.refresh_token))[1]["error"] == "invalid_grant"
    _, pair = await ada.tokens(client, await ada.code(client))
    request = auth_pb2.RefreshRequest(refresh_token=pair["refresh_token"])
    with pytest.raises(Failure) as refused:
        await ada.opened.peer.call(ada.opened.stub.Refresh, request)
    assert refused.value.code == "auth.refresh_refused"
    assert (await ada.refreshed(client, pair["refresh_token"]))[0] == 200, "and neither ended by it"


async def test_what_ran_out_is_deleted_and_nothing_else(ada: Ada) -> None:
    client = await ada.client(grant_types=["authorization_code", DEVICE_GRANT])
    await ada.code(client)
    await waiting_device(ada, client)
    await Ada(ada.opened).go(client)
    now = ada.opened.clock.now()
    assert await ada.opened.db.run(lambda tx: store.prune(tx, before=now)) == 0
    later = now + timedelta(minutes=20)
    assert await ada.opened.db.run(lambda tx: store.prune(tx, before=later)) == 3
