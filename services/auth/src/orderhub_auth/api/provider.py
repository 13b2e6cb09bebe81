"""The OpenID Provider over gRPC, for the gateway alone."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any

from orderhub_chassis.calls import current_call
from orderhub_contracts.auth.v1 import oidc_pb2 as pb
from orderhub_contracts.auth.v1 import oidc_pb2_grpc

from orderhub_auth import metrics, model
from orderhub_auth.provider.browsing import Browsing
from orderhub_auth.provider.devices import Devices
from orderhub_auth.provider.errors import OAuthError
from orderhub_auth.provider.exchange import Exchange
from orderhub_auth.provider.inspecting import Inspecting
from orderhub_auth.provider.interactions import Parameters
from orderhub_auth.provider.leaving import Leaving
from orderhub_auth.provider.model import GRANTS
from orderhub_auth.provider.turns import Browser, Page, Turn


@dataclass(frozen=True, slots=True)
class Provider:
    """All that the provider does."""

    browsing: Browsing
    leaving: Leaving
    devices: Devices
    exchange: Exchange
    inspecting: Inspecting
    metadata: str


class OidcServicer(oidc_pb2_grpc.OidcServiceServicer):  # type: ignore[misc]
    """Who calls here is the gateway, for browsers and clients that have no token of their own."""

    def __init__(self, provider: Provider) -> None:
        self._does = provider

    async def GetMetadata(self, request: pb.GetMetadataRequest, context: Any) -> pb.GetMetadataResponse:
        _need_gateway()
        return pb.GetMetadataResponse(json=self._does.metadata)

    async def Authorize(self, request: pb.AuthorizeRequest, context: Any) -> pb.Turn:
        _need_gateway()
        return _turn(await self._does.browsing.authorize(_given(request.parameters), _browser(request)))

    async def SignIn(self, request: pb.SignInRequest, context: Any) -> pb.Turn:
        _need_gateway()
        turn = await self._does.browsing.sign_in(
            request.interaction, request.email, request.password, request.code, _browser(request)
        )
        return _turn(turn)

    async def DecideConsent(self, request: pb.DecideRequest, context: Any) -> pb.Turn:
        _need_gateway()
        decide = self._does.browsing.decide_consent
        return _turn(await decide(request.interaction, request.yes, _browser(request)))

    async def EndSession(self, request: pb.EndSessionRequest, context: Any) -> pb.Turn:
        _need_gateway()
        return _turn(await self._does.leaving.end_session(_given(request.parameters), _browser(request)))

    async def DecideLogout(self, request: pb.DecideRequest, context: Any) -> pb.Turn:
        _need_gateway()
        return _turn(await self._does.leaving.decide(request.interaction, request.yes, _browser(request)))

    async def VisitDevice(self, request: pb.VisitDeviceRequest, context: Any) -> pb.Turn:
        _need_gateway()
        return _turn(await self._does.devices.visit(request.user_code, _browser(request)))

    async def DecideDevice(self, request: pb.DecideDeviceRequest, context: Any) -> pb.Turn:
        _need_gateway()
        decide = self._does.devices.decide
        turn = await decide(request.interaction, request.user_code, request.decision, _browser(request))
        return _turn(turn)

    async def Token(self, request: pb.ClientCall, context: Any) -> pb.ClientAnswer:
        _need_gateway()
        client = model.told_client(request.client.address, request.client.user_agent)
        given = _given(request.parameters)
        grant = next((value for name, value in given if name == "grant_type"), "")
        return await _answer(self._does.exchange.token(given, request.authorization, client), grant)

    async def AuthorizeDevice(self, request: pb.ClientCall, context: Any) -> pb.ClientAnswer:
        _need_gateway()
        return await _answer(self._does.devices.authorize(_given(request.parameters), request.authorization))

    async def Revoke(self, request: pb.ClientCall, context: Any) -> pb.ClientAnswer:
        _need_gateway()
        return await _answer(self._does.inspecting.revoke(_given(request.parameters), request.authorization))

    async def Introspect(self, request: pb.ClientCall, context: Any) -> pb.ClientAnswer:
        _need_gateway()
        introspect = self._does.inspecting.introspect
        return await _answer(introspect(_given(request.parameters), request.authorization))

    async def UserInfo(self, request: pb.UserInfoRequest, context: Any) -> pb.ClientAnswer:
        _need_gateway()
        return await _answer(self._does.inspecting.userinfo(request.access_token))


def _need_gateway() -> None:
    """Nobody else speaks for browsers and clients. Raises Forbidden."""
    current_call.get().caller.need("service")


def _given(parameters: Iterable[pb.Parameter]) -> Parameters:
    return tuple((one.name, one.value) for one in parameters)


def _browser(request: Any) -> Browser:
    client = request.browser.client
    return Browser(request.browser.cookie, model.told_client(client.address, client.user_agent))


def _turn(turn: Turn) -> pb.Turn:
    if isinstance(turn.next, Page):
        return pb.Turn(page=_page(turn.next), cookie=turn.cookie)
    fields = [pb.Parameter(name=name, value=value) for name, value in turn.next.fields]
    redirect = pb.Redirect(uri=turn.next.uri, post=turn.next.post, fields=fields)
    return pb.Turn(redirect=redirect, cookie=turn.cookie)


def _page(page: Page) -> pb.Page:
    return pb.Page(
        kind=page.kind, interaction=page.interaction, client_name=page.client_name, scopes=page.scopes,
        notice=page.notice, detail=page.detail, email=page.email, user_code=page.user_code,
        retry_after=page.retry_after,
    )  # fmt: skip


async def _answer(work: Awaitable[dict[str, Any] | None], grant: str = "") -> pb.ClientAnswer:
    outcome = "granted"
    try:
        found = await work
        return pb.ClientAnswer(status=200, json=json.dumps(found) if found is not None else "")
    except OAuthError as error:
        outcome = error.error
        body = json.dumps({"error": error.error, "error_description": error.description})
        return pb.ClientAnswer(status=error.status, json=body, www_authenticate=error.challenge)
    finally:
        if grant:
            metrics.TOKENS.labels(grant if grant in GRANTS else "unknown", outcome).inc()
