"""`auth/…`: users and their sessions."""

from __future__ import annotations

import hashlib
from typing import Any

from litestar import Response, get, post
from litestar.params import JSONBody
from orderhub_contracts.auth.v1 import auth_pb2 as pb

from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import HttpRequest, context_of, parts_of, peers_of
from orderhub_gateway.convert import auth as convert
from orderhub_gateway.edge import bearer
from orderhub_gateway.errors import LimitReached
from orderhub_gateway.responses import Json, Raw
from orderhub_gateway.schemas.auth import Login, Refresh, Register, TokenPair, User

NO_STORE = (b"cache-control", b"no-store")


@post("/auth/register", dto=JsonBody[Register], return_dto=None, operation_id="register", status_code=201)
async def register(request: HttpRequest, data: JSONBody[Register]) -> Response[TokenPair]:
    """Become a customer, logged in at once."""
    auth = peers_of(request).auth
    message = pb.RegisterRequest(email=data.email, password=data.password, name=data.name)
    pair = await auth(auth.stub.Register, message)
    return Json(convert.token_pair(pair), 201, [NO_STORE])


@post("/auth/login", dto=JsonBody[Login], return_dto=None, operation_id="login", status_code=200)
async def login(request: HttpRequest, data: JSONBody[Login]) -> Response[TokenPair]:
    """Get an access and a refresh token for an e-mail address and its password."""
    await _limit_account(request, data.email)
    auth = peers_of(request).auth
    pair = await auth(auth.stub.Login, pb.LoginRequest(email=data.email, password=data.password))
    return Json(convert.token_pair(pair), 200, [NO_STORE])


@post("/auth/refresh", dto=JsonBody[Refresh], return_dto=None, operation_id="refresh", status_code=200)
async def refresh(request: HttpRequest, data: JSONBody[Refresh]) -> Response[TokenPair]:
    """Exchange the refresh token; the one given is spent."""
    auth = peers_of(request).auth
    pair = await auth(auth.stub.Refresh, pb.RefreshRequest(refresh_token=data.refresh_token))
    return Json(convert.token_pair(pair), 200, [NO_STORE])


@post("/auth/logout", dto=JsonBody[Refresh], return_dto=None, operation_id="logout", status_code=204)
async def logout(request: HttpRequest, data: JSONBody[Refresh]) -> Response[None]:
    """End the session of the refresh token; an unknown one counts as ended."""
    auth = peers_of(request).auth
    await auth(auth.stub.Logout, pb.LogoutRequest(refresh_token=data.refresh_token))
    return Raw(204, b"", [])


@get("/auth/me", operation_id="getMe")
async def me(request: HttpRequest) -> Response[User]:
    """Who the access token stands for; of a user of another issuer, what the token says."""
    profile = await parts_of(request).access.profile(token_of(request))
    if profile is not None:
        return Json(convert.foreign_user(context_of(request).call.caller, profile), 200, [NO_STORE])
    auth = peers_of(request).auth
    return Json(convert.user(await auth(auth.stub.GetMe, pb.GetMeRequest())), 200, [NO_STORE])


def token_of(request: HttpRequest) -> bytes:
    """Of a request that came past the door with it: of two tokens the one that the door looked at."""
    return bearer(dict(request.scope["headers"])[b"authorization"])


async def _limit_account(request: HttpRequest, email: str) -> None:
    """Guessing one account's password is slow from each address, and locks nobody out elsewhere."""
    parts = parts_of(request)
    account = hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]
    verdict = await parts.limiter.take(parts.login_policy, f"{context_of(request).address}:{account}")
    if not verdict.allowed:
        raise LimitReached(verdict.retry_after)


ROUTES: list[Any] = [register, login, refresh, logout, me]
