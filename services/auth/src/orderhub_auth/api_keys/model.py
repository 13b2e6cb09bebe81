"""An API key: what may stand in it, and when it is good."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from orderhub_chassis.errors import invalid_field
from orderhub_contracts.api_keys import PREFIX, SCOPES

NAME_LENGTH: Final = 100
NO_HASH: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who has it acts for the vendor, as far as the scopes go. The key itself is nowhere."""

    id: UUID
    vendor_id: UUID
    public_id: str
    key_hash: bytes
    name: str
    scopes: tuple[str, ...]
    created_by: UUID
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def prefix(self) -> str:
        return PREFIX + self.public_id


@dataclass(frozen=True, slots=True)
class Maker:
    """Whoever made a key, as it stands now."""

    roles: tuple[str, ...]
    vendor_id: UUID | None
    disabled: bool

    def may_make_for(self, vendor_id: UUID) -> bool:
        """A key gives nothing that its maker could not do itself."""
        own = "vendor" in self.roles and self.vendor_id == vendor_id
        return not self.disabled and (own or "operator" in self.roles)


def is_good(key: ApiKey | None, maker: Maker | None, presented_hash: bytes, *, now: datetime) -> bool:
    """Unknown, wrong, revoked, over, or of somebody who could not make it any more: all are one answer.

    The hashes are compared in a time that does not depend on where they differ, also where there is no such key.
    """
    same = hmac.compare_digest(key.key_hash if key else NO_HASH, presented_hash)
    if key is None or maker is None or not same:
        return False
    return key.revoked_at is None and now < key.expires_at and maker.may_make_for(key.vendor_id)


def checked_name(name: str) -> str:
    """Raises Invalid that names /name."""
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= NAME_LENGTH or not trimmed.isprintable():
        raise invalid_field("/name", "name", f"must be 1 to {NAME_LENGTH} printable characters")
    return trimmed


def checked_scopes(given: Collection[str]) -> tuple[str, ...]:
    """In their one order. Raises Invalid that names the scope."""
    if not given:
        raise invalid_field("/scopes", "required", "at least one is required")
    for number, scope in enumerate(given):
        if scope not in SCOPES:
            raise invalid_field(f"/scopes/{number}", "enum", f"must be one of {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in given)


def checked_expiry(text: str, *, made_at: datetime, longest: timedelta, now: datetime) -> datetime:
    """Empty: as late as may be. Raises Invalid that names /expires_at."""
    latest = made_at + longest
    if not text:
        return latest
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError(text)
        at = at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid_field(
            "/expires_at", "date_time", "must be an RFC 3339 time such as 2026-01-31T12:00:00Z"
        ) from None
    if not now < at <= latest:
        raise invalid_field(
            "/expires_at",
            "range",
            f"must lie in the future, {longest.days} days after the key was made at most",
        )
    return at
