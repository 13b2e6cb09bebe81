"""Users, sessions and refresh tokens: what is valid, and what a refresh token presented again means."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Final
from uuid import UUID

from orderhub_chassis.errors import invalid_field, uuid_field

from orderhub_auth.errors import SecondFactorMissing, UserDisabled, UserLocked

ROLES: Final = frozenset({"customer", "vendor", "courier", "operator"})
PASSWORD_LENGTH: Final = range(10, 201)
NAME_LENGTH: Final = 200
API: Final = "api"
"""The scope of a token that may use this API in its user's roles."""
EMAIL_LENGTH: Final = 254
ADDRESS_LENGTH: Final = 64
USER_AGENT_LENGTH: Final = 300
PASSWORD: Final = ("pwd",)
"""`amr` of who came with a password alone (RFC 8176)."""
ADDRESS_PART_LENGTH: Final = 500
LINES: Final = ("formatted", "street_address")
"""Members of an address that may have several lines."""
TWO_FACTORS: Final = ("pwd", "otp", "mfa")
"""`amr` of who came with a code as well, of the app or a recovery code: both are one-time passwords (RFC 8176)."""
MOST_GUESSES: Final = 5
"""Wrong codes in one login: after that it begins again, with the password."""
EMAIL: Final = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
"""The addresses that HTML's e-mail input takes, with a dot in the domain."""
PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
"""E.164, section 6.1: a country code and at most 15 digits."""
PHONE_FILLERS: Final = str.maketrans("", "", " ()-./")
MOST_USES: Final = 4
"""Exchanges of one refresh token: the first, and a few concurrent ones within the grace time."""


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """The members of the address claim (OpenID Connect Core 1.0, section 5.1.1); empty is not known."""

    formatted: str = ""
    street_address: str = ""
    locality: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""

    def known(self) -> dict[str, str]:
        """The members that are not empty: the claim, as it is given to others."""
        return {name: part for name, part in asdict(self).items() if part}


NOWHERE: Final = PostalAddress()


@dataclass(frozen=True, slots=True)
class User:
    id: UUID
    email: str
    name: str
    password_hash: str
    roles: tuple[str, ...]
    vendor_id: UUID | None
    email_verified: bool
    disabled: bool
    created_at: datetime
    updated_at: datetime
    phone: str = ""
    address: PostalAddress = NOWHERE
    locked_until: datetime | None = None
    mfa_enabled: bool = False
    # Rises when all access tokens are to end; a token says which it is of.
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class SecondStep:
    """A login that has shown the password and has yet to show the second factor."""

    user_id: UUID
    password_digest: bytes
    expires_at: datetime
    guesses: int = 0
    spent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from: an IP address, and what the client calls itself."""

    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    """How a user proved who it is (`amr`, RFC 8176) and when (`auth_time`, OpenID Connect Core 1.0, section 2)."""

    amr: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A login and everything refreshed from it, as its user sees it. `last_seen_at` is the login or the last refresh.

    `client_name` is the relying party that it was opened for; "" where it is the person's own.
    """

    id: UUID
    client: Client
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    client_name: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """What a session is for. Without `client_id` it is the person's own, at this API or in a browser (`cookie_hash`).

    `parent_id` is the browser's session that a client's stems from, `claims` what the client asked userinfo for by name.
    """

    client_id: UUID | None = None
    parent_id: UUID | None = None
    scopes: tuple[str, ...] = (API,)
    claims: tuple[str, ...] = ()
    cookie_hash: bytes | None = None


OWN_USE: Final = Use()


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token that was presented, as it stands in the database, with its session."""

    session_id: UUID
    user_id: UUID
    spent_at: datetime | None
    uses: int
    expires_at: datetime
    revoked_at: datetime | None
    authentication: Authentication
    use: Use = OWN_USE


class Purpose(StrEnum):
    """What a mailed code is for."""

    PASSWORD_RESET = "password_reset"
    EMAIL_VERIFICATION = "email_verification"


@dataclass(frozen=True, slots=True)
class Code:
    user_id: UUID
    purpose: Purpose
    expires_at: datetime
    spent_at: datetime | None


def code_works(code: Code, purpose: Purpose, *, now: datetime) -> bool:
    """Once, for what it was mailed for, and in time."""
    return code.purpose is purpose and code.spent_at is None and now < code.expires_at


class Exchange(Enum):
    """What a presented refresh token is worth."""

    ROTATE = auto()
    REFUSE = auto()
    # Spent before: somebody has a copy. The whole session ends (RFC 9700, section 4.14.2).
    REVOKE_SESSION = auto()


def check_can_issue(user: User, *, now: datetime) -> None:
    """The one gate in front of every grant: no way to a token leads around it. Raises UserDisabled or UserLocked."""
    if user.disabled:
        raise UserDisabled
    if user.locked_until is not None and now < user.locked_until:
        raise UserLocked


def can_come_in(user: User, *, now: datetime) -> bool:
    """Whether the gate is open."""
    try:
        check_can_issue(user, now=now)
    except (UserDisabled, UserLocked):
        return False
    return True


def is_operator(user: User, *, now: datetime) -> bool:
    """Who can administer others just now."""
    return "operator" in user.roles and can_come_in(user, now=now)


def loses_tokens(before: User, after: User, *, now: datetime) -> bool:
    """Whether its access tokens say more than the user may do now."""
    moved = (after.roles, after.vendor_id) != (before.roles, before.vendor_id)
    return moved or not can_come_in(after, now=now)


def checked_lock(until: datetime, *, now: datetime) -> datetime:
    """Raises Invalid that names /locked_until."""
    if until <= now:
        raise invalid_field("/locked_until", "range", "must be in the future; null unlocks")
    return until


def second_factor_needed(user: User) -> bool:
    """Whether a password alone opens nothing for this user."""
    return user.mfa_enabled


def check_factors(user: User, amr: tuple[str, ...]) -> None:
    """The gate's other half: who has a second factor gets no token without it. Raises SecondFactorMissing."""
    if second_factor_needed(user) and "mfa" not in amr:
        raise SecondFactorMissing


def second_step_works(step: SecondStep, *, now: datetime) -> bool:
    """Once, in time, and while there are guesses left."""
    return step.spent_at is None and now < step.expires_at and step.guesses < MOST_GUESSES


def judge_refresh(
    token: Presented | None, *, client_id: UUID | None, now: datetime, grace: timedelta
) -> Exchange:
    """Two tabs of one browser may refresh at once; a token that comes back later was copied.

    `client_id` is who presents it, None for the person itself: a token is bound to its client (RFC 6749, section 6).
    """
    if (
        token is None
        or token.use.client_id != client_id
        or token.revoked_at is not None
        or token.expires_at <= now
    ):
        return Exchange.REFUSE
    if token.spent_at is None:
        return Exchange.ROTATE
    in_grace = now - token.spent_at <= grace and token.uses < MOST_USES
    return Exchange.ROTATE if in_grace else Exchange.REVOKE_SESSION


def email_or_none(email: str) -> str | None:
    """Trimmed and in lower case; None for what is no address."""
    normal = email.strip().lower()
    return normal if len(normal) <= EMAIL_LENGTH and EMAIL.fullmatch(normal) else None


def normal_email(email: str) -> str:
    """Raises Invalid that names /email."""
    if normal := email_or_none(email):
        return normal
    raise invalid_field("/email", "email", "is not an e-mail address")


def checked_name(name: str) -> str:
    """Raises Invalid that names /name."""
    trimmed = name.strip()
    if len(trimmed) > NAME_LENGTH or not trimmed.isprintable():
        raise invalid_field("/name", "name", f"must be at most {NAME_LENGTH} printable characters")
    return trimmed


def checked_phone(phone: str) -> str:
    """In E.164, without the letters that people write between the digits. Raises Invalid that names /phone."""
    plain = phone.translate(PHONE_FILLERS)
    if plain and not PHONE.fullmatch(plain):
        raise invalid_field("/phone", "phone", "must be an international number: + and 7 to 15 digits")
    return plain


def checked_address(address: PostalAddress) -> PostalAddress:
    """Raises Invalid that names the member. Two of them may have several lines (OpenID Connect Core 1.0, 5.1.1)."""
    return PostalAddress(**{name: _checked_part(name, part) for name, part in asdict(address).items()})


def _checked_part(name: str, part: str) -> str:
    lines = part.strip().splitlines() if name in LINES else [part.strip()]
    trimmed = "\n".join(line.strip() for line in lines)
    if len(trimmed) > ADDRESS_PART_LENGTH or not all(line.isprintable() for line in lines):
        words = f"must be at most {ADDRESS_PART_LENGTH} printable characters"
        raise invalid_field(f"/address/{name}", "address", words)
    return trimmed


def told_client(address: str, user_agent: str) -> Client:
    """What anybody may send is cut, not refused; what cannot be printed becomes a question mark."""
    printable = "".join(letter if letter.isprintable() else "?" for letter in user_agent)
    return Client(address[:ADDRESS_LENGTH], printable[:USER_AGENT_LENGTH])


def check_password(password: str, email: str, pointer: str = "/password") -> None:
    """Long, and not the address itself; no rules of composition (NIST SP 800-63B, section 3.1.1.2)."""
    if len(password) not in PASSWORD_LENGTH:
        first, last = PASSWORD_LENGTH[0], PASSWORD_LENGTH[-1]
        raise invalid_field(pointer, "length", f"must have {first} to {last} characters")
    if password.strip().lower() == email:
        raise invalid_field(pointer, "password.is_email", "must not be the e-mail address")


def checked_roles(roles: Collection[str], vendor_id: str) -> tuple[tuple[str, ...], UUID | None]:
    """Sorted roles, and the vendor that exactly the role vendor has."""
    unknown = sorted(set(roles) - ROLES)
    if unknown or not roles:
        raise invalid_field("/roles", "enum", f"must be some of {', '.join(sorted(ROLES))}")
    if ("vendor" in roles) != bool(vendor_id):
        raise invalid_field("/vendor_id", "vendor_id", "is needed for the role vendor, and only for it")
    return tuple(sorted(set(roles))), uuid_field("/vendor_id", vendor_id) if vendor_id else None
