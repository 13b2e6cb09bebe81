"""Money, addresses, reasons."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType
from orderhub_contracts.common.v1 import common_pb2

from orderhub_gateway.errors import bad_field
from orderhub_gateway.schemas.common import (
    Address,
    AddressInput,
    LineReason,
    Money,
    MoneyInput,
    Reason,
)

Fields = dict[str, Any]
"""A message's fields by name, to be given to the message that it is a part of: a message would be copied into it by
way of its bytes, once for every level."""


def text(value: Any) -> str:
    """A UUID or a string that may be absent."""
    return "" if value is UNSET or value is None else str(value)


def present(value: Any | UnsetType) -> Any | None:
    """For `optional` fields of a message: None leaves them unset."""
    return None if value is UNSET else value


def money(message: common_pb2.Money) -> Money:
    return Money(amount_minor=message.amount_minor, currency=message.currency)


def to_money(given: MoneyInput | UnsetType | None) -> common_pb2.Money | None:
    if given is None or isinstance(given, UnsetType):
        return None
    return common_pb2.Money(amount_minor=given.amount_minor, currency=given.currency)


def address(message: common_pb2.Address) -> Address:
    place = message.position if message.HasField("position") else None
    return Address(
        name=message.name,
        line1=message.line1,
        city=message.city,
        postal_code=message.postal_code,
        country=message.country,
        phone=message.phone or None,
        lat=place.lat if place else None,
        lon=place.lon if place else None,
    )


def to_position(lat: float | None, lon: float | None, pointer: str) -> Fields | None:
    """Raises Invalid when only one of the two is there."""
    if lat is not None and lon is not None:
        return {"lat": lat, "lon": lon}
    if lat is None and lon is None:
        return None
    missing = "lat" if lat is None else "lon"
    raise bad_field(f"{pointer}/{missing}", "required", "lat and lon come together")


def to_address(given: AddressInput, pointer: str) -> Fields:
    return {
        "name": given.name,
        "line1": given.line1,
        "city": given.city,
        "postal_code": given.postal_code,
        "country": given.country,
        "phone": given.phone,
        "position": to_position(given.lat, given.lon, pointer),
    }


def reason(message: Any) -> Reason | None:
    if not message.HasField("reason"):
        return None
    found = message.reason
    lines = [LineReason(line_no=x.line_no, code=x.code, message=x.message) for x in found.lines]
    return Reason(code=found.code, message=found.message, lines=lines or None)
