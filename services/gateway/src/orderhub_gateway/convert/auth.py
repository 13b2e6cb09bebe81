"""Users and tokens."""

from __future__ import annotations

import msgspec
from msgspec import UNSET
from orderhub_chassis.calls import Caller
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.errors import invalid_field
from orderhub_contracts.auth.v1 import auth_pb2, profile_pb2

from orderhub_gateway.schemas.auth import (
    Me,
    PostalAddress,
    Session,
    TokenPair,
    UpdateMe,
    UpdateUser,
    User,
    UserEntry,
)
from orderhub_gateway.tokens import Profile


def user(message: auth_pb2.User) -> User:
    return User(
        id=message.id,
        email=message.email,
        name=message.name,
        roles=list(message.roles),
        email_verified=message.email_verified,
        vendor_id=message.vendor_id or None,
    )


def me(message: auth_pb2.User) -> Me:
    address = PostalAddress(**{field.name: part for field, part in message.address.ListFields()})
    return Me(
        **msgspec.structs.asdict(user(message)),
        phone=message.phone or None,
        address=address if message.address.ListFields() else None,
        updated_at=message.updated_at or None,
        mfa_enabled=message.mfa_enabled,
    )


def to_update_profile(body: UpdateMe) -> profile_pb2.UpdateProfileRequest:
    message = profile_pb2.UpdateProfileRequest()
    if body.name is not UNSET:
        message.name = body.name
    if body.phone is not UNSET:
        message.phone = body.phone or ""
    if body.address is not UNSET:
        parts = msgspec.structs.asdict(body.address) if body.address else {}
        message.address.CopyFrom(auth_pb2.PostalAddress(**parts))
    return message


def foreign_user(caller: Caller, profile: Profile) -> Me:
    """A user whom auth does not know: the id is ours, all the rest another issuer's word."""
    return Me(
        id=caller.user_id,
        email=profile.email,
        name=profile.name,
        roles=sorted(caller.roles),
        email_verified=profile.email_verified,
        vendor_id=caller.vendor_id or None,
        issuer=profile.issuer,
    )


def user_entry(message: auth_pb2.User) -> UserEntry:
    return UserEntry(
        id=message.id,
        email=message.email,
        name=message.name,
        roles=list(message.roles),
        email_verified=message.email_verified,
        vendor_id=message.vendor_id or None,
        disabled=message.disabled,
        locked_until=message.locked_until or None,
        mfa_enabled=message.mfa_enabled,
        created_at=message.created_at,
    )


def to_update_user(id: str, body: UpdateUser) -> auth_pb2.UpdateUserRequest:
    """Raises Invalid for a vendor without roles: which it would go with is not said."""
    message = auth_pb2.UpdateUserRequest(id=id)
    if body.roles is not UNSET:
        vendor_id = "" if body.vendor_id is UNSET else str(body.vendor_id)
        message.standing.CopyFrom(auth_pb2.UpdateUserRequest.Standing(roles=body.roles, vendor_id=vendor_id))
    elif body.vendor_id is not UNSET:
        raise invalid_field("/vendor_id", "vendor_id", "is set together with /roles")
    if body.disabled is not UNSET:
        message.disabled = body.disabled
    if body.name is not UNSET:
        message.name = body.name
    if body.locked_until is not UNSET:
        message.locked_until = rfc3339(body.locked_until) if body.locked_until else ""
    return message


def session(message: auth_pb2.Session) -> Session:
    return Session(
        id=message.id,
        client=message.client_name or None,
        address=message.address,
        user_agent=message.user_agent,
        created_at=message.created_at,
        last_seen_at=message.last_seen_at,
        expires_at=message.expires_at,
        current=message.current,
    )


def token_pair(message: auth_pb2.TokenPair) -> TokenPair:
    return TokenPair(
        access_token=message.access_token,
        refresh_token=message.refresh_token,
        token_type=message.token_type,
        expires_in=message.expires_in,
        refresh_expires_in=message.refresh_expires_in,
        user=user(message.user),
    )
