"""Shapes that all areas share."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")

AmountMinor = Annotated[
    int, Meta(ge=0, le=1_000_000_000_000, description="In the currency's minor unit (cents).")
]
Currency = Annotated[
    str, Meta(min_length=3, max_length=3, pattern="^[A-Z]{3}$", description="ISO 4217, upper case.")
]
Country = Annotated[
    str, Meta(min_length=2, max_length=2, pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2, upper case.")
]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
LongText = Annotated[str, Meta(max_length=2000)]
Sku = Annotated[str, Meta(min_length=1, max_length=64)]
ReasonText = Annotated[str, Meta(min_length=1, max_length=500)]
Latitude = Annotated[float, Meta(ge=-90, le=90, description="WGS 84 degrees.")]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="WGS 84 degrees.")]
ProductKind = Literal["good", "countable", "individual"]
ProductStatus = Literal["active", "archived"]


class Input(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A request: strict, and encoded without defaults, so that a fingerprint survives new optional fields."""


class WithReason(Input):
    reason: ReasonText


class MayHaveReason(Input):
    reason: ReasonText | None = None


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """One page of a list, newest first; `next_cursor` leads to the next one."""

    items: list[T]
    next_cursor: str | None


class Money(msgspec.Struct, kw_only=True):
    amount_minor: int
    currency: str


class MoneyInput(Input):
    amount_minor: AmountMinor
    currency: Currency


class Reason(msgspec.Struct, kw_only=True):
    """Why something ended as it did; `code` is stable, `message` is for people."""

    code: str
    message: str
    lines: list[LineReason] | None = None


class LineReason(msgspec.Struct, kw_only=True):
    line_no: int
    code: str
    message: str


class Position(msgspec.Struct, kw_only=True):
    lat: float
    lon: float


class PositionInput(Input):
    lat: Latitude
    lon: Longitude


class Address(msgspec.Struct, kw_only=True):
    name: str
    line1: str
    city: str
    postal_code: str
    country: str
    phone: str | None
    lat: float | None
    lon: float | None


class AddressInput(Input):
    """`lat` and `lon` come together; animals are not carried without them."""

    name: Text
    line1: Text
    city: Annotated[str, Meta(min_length=1, max_length=100)]
    postal_code: Annotated[str, Meta(min_length=1, max_length=20)]
    country: Country
    phone: Annotated[str, Meta(max_length=40)] | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
