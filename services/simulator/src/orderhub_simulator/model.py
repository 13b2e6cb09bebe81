"""An authorization and its transitions. Each returns the new state or raises the refusal; no I/O, clock or ids."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from orderhub_simulator import errors

Status = Literal["authorized", "declined", "captured", "voided"]


class Authorization(msgspec.Struct, frozen=True):
    id: UUID
    token: str
    reference: str
    amount_minor: int
    currency: str
    status: Status
    decline_code: str | None
    captured_minor: int
    refunded_minor: int
    created_at: datetime
    updated_at: datetime


class Refund(msgspec.Struct, frozen=True):
    id: UUID
    authorization_id: UUID
    amount_minor: int
    reference: str
    created_at: datetime


def capture(held: Authorization, amount_minor: int, *, now: datetime) -> Authorization:
    """Once per authorization, up to its amount; what is not captured is released."""
    _require_authorized(held)
    if amount_minor > held.amount_minor:
        raise errors.CaptureExceedsAuthorized(amount_minor, held.amount_minor)
    return msgspec.structs.replace(held, status="captured", captured_minor=amount_minor, updated_at=now)


def void(held: Authorization, *, now: datetime) -> Authorization:
    _require_authorized(held)
    return msgspec.structs.replace(held, status="voided", updated_at=now)


def refund(held: Authorization, amount_minor: int, *, now: datetime) -> Authorization:
    """Part by part, never more in total than was captured."""
    _require_captured(held)
    left = held.captured_minor - held.refunded_minor
    if amount_minor > left:
        raise errors.RefundExceedsCaptured(amount_minor, left)
    return msgspec.structs.replace(held, refunded_minor=held.refunded_minor + amount_minor, updated_at=now)


def _require_authorized(held: Authorization) -> None:
    if held.status == "captured":
        raise errors.AlreadyCaptured
    _refuse_declined_or_voided(held)


def _require_captured(held: Authorization) -> None:
    if held.status == "authorized":
        raise errors.NotCaptured
    _refuse_declined_or_voided(held)


def _refuse_declined_or_voided(held: Authorization) -> None:
    if held.status == "declined":
        raise errors.AuthorizationDeclined
    if held.status == "voided":
        raise errors.AlreadyVoided
