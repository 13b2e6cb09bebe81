"""What a request may hold. Everything wrong is named at once, each field by its JSON pointer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.errors import FieldError, Invalid
from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.countries import COUNTRIES
from orderhub_contracts.delivery.v1 import delivery_pb2 as pb
from orderhub_contracts.delivery.v1.commands_pb2 import PlanLine

from orderhub_delivery import errors
from orderhub_delivery.commands.create import Wanted
from orderhub_delivery.model import CLOCK_TOLERANCE, Position, Status

INVALID: Final = "delivery.invalid"
SHORT, LONG = 200, 500
ADDRESS_LIMITS: Final = {"name": 200, "line1": 200, "city": 100, "postal_code": 20, "phone": 40}
KINDS: Final = ("good", "countable", "individual")
MOST_LINES, MOST_CANDIDATES, MOST_PIECES = 100, 500, 1_000_000
MOST_CM, MOST_KG = 1_000.0, 100_000.0


@dataclass(slots=True)
class Checks:
    """Collects what is wrong; `done` raises it all as one Invalid."""

    errors: list[FieldError] = field(default_factory=list)

    def fail(self, pointer: str, code: str, detail: str) -> None:
        self.errors.append(FieldError(pointer, code, detail))

    def done(self) -> None:
        if self.errors:
            first = self.errors[0]
            raise Invalid(f"{first.pointer}: {first.detail}", code=INVALID, errors=tuple(self.errors))

    def text(self, pointer: str, value: str, most: int, *, required: bool = False) -> str:
        if "\0" in value:
            self.fail(pointer, "text.nul", "must not contain NUL")
        if len(value) > most:
            self.fail(pointer, "text.too_long", f"must have at most {most} characters")
        if required and not value.strip():
            self.fail(pointer, "required", "is required")
        return value.strip()

    def number(self, pointer: str, value: float, low: float, high: float) -> None:
        if not math.isfinite(value) or not low <= value <= high:
            self.fail(pointer, "number.out_of_range", f"must be between {low:g} and {high:g}")

    def uuid(self, pointer: str, value: str) -> UUID | None:
        try:
            return UUID(value)
        except ValueError:
            self.fail(pointer, "uuid.malformed" if value else "required", "must be a UUID")
            return None

    def position(self, pointer: str, position: common_pb2.Position) -> None:
        """`lat` and `lon` stand beside the other fields, as in the public API."""
        self.number(f"{pointer}/lat", position.lat, -90, 90)
        self.number(f"{pointer}/lon", position.lon, -180, 180)

    def address(self, pointer: str, address: common_pb2.Address, *required: str) -> None:
        for name, most in ADDRESS_LIMITS.items():
            self.text(f"{pointer}/{name}", getattr(address, name), most, required=name in required)
        if address.country not in COUNTRIES:
            self.fail(f"{pointer}/country", "country.unknown", "must be an ISO 3166-1 alpha-2 code")
        if address.HasField("position"):
            self.position(pointer, address.position)

    def date(self, pointer: str, value: str) -> None:
        try:
            date.fromisoformat(value)
        except ValueError:
            self.fail(pointer, "date.malformed", "must be a date such as 2026-01-31")


def delivery_id(value: str) -> UUID:
    """An id in a path: what is no UUID names nothing."""
    try:
        return UUID(value)
    except ValueError:
        raise errors.DeliveryNotFound from None


def creation(request: pb.CreateDeliveryRequest) -> tuple[UUID, Wanted]:
    checks = Checks()
    order_id = checks.uuid("/order_id", request.order_id)
    for name in ("pickup_address", "delivery_address"):
        if request.HasField(name):
            checks.address(f"/{name}", getattr(request, name), "line1", "city")
    description = checks.text("/description", request.description, LONG)
    checks.done()
    assert order_id is not None  # `done` has raised otherwise
    return order_id, Wanted(
        request.pickup_address if request.HasField("pickup_address") else None,
        request.delivery_address if request.HasField("delivery_address") else None,
        description,
    )


def listing(request: pb.ListDeliveriesRequest) -> tuple[UUID | None, Status | None]:
    """(order id, status) to filter by."""
    checks = Checks()
    order_id = checks.uuid("/query/order_id", request.order_id) if request.order_id else None
    if request.status and request.status not in Status.__members__:
        checks.fail("/query/status", "status.unknown", f"must be one of {', '.join(Status)}")
    checks.done()
    return order_id, Status(request.status) if request.status else None


def quote(request: pb.QuoteDeliveryRequest) -> None:
    checks = Checks()
    checks.address("/pickup", request.pickup)
    checks.address("/ship_to", request.ship_to)
    if not 1 <= len(request.lines) <= MOST_LINES:
        checks.fail("/lines", "list.length", f"must have 1 to {MOST_LINES} lines")
    for index, line in enumerate(request.lines[:MOST_LINES]):
        _plan_line(checks, f"/lines/{index}", line)
    checks.done()


def _plan_line(checks: Checks, pointer: str, line: PlanLine) -> None:
    if line.kind not in KINDS:
        checks.fail(f"{pointer}/kind", "kind.unknown", f"must be one of {', '.join(KINDS)}")
    checks.number(f"{pointer}/quantity", line.quantity, 0, MOST_PIECES)
    if len(line.candidates) > MOST_CANDIDATES:
        checks.fail(f"{pointer}/candidates", "list.length", f"must have at most {MOST_CANDIDATES} animals")
    for index, facts in enumerate(line.candidates[:MOST_CANDIDATES]):
        _facts(checks, f"{pointer}/candidates/{index}", facts)


def _facts(checks: Checks, pointer: str, facts: common_pb2.AnimalFacts) -> None:
    checks.text(f"{pointer}/animal_id", facts.animal_id, SHORT)
    checks.text(f"{pointer}/species", facts.species, SHORT, required=True)
    checks.text(f"{pointer}/life_stage", facts.life_stage, SHORT)
    if facts.born_on:
        checks.date(f"{pointer}/born_on", facts.born_on)
    if facts.HasField("carapace_cm"):
        checks.number(f"{pointer}/carapace_cm", facts.carapace_cm, 0, MOST_CM)
    if facts.HasField("weight_kg"):
        checks.number(f"{pointer}/weight_kg", facts.weight_kg, 0, MOST_KG)


def reason(value: str, *, required: bool) -> str:
    return _one_text("/reason", value, LONG, required=required)


def recipient(value: str) -> str:
    return _one_text("/recipient", value, SHORT, required=False)


def courier_id(value: str) -> str:
    """A user's id in its one spelling."""
    checks = Checks()
    found = checks.uuid("/courier_id", value)
    checks.done()
    return str(found)


def report(request: pb.ReportPositionRequest, now: datetime) -> Position:
    """`at` empty: now."""
    checks = Checks()
    if not request.HasField("position"):
        checks.fail("/lat", "required", "is required, with lon")
    checks.position("", request.position)
    at = _time(checks, "/at", request.at) if request.at else now
    if at is not None and at > now + CLOCK_TOLERANCE:
        checks.fail("/at", "time.in_the_future", "lies in the future")
    checks.done()
    assert at is not None  # `done` has raised otherwise
    return Position(request.position.lat, request.position.lon, at)


def _time(checks: Checks, pointer: str, value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None or len(value) < len("2026-01-01T00:00:00Z"):
            raise ValueError(value)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        checks.fail(pointer, "time.malformed", "must be an RFC 3339 time such as 2026-01-31T12:00:00Z")
        return None


def _one_text(pointer: str, value: str, most: int, *, required: bool) -> str:
    checks = Checks()
    found = checks.text(pointer, value, most, required=required)
    checks.done()
    return found


def cursor_id(position: Sequence[Any]) -> UUID:
    return UUID(str(position[0]))
