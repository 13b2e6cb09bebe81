"""`auth/…`: users and their sessions."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody
from orderhub_contracts.auth.v1 import auth_pb2 as pb

from orderhub_gateway.api.parameters import Cursor, Limit
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import HttpRequest, context_of, page, page_request, parts_of, peers_of
from orderhub_gateway.convert import auth as convert
from orderhub_gateway.edge import bearer
from orderhub_gateway.errors import LimitReached
from orderhub_gateway.responses import Json, Raw
from orderhub_gateway.schemas.auth import ChangePassword, Login, Refresh, Register, Session, TokenPair, User
from orderhub_gateway.schemas.common import Page

NO_STORE = (b"cache-control", b"no-store")


@post("/auth/register", dto=JsonBody[Register], return_dto=None, operation_id="register", status_code=201)
async def register(request: HttpRequest, data: JSONBody[Register]) -> Response[TokenPair]:
    """Become a customer, logged in at once."""
    auth = peers_of(request).auth
    message = pb.RegisterRequest(
        email=data.email, password=data.password, name=data.name, client=_client(request)
    )
    pair = await auth(auth.stub.Register, message)
    return Json(convert.token_pair(pair), 201, [NO_STORE])


@post("/auth/login", dto=JsonBody[Login], return_dto=None, operation_id="login", status_code=200)
async def login(request: HttpRequest, data: JSONBody[Login]) -> Response[TokenPair]:
    """Get an access and a refresh token for an e-mail address and its password."""
    await _limit_account(request, data.email)
    auth = peers_of(request).auth
    message = pb.LoginRequest(email=data.email, password=data.password, client=_client(request))
    pair = await auth(auth.stub.Login, message)
    return Json(convert.token_pair(pair), 200, [NO_STORE])


@post("/auth/refresh", dto=JsonBody[Refresh], return_dto=None, operation_id="refresh", status_code=200)
async def refresh(request: HttpRequest, data: JSONBody[Refresh]) -> Response[TokenPair]:
    """Exchange the refresh token; the one given is spent."""
    auth = peers_of(request).auth
    message = pb.RefreshRequest(refresh_token=data.refresh_token, client=_client(request))
    pair = await auth(auth.stub.Refresh, message)
    return Json(convert.token_pair(pair), 200, [NO_STORE])


@post("/auth/logout", dto=JsonBody[Refresh], return_dto=None, operation_id="logout", status_code=204)
async def logout(request: HttpRequest, data: JSONBody[Refresh]) -> Response[None]:
    """End the session of the refresh token; an unknown one counts as ended."""
    auth = peers_of(request).auth
    await auth(auth.stub.Logout, pb.LogoutRequest(refresh_token=data.refresh_token))
    return Raw(204, b"", [])


@post("/auth/logout-all", operation_id="logoutAll", status_code=204)
async def logout_all(request: HttpRequest) -> Response[None]:
    """End all sessions of the user, this one among them."""
    auth = peers_of(request).auth
    await auth(auth.stub.LogoutAll, pb.LogoutAllRequest())
    return Raw(204, b"", [])


@get("/auth/sessions", operation_id="listSessions")
async def list_sessions(
    request: HttpRequest, limit: Limit = 50, cursor: Cursor = None
) -> Response[Page[Session]]:
    """The user's sessions that are not over: where each was last seen, and which is this one."""
    auth = peers_of(request).auth
    found = await auth(auth.stub.ListSessions, pb.ListSessionsRequest(page=page_request(limit, cursor)))
    return Json(page(found, convert.session), 200, [NO_STORE])


@delete("/auth/sessions/{session_id:uuid}", operation_id="revokeSession", status_code=204)
async def revoke_session(request: HttpRequest, session_id: FromPath[UUID]) -> Response[None]:
    """End one of the user's sessions: its refresh token is worth nothing any more."""
    auth = peers_of(request).auth
    await auth(auth.stub.RevokeSession, pb.RevokeSessionRequest(id=str(session_id)))
    return Raw(204, b"", [])


@post(
    "/auth/password/change", dto=JsonBody[ChangePassword], return_dto=None,
    operation_id="changePassword", status_code=204,
)  # fmt: skip
async def change_password(request: HttpRequest, data: JSONBody[ChangePassword]) -> Response[None]:
    """Change the password by the one there is. All other sessions of the user end."""
    await _limit_account(request, context_of(request).call.caller.user_id)
    auth = peers_of(request).auth
    message = pb.ChangePasswordRequest(current_password=data.current_password, new_password=data.new_password)
    await auth(auth.stub.ChangePassword, message)
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


def _client(request: HttpRequest) -> pb.Client:
    agent = dict(request.scope["headers"]).get(b"user-agent", b"")
    return pb.Client(address=context_of(request).address, user_agent=agent.decode("latin-1"))


async def _limit_account(request: HttpRequest, account: str) -> None:
    """Guessing one account's password is slow from each address, and locks nobody out elsewhere."""
    parts = parts_of(request)
    account = hashlib.sha256(account.strip().lower().encode()).hexdigest()[:32]
    verdict = await parts.limiter.take(parts.login_policy, f"{context_of(request).address}:{account}")
    if not verdict.allowed:
        raise LimitReached(verdict.retry_after)


ROUTES: list[Any] = [
    register, login, refresh, logout, logout_all, list_sessions, revoke_session, change_password, me
]  # fmt: skip
