"""`auth/…`: users and their sessions."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from orderhub_contracts.auth.v1 import auth_pb2 as pb

from orderhub_gateway.api.parameters import Cursor, Limit
from orderhub_gateway.bodies import JsonBody
from orderhub_gateway.calling import HttpRequest, context_of, page, page_request, parts_of, peers_of
from orderhub_gateway.convert import auth as convert
from orderhub_gateway.errors import LimitReached
from orderhub_gateway.reading import bearer
from orderhub_gateway.responses import NO_STORE, Json, Raw
from orderhub_gateway.schemas.auth import (
    ChangePassword,
    ConfirmEmail,
    ConfirmReset,
    Login,
    Me,
    Refresh,
    Register,
    RequestReset,
    Session,
    TokenPair,
    UpdateMe,
)
from orderhub_gateway.schemas.common import Page


@post("/auth/register", dto=JsonBody[Register], return_dto=None, operation_id="register", status_code=202)
async def register(request: HttpRequest, data: JSONBody[Register]) -> Response[None]:
    """Become a customer, who may log in at once and gets a code for the address by mail.

    The answer is the same where the address has a user already; that user is told by mail.
    """
    auth = peers_of(request).auth
    message = pb.RegisterRequest(email=data.email, password=data.password, name=data.name)
    async with parts_of(request).passwords:
        await auth(auth.stub.Register, message)
    return Raw(202, b"", [])


@post("/auth/login", dto=JsonBody[Login], return_dto=None, operation_id="login", status_code=200)
async def login(request: HttpRequest, data: JSONBody[Login]) -> Response[TokenPair]:
    """Get an access and a refresh token for an e-mail address and its password.

    A user with a second factor gets 401 `auth.mfa_required` for the right password: its `mfa_token` goes to
    `auth/mfa/verify` with a code.
    """
    await limit_account(request, data.email)
    auth = peers_of(request).auth
    message = pb.LoginRequest(email=data.email, password=data.password, client=client_of(request))
    async with parts_of(request).passwords:
        pair = await auth(auth.stub.Login, message)
    return Json(convert.token_pair(pair), 200, [NO_STORE])


@post("/auth/refresh", dto=JsonBody[Refresh], return_dto=None, operation_id="refresh", status_code=200)
async def refresh(request: HttpRequest, data: JSONBody[Refresh]) -> Response[TokenPair]:
    """Exchange the refresh token; the one given is spent."""
    auth = peers_of(request).auth
    message = pb.RefreshRequest(refresh_token=data.refresh_token, client=client_of(request))
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
    await limit_account(request, context_of(request).call.caller.user_id)
    auth = peers_of(request).auth
    message = pb.ChangePasswordRequest(current_password=data.current_password, new_password=data.new_password)
    async with parts_of(request).passwords:
        await auth(auth.stub.ChangePassword, message)
    return Raw(204, b"", [])


@post(
    "/auth/password/reset/request", dto=JsonBody[RequestReset], return_dto=None,
    operation_id="requestPasswordReset", status_code=202,
)  # fmt: skip
async def request_password_reset(request: HttpRequest, data: JSONBody[RequestReset]) -> Response[None]:
    """Ask for a code by mail. The answer is the same whether or not there is such a user."""
    auth = peers_of(request).auth
    await auth(auth.stub.RequestPasswordReset, pb.RequestPasswordResetRequest(email=data.email))
    return Raw(202, b"", [])


@post(
    "/auth/password/reset/confirm", dto=JsonBody[ConfirmReset], return_dto=None,
    operation_id="confirmPasswordReset", status_code=204,
)  # fmt: skip
async def confirm_password_reset(request: HttpRequest, data: JSONBody[ConfirmReset]) -> Response[None]:
    """Set a new password by the mailed code. All sessions of the user end."""
    auth = peers_of(request).auth
    message = pb.ConfirmPasswordResetRequest(
        code=data.code, new_password=data.new_password, client=client_of(request)
    )
    async with parts_of(request).passwords:
        await auth(auth.stub.ConfirmPasswordReset, message)
    return Raw(204, b"", [])


@post("/auth/email/verify/request", operation_id="requestEmailVerification", status_code=202)
async def request_email_verification(request: HttpRequest) -> Response[None]:
    """Ask for a mail that proves the address; nothing is sent to one that is verified."""
    auth = peers_of(request).auth
    await auth(auth.stub.RequestEmailVerification, pb.RequestEmailVerificationRequest())
    return Raw(202, b"", [])


@post(
    "/auth/email/verify/confirm", dto=JsonBody[ConfirmEmail], return_dto=None,
    operation_id="confirmEmailVerification", status_code=204,
)  # fmt: skip
async def confirm_email_verification(request: HttpRequest, data: JSONBody[ConfirmEmail]) -> Response[None]:
    """Prove the address by the mailed code."""
    auth = peers_of(request).auth
    await auth(auth.stub.ConfirmEmailVerification, pb.ConfirmEmailVerificationRequest(code=data.code))
    return Raw(204, b"", [])


@get("/auth/me", operation_id="getMe")
async def me(request: HttpRequest) -> Response[Me]:
    """Who the access token stands for; of a user of another issuer, what the token says."""
    profile = await parts_of(request).access.profile(token_of(request))
    if profile is not None:
        return Json(convert.foreign_user(context_of(request).call.caller, profile), 200, [NO_STORE])
    auth = peers_of(request).auth
    return Json(convert.me(await auth(auth.stub.GetMe, pb.GetMeRequest())), 200, [NO_STORE])


@patch("/auth/me", dto=JsonBody[UpdateMe], return_dto=None, operation_id="updateMe")
async def update_me(request: HttpRequest, data: JSONBody[UpdateMe]) -> Response[Me]:
    """Change what one says of oneself. Roles, the vendor and whether the address is verified are not among it."""
    profiles = peers_of(request).profiles
    changed = await profiles(profiles.stub.UpdateProfile, convert.to_update_profile(data))
    return Json(convert.me(changed), 200, [NO_STORE])


def token_of(request: HttpRequest) -> bytes:
    """Of a request that came past the door with it: of two tokens the one that the door looked at."""
    return bearer(dict(request.scope["headers"])[b"authorization"])


def client_of(request: HttpRequest) -> pb.Client:
    agent = dict(request.scope["headers"]).get(b"user-agent", b"")
    return pb.Client(address=context_of(request).address, user_agent=agent.decode("latin-1"))


async def limit_account(request: HttpRequest, account: str) -> None:
    """Guessing one account's password is slow from each address, and locks nobody out elsewhere."""
    parts = parts_of(request)
    account = hashlib.sha256(account.strip().lower().encode()).hexdigest()[:32]
    verdict = await parts.limiter.take(parts.login_policy, f"{context_of(request).address}:{account}")
    if not verdict.allowed:
        raise LimitReached(verdict.retry_after)


ROUTES: list[Any] = [
    register, login, refresh, logout, logout_all, list_sessions, revoke_session, change_password,
    request_password_reset, confirm_password_reset, request_email_verification, confirm_email_verification, me, update_me,
]  # fmt: skip
