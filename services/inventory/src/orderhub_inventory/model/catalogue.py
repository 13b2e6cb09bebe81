"""Vendors and products: plain data, and which edits change them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from uuid import UUID

from orderhub_inventory.model.stock import Facts, Kind

ACTIVE, ARCHIVED = "active", "archived"
WORDS_KEPT, WORD_LENGTH = 400, 64


@dataclass(frozen=True, slots=True)
class Place:
    """A postal address; latitude and longitude in WGS 84 degrees, both or neither."""

    line1: str
    city: str
    postal_code: str
    country: str
    phone: str = ""
    lat: float | None = None
    lon: float | None = None


@dataclass(slots=True)
class Vendor:
    id: UUID
    name: str
    email: str
    address: Place
    version: int = 1

    def edit(self, *, name: str | None, email: str | None, address: Place | None) -> bool:
        """True when anything is another now; then the version has gone up."""
        before = (self.name, self.email, self.address)
        self.name = self.name if name is None else name
        self.email = self.email if email is None else email
        self.address = address or self.address
        changed = before != (self.name, self.email, self.address)
        self.version += changed
        return changed


@dataclass(slots=True)
class Product:
    """The catalogue's side of a product; its stock and its version stand in its Stock."""

    id: UUID
    vendor_id: UUID
    sku: str
    title: str
    description: str
    kind: Kind
    price_minor: int
    currency: str
    facts: Facts = field(default_factory=Facts)
    status: str = ACTIVE

    def edit(
        self,
        *,
        title: str | None = None,
        description: str | None = None,
        price: tuple[int, str] | None = None,
        status: str | None = None,
        facts: Facts | None = None,
    ) -> bool:
        """True when anything is another now."""
        before = self._fields()
        self.title = self.title if title is None else title
        self.description = self.description if description is None else description
        self.price_minor, self.currency = price or (self.price_minor, self.currency)
        self.status = self.status if status is None else status
        self.facts = facts or self.facts
        return before != self._fields()

    def _fields(self) -> tuple[object, ...]:
        return self.title, self.description, self.price_minor, self.currency, self.status, self.facts

    def words(self) -> list[str]:
        """What search finds the product by: the SKU whole and in parts, title, species, description."""
        found = words_of(f"{self.sku} {self.title} {self.facts.species} {self.description}")
        return list(dict.fromkeys([fold(self.sku), *found]))[:WORDS_KEPT]


def fold(text: str) -> str:
    """Case and accents away: `Élevage` and `elevage` are the same word to somebody who searches."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def words_of(text: str) -> list[str]:
    """Each cut to WORD_LENGTH, here as there: PostgreSQL refuses lexemes of more than 2046 bytes."""
    words = "".join(c if c.isalnum() else " " for c in fold(text)).split()
    return [word[:WORD_LENGTH] for word in words]


def name_key(name: str) -> str:
    """Two vendors whose names differ only in case or spacing are the same to a reader."""
    return " ".join(name.casefold().split())
