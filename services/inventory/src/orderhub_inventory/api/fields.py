"""Requests turned into checked values; every wrong field is named in one answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar
from uuid import UUID

from orderhub_chassis.errors import FieldError, Invalid
from orderhub_contracts.common.v1.common_pb2 import Address, AnimalFacts, Money

from orderhub_inventory.model import checks
from orderhub_inventory.model.catalogue import Place
from orderhub_inventory.model.checks import Wrong
from orderhub_inventory.model.stock import Facts, Kind

T = TypeVar("T")


class Fields:
    """Collects what is wrong; `check` raises Invalid with all of it."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def wrong(self, pointer: str, code: str, detail: str) -> None:
        self.errors.append(FieldError(pointer, code, detail))

    def take(self, pointer: str, check: Callable[..., T], *arguments: Any) -> T | None:
        try:
            return check(*arguments)
        except Wrong as wrong:
            self.wrong(pointer, wrong.code, wrong.detail)
            return None

    def check(self) -> None:
        if self.errors:
            first = self.errors[0]
            code = first.code if len(self.errors) == 1 else "invalid"
            raise Invalid(f"{first.pointer}: {first.detail}", code=code, errors=tuple(self.errors))


def identity(pointer: str, value: str) -> UUID:
    """Raises Invalid at once: without the id there is nothing else to look at."""
    fields = Fields()
    id = fields.take(pointer, checks.identity, value)
    fields.check()
    assert id is not None
    return id


def price(fields: Fields, message: Any) -> tuple[int, str]:
    """Of a message with a `price`; what is wrong is in `fields`."""
    if not message.HasField("price"):
        fields.wrong("/price", "required", "is required")
        return 0, ""
    money: Money = message.price
    amount = fields.take("/price/amount_minor", checks.amount_minor, money.amount_minor)
    currency = fields.take("/price/currency", checks.currency, money.currency)
    return amount or 0, currency or ""


def facts(
    fields: Fields, message: AnimalFacts, kind: Kind | None, today: date, *, species: str = ""
) -> Facts:
    """`species`: what the product has, where the message may leave it out but not change it."""
    given = fields.take("/facts/species", checks.species, message.species or species, kind) or ""
    if species and given != species:
        fields.wrong("/facts/species", "enum", f"must be the product's: {species}")
    return Facts(
        given,
        fields.take("/facts/life_stage", checks.life_stage, message.life_stage, kind) or "",
        _born_on(fields, message.born_on, kind, today),
        _fact(fields, message, "weaned", kind, _as_it_is),
        _fact(fields, message, "carapace_cm", kind, checks.carapace_cm),
        _fact(fields, message, "weight_kg", None, checks.weight_kg),
        _fact(fields, message, "with_mother", kind, _as_it_is),
    )


def _born_on(fields: Fields, text: str, kind: Kind | None, today: date) -> date | None:
    if not text:
        return None
    if kind is Kind.GOOD:
        fields.wrong("/facts/born_on", "enum", "a good is not born")
    day = fields.take("/facts/born_on", checks.day, text)
    return fields.take("/facts/born_on", checks.born_on, day, today) if day else None


def _fact(fields: Fields, message: AnimalFacts, name: str, kind: Kind | None, check: Callable[[T], T]) -> Any:
    if not message.HasField(name):
        return None
    if kind is Kind.GOOD:
        fields.wrong(f"/facts/{name}", "enum", "is for animals")
    return fields.take(f"/facts/{name}", check, getattr(message, name))


def _as_it_is(value: T) -> T:
    return value


def place(fields: Fields, message: Address) -> Place:
    """An address without the name, which is the vendor's."""
    return Place(
        fields.take("/address/line1", checks.text, message.line1, 200) or "",
        fields.take("/address/city", checks.text, message.city, 100) or "",
        fields.take("/address/postal_code", checks.text, message.postal_code, 20) or "",
        fields.take("/address/country", checks.country, message.country) or "",
        fields.take("/address/phone", checks.phone, message.phone) or "",
        *_position(fields, message),
    )


def _position(fields: Fields, message: Address) -> tuple[float | None, float | None]:
    if not message.HasField("position"):
        return None, None
    lat = fields.take("/address/lat", checks.degrees, message.position.lat, 90)
    return lat, fields.take("/address/lon", checks.degrees, message.position.lon, 180)
