"""Shapes of `auth/…` and of operators' users."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from orderhub_gateway.schemas.common import Input

Email = Annotated[str, Meta(min_length=3, max_length=254)]
Password = Annotated[str, Meta(min_length=10, max_length=200)]
RefreshToken = Annotated[str, Meta(min_length=1, max_length=500)]
MailedCode = Annotated[str, Meta(min_length=1, max_length=100)]
AddressPart = Annotated[str, Meta(max_length=500)]
Role = Literal["customer", "vendor", "courier", "operator"]


class Register(Input):
    email: Email
    password: Password
    name: Annotated[str, Meta(max_length=200)] = ""


class Login(Input):
    email: Email
    # No lower limit: a short one is just wrong.
    password: Annotated[str, Meta(max_length=200)]


class Refresh(Input):
    refresh_token: RefreshToken


class ChangePassword(Input):
    # No lower limit: a short one is just wrong.
    current_password: Annotated[str, Meta(max_length=200)]
    new_password: Password


class RequestReset(Input):
    email: Email


class ConfirmReset(Input):
    code: MailedCode
    new_password: Password


class ConfirmEmail(Input):
    code: MailedCode


class CreateUser(Input):
    email: Email
    password: Password
    roles: Annotated[list[Role], Meta(min_length=1, max_length=4)]
    vendor_id: UUID | None = None
    name: Annotated[str, Meta(max_length=200)] = ""


class UpdateUser(Input):
    """What is left out stays. Roles and the vendor belong together: `vendor_id` is for the role vendor, and only for it."""

    roles: Annotated[list[Role], Meta(min_length=1, max_length=4)] | UnsetType = UNSET
    vendor_id: UUID | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    locked_until: Annotated[datetime, Meta(tz=True, description="Null unlocks.")] | UnsetType | None = UNSET
    name: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET


class User(msgspec.Struct, kw_only=True):
    """`issuer` is who vouches for a user whom auth does not know; null for our own."""

    id: str
    email: str
    name: str
    roles: list[str]
    email_verified: bool
    vendor_id: str | None
    issuer: str | None = None


class UserEntry(msgspec.Struct, kw_only=True):
    """A user as operators see it."""

    id: str
    email: str
    name: str
    roles: list[str]
    email_verified: bool
    vendor_id: str | None
    disabled: bool
    locked_until: str | None
    mfa_enabled: bool
    created_at: str


class PostalAddress(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The members of OpenID's address claim that are known; `formatted` and `street_address` may have several lines."""

    formatted: str = ""
    street_address: str = ""
    locality: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""


class Me(User, kw_only=True):
    """Of a user of another issuer auth knows neither phone nor address nor when they were changed."""

    phone: str | None = None
    address: PostalAddress | None = None
    updated_at: str | None = None
    mfa_enabled: bool = False


class PostalAddressInput(Input):
    formatted: AddressPart = ""
    street_address: AddressPart = ""
    locality: AddressPart = ""
    region: AddressPart = ""
    postal_code: AddressPart = ""
    country: AddressPart = ""


class UpdateMe(Input):
    """What is left out stays; null takes away. An address is given as a whole."""

    name: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    phone: (
        Annotated[str, Meta(max_length=40, description="International: + and 7 to 15 digits.")]
        | UnsetType
        | None
    ) = UNSET
    address: PostalAddressInput | UnsetType | None = UNSET


class Session(msgspec.Struct, kw_only=True):
    """A login and everything refreshed from it. `address` and `user_agent` are of the login or the last refresh.

    `client` is the application that it was opened for; null for the person's own.
    """

    id: str
    client: str | None
    address: str
    user_agent: str
    created_at: str
    last_seen_at: str
    expires_at: str
    current: bool


class TokenPair(msgspec.Struct, kw_only=True):
    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int
    refresh_expires_in: int
    user: User
