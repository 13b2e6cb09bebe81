"""Users and tokens."""

from __future__ import annotations

from orderhub_chassis.calls import Caller
from orderhub_contracts.auth.v1 import auth_pb2

from orderhub_gateway.schemas.auth import Session, TokenPair, User, UserEntry
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


def foreign_user(caller: Caller, profile: Profile) -> User:
    """A user whom auth does not know: the id is ours, all the rest another issuer's word."""
    return User(
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
        created_at=message.created_at,
    )


def session(message: auth_pb2.Session) -> Session:
    return Session(
        id=message.id,
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
