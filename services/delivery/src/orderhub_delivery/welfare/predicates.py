"""The closed vocabulary of checks: which fact of an animal each one reads, and in which units its bounds may stand."""

import math
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from orderhub_delivery.welfare.model import AnimalFacts

Fact = float | int | bool | None


class Predicate(NamedTuple):
    """`units` are factors to `unit`; without units the fact is a flag that must be true."""

    unit: str
    units: Mapping[str, Decimal]
    read: Callable[[AnimalFacts, date], Fact]


def age_days(animal: AnimalFacts, at: date) -> int | None:
    return animal.age_days if animal.born_on is None else (at - animal.born_on).days


def _measured(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _weaned(animal: AnimalFacts, _at: date) -> bool | None:
    return animal.weaned


def _carapace(animal: AnimalFacts, _at: date) -> float | None:
    return _measured(animal.carapace_cm)


def _weight(animal: AnimalFacts, _at: date) -> float | None:
    return _measured(animal.weight_kg)


_DAYS = {"d": Decimal(1), "wk": Decimal(7)}
_CENTIMETRES = {"mm": Decimal("0.1"), "cm": Decimal(1), "in": Decimal("2.54")}
_POUND = Decimal("0.45359237")
_KILOGRAMS = {"g": Decimal("0.001"), "kg": Decimal(1), "oz": _POUND / 16, "lb": _POUND}

PREDICATES: Mapping[str, Predicate] = {
    "age": Predicate("d", _DAYS, age_days),
    "weaned": Predicate("", {}, _weaned),
    "carapace": Predicate("cm", _CENTIMETRES, _carapace),
    "weight": Predicate("kg", _KILOGRAMS, _weight),
}


def in_base_unit(predicate: Predicate, bound: float | None, unit: str) -> float | None:
    """Exact in decimal, so that 4 in is 10.16 cm and an animal of 10.16 cm meets it."""
    return None if bound is None else float(Decimal(str(bound)) * predicate.units[unit])


def holds(value: float | bool, low: float | None, high: float | None) -> bool:
    if isinstance(value, bool):
        return value
    return (low is None or value >= low) and (high is None or value <= high)
