"""Every wrong field of every request is named by its pointer; pure, no service needed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from orderhub_chassis.errors import Invalid
from orderhub_chassis.ids import CountingIds
from orderhub_contracts.common.v1.common_pb2 import Address, AnimalFacts, Money, Position
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb
from orderhub_inventory.api import requests

TODAY = date(2026, 5, 1)
VENDOR = UUID(int=1)
PRICE = Money(amount_minor=500, currency="EUR")


def wrong_fields(decode: Callable[..., Any], *arguments: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        decode(*arguments)
    return {error.pointer: error.code for error in caught.value.errors}


def a_product(**over: Any) -> pb.CreateProductRequest:
    values = {
        "sku": "FISH-1",
        "title": "Cardinal tetra",
        "kind": "countable",
        "price": PRICE,
        "initial_stock": 5,
    }
    facts = AnimalFacts(species="paracheirodon_axelrodi") if over.get("kind") != "good" else None
    return pb.CreateProductRequest(**values | {"facts": facts} | over)


def an_address(**over: Any) -> Address:
    values = {"line1": "Havenweg 12", "city": "Rotterdam", "postal_code": "3011", "country": "NL"}
    return Address(**values | {"position": Position(lat=51.92, lon=4.48)} | over)


def test_what_is_right_is_taken_over() -> None:
    facts = AnimalFacts(
        species="a_b2", life_stage="adult", born_on="2026-05-01", weight_kg=1, with_mother=False
    )
    opened = requests.new_product(
        a_product(sku="a.b/c_d+e-1", title=" x ", facts=facts), VENDOR, CountingIds(), TODAY
    )
    assert (opened.product.sku, opened.product.title, opened.stock.on_hand) == ("a.b/c_d+e-1", "x", 5)
    assert (opened.product.facts.born_on, opened.product.facts.with_mother) == (TODAY, False)
    assert opened.product.facts.weaned is None


@pytest.mark.parametrize(
    ("over", "wrong"),
    [
        ({"sku": ""}, {"/sku": "required"}),
        ({"sku": "a b"}, {"/sku": "pattern"}),
        ({"sku": "x" * 65}, {"/sku": "length"}),
        ({"sku": "x\0"}, {"/sku": "characters"}),
        ({"title": "   "}, {"/title": "required"}),
        ({"title": "x" * 201}, {"/title": "length"}),
        ({"title": "a\x07b"}, {"/title": "characters"}),
        ({"description": "x" * 5001}, {"/description": "length"}),
        ({"description": "\0"}, {"/description": "characters"}),
        ({"kind": ""}, {"/kind": "required"}),
        ({"kind": "beast"}, {"/kind": "enum"}),
        ({"price": None}, {"/price": "required"}),
        ({"price": Money(amount_minor=0, currency="EUR")}, {"/price/amount_minor": "range"}),
        ({"price": Money(amount_minor=-1, currency="EUR")}, {"/price/amount_minor": "range"}),
        ({"price": Money(amount_minor=2**63 - 1, currency="EUR")}, {"/price/amount_minor": "range"}),
        ({"price": Money(amount_minor=1, currency="eur")}, {"/price/currency": "enum"}),
        ({"price": Money(amount_minor=1, currency="XXQ")}, {"/price/currency": "enum"}),
        ({"price": Money(amount_minor=1)}, {"/price/currency": "required"}),
        ({"initial_stock": -1}, {"/initial_stock": "range"}),
        ({"initial_stock": 2**62}, {"/initial_stock": "range"}),
        ({"facts": None}, {"/facts/species": "required"}),
        ({"facts": AnimalFacts(species="Felis Catus")}, {"/facts/species": "pattern"}),
        ({"facts": AnimalFacts(species="a", life_stage="old")}, {"/facts/life_stage": "enum"}),
        ({"facts": AnimalFacts(species="a", born_on="1.2.2026")}, {"/facts/born_on": "format"}),
        ({"facts": AnimalFacts(species="a", born_on="2026-02-30")}, {"/facts/born_on": "format"}),
        ({"facts": AnimalFacts(species="a", born_on="9999-01-01")}, {"/facts/born_on": "range"}),
        ({"facts": AnimalFacts(species="a", born_on="1000-01-01")}, {"/facts/born_on": "range"}),
        ({"facts": AnimalFacts(species="a", weight_kg=0)}, {"/facts/weight_kg": "range"}),
        ({"facts": AnimalFacts(species="a", weight_kg=float("nan"))}, {"/facts/weight_kg": "range"}),
        ({"facts": AnimalFacts(species="a", carapace_cm=float("inf"))}, {"/facts/carapace_cm": "range"}),
        ({"kind": "good", "facts": AnimalFacts(species="a")}, {"/facts/species": "enum"}),
        ({"kind": "good", "facts": AnimalFacts(weaned=True)}, {"/facts/weaned": "enum"}),
        ({"kind": "good", "facts": AnimalFacts(born_on="2026-01-01")}, {"/facts/born_on": "enum"}),
        ({"kind": "individual", "initial_stock": 2}, {"/initial_stock": "range"}),
        ({"sku": "", "title": "", "kind": "x"}, {"/sku": "required", "/title": "required", "/kind": "enum"}),
    ],
)
def test_every_wrong_field_of_a_product_is_named(over: dict[str, Any], wrong: dict[str, str]) -> None:
    assert wrong_fields(requests.new_product, a_product(**over), VENDOR, CountingIds(), TODAY) == wrong


@pytest.mark.parametrize(
    ("over", "wrong"),
    [
        ({"name": ""}, {"/name": "required"}),
        ({"name": "a\0"}, {"/name": "characters"}),
        ({"email": "nobody"}, {"/email": "pattern"}),
        ({"address": an_address(line1="")}, {"/address/line1": "required"}),
        ({"address": an_address(city="x" * 101)}, {"/address/city": "length"}),
        ({"address": an_address(country="Holland")}, {"/address/country": "enum"}),
        ({"address": an_address(position={"lat": 91, "lon": 0})}, {"/address/lat": "range"}),
        ({"address": an_address(position={"lat": 0, "lon": float("nan")})}, {"/address/lon": "range"}),
        ({"address": an_address(phone="call me")}, {"/address/phone": "pattern"}),
    ],
)
def test_every_wrong_field_of_a_vendor_is_named(over: dict[str, Any], wrong: dict[str, str]) -> None:
    values = {"name": "New", "address": an_address()} | over
    assert wrong_fields(requests.new_vendor, pb.CreateVendorRequest(**values), VENDOR) == wrong
    assert wrong_fields(requests.vendor_edit, pb.UpdateVendorRequest(**over)) == wrong


@pytest.mark.parametrize(
    ("over", "wrong"),
    [
        ({}, {"": "required"}),
        ({"delta": 1, "set": 1, "if_version": 1}, {"": "required"}),
        ({"delta": 1, "release_quarantine": True}, {"": "required"}),
        ({"delta": 0}, {"/delta": "range"}),
        ({"delta": -(2**63)}, {"/delta": "range"}),
        ({"set": -1, "if_version": 1}, {"/set": "range"}),
        ({"set": 1}, {"/if_version": "required"}),
        ({"delta": 1, "reason": ""}, {"/reason": "required"}),
        ({"delta": 1, "reason": "x" * 201}, {"/reason": "length"}),
        ({"delta": 1, "if_version": -3}, {"/if_version": "range"}),
    ],
)
def test_every_wrong_change_of_stock_is_refused(over: dict[str, Any], wrong: dict[str, str]) -> None:
    request = pb.ChangeStockRequest(**{"product_id": str(VENDOR), "reason": "why"} | over)
    assert wrong_fields(requests.stock_change, request) == wrong
