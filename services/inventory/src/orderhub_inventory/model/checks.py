"""What a single value must look like, wherever it comes from: each check returns the value or raises Wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import date
from typing import Final
from uuid import UUID

from orderhub_contracts.countries import COUNTRIES

from orderhub_inventory.model.codes import CURRENCIES, LIFE_STAGES
from orderhub_inventory.model.stock import Kind

MOST_STOCK: Final = 1_000_000_000_000
MOST_MONEY: Final = 1_000_000_000_000
OLDEST: Final = 300 * 366
SKU: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,63}")
SLUG: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PHONE: Final = re.compile(r"\+?[0-9 ()./-]{3,32}")


class Wrong(ValueError):
    """`code` is one of required, characters, length, pattern, enum, range, format, type."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def text(value: str, longest: int, *, required: bool = True, lines: bool = False) -> str:
    """Trimmed. No control character, but for line breaks and tabs where `lines`."""
    allowed = "\n\r\t" if lines else ""
    if any((ord(c) < 32 and c not in allowed) or 0x7F <= ord(c) < 0xA0 for c in value):
        raise Wrong("characters", "must not contain control characters")
    value = value.strip()
    if required and not value:
        raise Wrong("required", "is required")
    if len(value) > longest:
        raise Wrong("length", f"must have at most {longest} characters")
    return value


def matching(value: str, pattern: re.Pattern[str], longest: int, what: str) -> str:
    value = text(value, longest)
    if not pattern.fullmatch(value):
        raise Wrong("pattern", f"must be {what}")
    return value


def one_of(value: str, allowed: Collection[str]) -> str:
    if not value:
        raise Wrong("required", "is required")
    if value not in allowed:
        raise Wrong("enum", f"must be one of {', '.join(sorted(allowed))}")
    return value


def sku(value: str) -> str:
    return matching(value, SKU, 64, "1 to 64 of A-Z a-z 0-9 . _ / + - and begin with a letter or digit")


def title(value: str) -> str:
    return text(value, 200)


def description(value: str) -> str:
    return text(value, 5000, required=False, lines=True)


def reason(value: str) -> str:
    return text(value, 200)


def identifier(value: str) -> str:
    return text(value, 100, required=False)


def kind(value: str) -> Kind:
    return Kind(one_of(value, [kind.value for kind in Kind]))


def species(value: str, kind: Kind | None) -> str:
    """A slug such as canis_familiaris for animals, nothing for goods."""
    if kind is Kind.GOOD:
        if value:
            raise Wrong("enum", "a good has no species")
        return ""
    return matching(value, SLUG, 64, "a species in lower case, such as canis_familiaris")


def life_stage(value: str, kind: Kind | None) -> str:
    if not value:
        return ""
    if kind is Kind.GOOD:
        raise Wrong("enum", "a good has no life stage")
    return one_of(value, LIFE_STAGES)


def born_on(value: date, today: date) -> date:
    if not 0 <= (today - value).days <= OLDEST:
        raise Wrong("range", "must be a day of the last 300 years, and not in the future")
    return value


def day(value: str) -> date:
    """RFC 3339 full-date."""
    try:
        if len(value) != 10:
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise Wrong("format", "must be a date such as 2026-01-31") from None


def weight_kg(value: float) -> float:
    return _positive(value, 200_000)


def carapace_cm(value: float) -> float:
    return _positive(value, 500)


def _positive(value: float, most: float) -> float:
    if not math.isfinite(value) or not 0 < value <= most:
        raise Wrong("range", f"must be above 0 and at most {most:g}")
    return value


def amount_minor(value: int) -> int:
    if not 0 < value <= MOST_MONEY:
        raise Wrong("range", f"must be between 1 and {MOST_MONEY}")
    return value


def currency(value: str) -> str:
    if not value:
        raise Wrong("required", "is required")
    if value not in CURRENCIES:
        raise Wrong("enum", "must be an ISO 4217 code in upper case, such as EUR")
    return value


def country(value: str) -> str:
    if not value:
        raise Wrong("required", "is required")
    if value not in COUNTRIES:
        raise Wrong("enum", "must be an ISO 3166-1 alpha-2 code in upper case, such as NL")
    return value


def amount_of_stock(value: int) -> int:
    if not 0 <= value <= MOST_STOCK:
        raise Wrong("range", f"must be between 0 and {MOST_STOCK}")
    return value


def degrees(value: float, most: int) -> float:
    if not math.isfinite(value) or not -most <= value <= most:
        raise Wrong("range", f"must be between -{most} and {most} degrees")
    return value


def email(value: str) -> str:
    return matching(value, EMAIL, 254, "an e-mail address") if value else ""


def phone(value: str) -> str:
    return matching(value, PHONE, 32, "a telephone number") if value else ""


def identity(value: str) -> UUID:
    try:
        if len(value) != 36:
            raise ValueError
        return UUID(value)
    except ValueError:
        raise Wrong("format" if value else "required", "must be a UUID") from None
