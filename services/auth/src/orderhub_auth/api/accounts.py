"""Users and their sessions over gRPC."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from orderhub_chassis import idempotency
from orderhub_chassis.calls import current_call
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.cursors import Cursors, page_limit
from orderhub_chassis.db import Transaction
from orderhub_chassis.errors import Failure, Unavailable, invalid_field
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.auth.v1 import auth_pb2_grpc

from orderhub_auth import accounts, errors, metrics, model, queries
from orderhub_auth.accounts import Accounts, Lock, NewUser, UserChange
from orderhub_auth.issuing import Granted, Issuing
from orderhub_auth.keyring import KeyRing
from orderhub_auth.model import Client, Session, User
from orderhub_auth.recovery import Recovery
from orderhub_auth.registration import Registration

REPLAYED = ("x-idempotency-replayed", "true")


class AuthServicer(auth_pb2_grpc.AuthServiceServicer):  # type: ignore[misc]
    def __init__(
        self,
        uses: Accounts,
        registration: Registration,
        recovery: Recovery,
        cursors: Cursors,
        ring: KeyRing,
        jwks_max_age: timedelta,
    ) -> None:
        self._uses = uses
        self._registration = registration
        self._recovery = recovery
        self._cursors = cursors
        self._ring = ring
        self._jwks_max_age = int(jwks_max_age.total_seconds())

    async def Register(self, request: pb.RegisterRequest, context: Any) -> pb.RegisterResponse:
        await self._registration.register(request.email, request.password, request.name)
        return pb.RegisterResponse()

    async def Login(self, request: pb.LoginRequest, context: Any) -> pb.TokenPair:
        granted = self._uses.login(request.email, request.password, seen_client(request.client))
        return self._pair(await counted("login", granted))

    async def Refresh(self, request: pb.RefreshRequest, context: Any) -> pb.TokenPair:
        granted = self._uses.refresh(request.refresh_token, seen_client(request.client))
        return self._pair(await counted("refresh", granted))

    async def Logout(self, request: pb.LogoutRequest, context: Any) -> pb.LogoutResponse:
        await self._uses.logout(request.refresh_token)
        return pb.LogoutResponse()

    async def LogoutAll(self, request: pb.LogoutAllRequest, context: Any) -> pb.LogoutAllResponse:
        user_id, _ = own()
        return pb.LogoutAllResponse(ended=await self._uses.end_sessions(user_id, "logout of all"))

    async def ListSessions(self, request: pb.ListSessionsRequest, context: Any) -> pb.ListSessionsResponse:
        user_id, session_id = own()
        limit, scope = page_limit(request.page.limit), f"sessions:{user_id}"
        before = self._before(scope, request.page.cursor)
        found = await queries.sessions_of(self._uses.db, user_id, before=before, limit=limit + 1)
        following = self._cursors.encode(scope, [str(found[limit - 1].id)]) if len(found) > limit else ""
        items = [_session(session, session_id) for session in found[:limit]]
        return pb.ListSessionsResponse(items=items, next_cursor=following)

    async def RevokeSession(self, request: pb.RevokeSessionRequest, context: Any) -> pb.RevokeSessionResponse:
        user_id, _ = own()
        only = uuid_or_none(request.id)
        if only is None or not await self._uses.end_sessions(user_id, "revoked by its user", only=only):
            raise errors.SessionNotFound
        return pb.RevokeSessionResponse()

    async def ChangePassword(
        self, request: pb.ChangePasswordRequest, context: Any
    ) -> pb.ChangePasswordResponse:
        user_id, session_id = own()
        await self._uses.change_password(user_id, session_id, request.current_password, request.new_password)
        return pb.ChangePasswordResponse()

    async def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, context: Any
    ) -> pb.RequestPasswordResetResponse:
        await self._recovery.request_reset(request.email)
        return pb.RequestPasswordResetResponse()

    async def ConfirmPasswordReset(
        self, request: pb.ConfirmPasswordResetRequest, context: Any
    ) -> pb.ConfirmPasswordResetResponse:
        await self._recovery.reset(request.code, request.new_password, seen_client(request.client))
        return pb.ConfirmPasswordResetResponse()

    async def RequestEmailVerification(
        self, request: pb.RequestEmailVerificationRequest, context: Any
    ) -> pb.RequestEmailVerificationResponse:
        user_id, _ = own()
        await self._recovery.request_verification(user_id)
        return pb.RequestEmailVerificationResponse()

    async def ConfirmEmailVerification(
        self, request: pb.ConfirmEmailVerificationRequest, context: Any
    ) -> pb.ConfirmEmailVerificationResponse:
        await self._recovery.verify(request.code)
        return pb.ConfirmEmailVerificationResponse()

    async def GetMe(self, request: pb.GetMeRequest, context: Any) -> pb.User:
        caller = current_call.get().caller
        caller.need(*model.ROLES)
        user = await queries.user_by_id(self._uses.db, UUID(caller.user_id))
        if user is None:
            raise errors.UserNotFound
        return encoded(user)

    async def GetJwks(self, request: pb.GetJwksRequest, context: Any) -> pb.GetJwksResponse:
        with suppress(Unavailable):  # then those that were read last count, as long as the schedule lets them
            await self._ring.reload()
        return pb.GetJwksResponse(jwks_json=self._ring.jwks(), max_age_seconds=self._jwks_max_age)

    async def CreateUser(self, request: pb.CreateUserRequest, context: Any) -> pb.User:
        call = current_call.get()
        call.caller.need("operator", "service")
        new = NewUser(request.email, request.password, request.roles, request.vendor_id, request.name)
        user = await accounts.checked(self._uses.db, self._uses.passwords, new, verified=True)

        async def work(tx: Transaction) -> pb.User:
            await accounts.add_user(tx, user)
            return encoded(user)

        answer, replayed = await idempotency.once(self._uses.db, call, "auth.CreateUser", pb.User, work)
        if replayed:
            await context.send_initial_metadata((REPLAYED,))
        return answer

    async def ListUsers(self, request: pb.ListUsersRequest, context: Any) -> pb.ListUsersResponse:
        current_call.get().caller.need("operator", "service")
        if request.role and request.role not in model.ROLES:
            raise invalid_field("/query/role", "enum", f"must be one of {', '.join(sorted(model.ROLES))}")
        limit, scope = page_limit(request.page.limit), f"users:{request.role}"
        before = self._before(scope, request.page.cursor)
        users = await queries.list_users(self._uses.db, role=request.role, before=before, limit=limit + 1)
        following = self._cursors.encode(scope, [str(users[limit - 1].id)]) if len(users) > limit else ""
        return pb.ListUsersResponse(items=map(encoded, users[:limit]), next_cursor=following)

    async def GetUser(self, request: pb.GetUserRequest, context: Any) -> pb.User:
        current_call.get().caller.need("operator", "service")
        id = uuid_or_none(request.id)
        user = await queries.user_by_id(self._uses.db, id) if id else None
        if user is None:
            raise errors.UserNotFound
        return encoded(user)

    async def UpdateUser(self, request: pb.UpdateUserRequest, context: Any) -> pb.User:
        current_call.get().caller.need("operator", "service")
        id = uuid_or_none(request.id)
        if id is None:
            raise errors.UserNotFound
        return encoded(await self._uses.change_user(id, _change(request)))

    def _before(self, scope: str, cursor: str) -> UUID | None:
        return UUID(self._cursors.decode(scope, cursor)[0]) if cursor else None

    def _pair(self, granted: Granted) -> pb.TokenPair:
        return token_pair(granted, self._uses.issuing)


def own() -> tuple[UUID, UUID | None]:
    """The caller's user and session; tokens of other issuers have no session here."""
    caller = current_call.get().caller
    caller.need(*model.ROLES)
    return UUID(caller.user_id), uuid_or_none(caller.session_id)


def uuid_or_none(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _change(request: pb.UpdateUserRequest) -> UserChange:
    given = request.standing if request.HasField("standing") else None
    return UserChange(
        model.checked_roles(given.roles, given.vendor_id) if given else None,
        request.disabled if request.HasField("disabled") else None,
        model.checked_name(request.name) if request.HasField("name") else None,
        _lock(request.locked_until) if request.HasField("locked_until") else None,
    )


def _lock(until: str) -> Lock:
    try:
        at = datetime.fromisoformat(until) if until else None
    except ValueError as error:
        raise invalid_field("/locked_until", "date_time", "must be an RFC 3339 time") from error
    if at is not None and at.tzinfo is None:
        raise invalid_field("/locked_until", "date_time", "must have an offset or Z")
    return Lock(at)


def seen_client(given: pb.Client) -> Client:
    return model.told_client(given.address, given.user_agent)


def _session(session: Session, current: UUID | None) -> pb.Session:
    return pb.Session(
        id=str(session.id), address=session.client.address, user_agent=session.client.user_agent,
        created_at=rfc3339(session.created_at), last_seen_at=rfc3339(session.last_seen_at),
        expires_at=rfc3339(session.expires_at), current=session.id == current, client_name=session.client_name,
    )  # fmt: skip


async def counted(grant: str, work: Awaitable[Granted]) -> Granted:
    outcome = "granted"
    try:
        return await work
    except Failure as failure:
        outcome = failure.code
        raise
    finally:
        metrics.TOKENS.labels(grant, outcome).inc()


def token_pair(granted: Granted, issuing: Issuing) -> pb.TokenPair:
    return pb.TokenPair(
        access_token=granted.access_token,
        refresh_token=granted.refresh_token,
        token_type="Bearer",
        expires_in=int(issuing.issuer.lifetime.total_seconds()),
        refresh_expires_in=int(issuing.refresh_lifetime.total_seconds()),
        user=encoded(granted.user),
    )


def encoded(user: User) -> pb.User:
    return pb.User(
        id=str(user.id), email=user.email, roles=user.roles, email_verified=user.email_verified,
        vendor_id=str(user.vendor_id or ""), created_at=rfc3339(user.created_at), disabled=user.disabled,
        name=user.name, phone=user.phone, address=_address(user),
        updated_at=rfc3339(user.updated_at),
        locked_until=rfc3339(user.locked_until) if user.locked_until else "", mfa_enabled=user.mfa_enabled,
    )  # fmt: skip


def _address(user: User) -> pb.PostalAddress | None:
    known = user.address.known()
    return pb.PostalAddress(**known) if known else None
