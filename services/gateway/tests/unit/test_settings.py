"""Bounds of the sizes: whatever they let in has to fit into what carries it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from annotated_types import Le
from orderhub_chassis import settings as chassis
from orderhub_chassis.grpc import MAX_MESSAGE
from orderhub_contracts.common.v1 import common_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2
from orderhub_contracts.orders.v1 import orders_pb2
from orderhub_gateway.settings import Settings

NEEDED: dict[str, Any] = {
    **{f"{name}_address": "127.0.0.1:9" for name in ("auth", "inventory", "orders", "payments", "delivery")},
    "redis_url": "redis://127.0.0.1:9", "internal_key": "i" * 40, "cursor_key": "c" * 40,
}  # fmt: skip
WIDEST = "\N{FISH}"
MONEY = common_pb2.Money(amount_minor=10**18, currency="EUR")
ADDRESS = common_pb2.Address(
    name=WIDEST * 200, line1=WIDEST * 200, city=WIDEST * 100, postal_code=WIDEST * 20, country="DE", phone=WIDEST * 40,
    position=common_pb2.Position(lat=1.5, lon=1.5),
)  # fmt: skip


def most(name: str) -> int:
    (bound,) = [entry.le for entry in Settings.model_fields[name].metadata if isinstance(entry, Le)]
    assert isinstance(bound, int)
    return bound


@pytest.mark.parametrize(
    "name", ["target_limit", "headers_limit", "body_limit", "import_limit", "place_batch"]
)
def test_a_size_beyond_its_bound_is_refused_with_the_bound(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"ORDERHUB_GATEWAY_{name.upper()}"
    monkeypatch.setenv(variable, str(most(name)))
    assert getattr(chassis.load(Settings, **NEEDED), name) == most(name)
    monkeypatch.setenv(variable, str(most(name) + 1))
    with pytest.raises(
        chassis.SettingsError, match=rf"^{variable}: must be at most {most(name)}, not '\d+'$"
    ):
        chassis.load(Settings, **NEEDED)


def test_the_largest_body_goes_on_in_one_message() -> None:
    file = inventory_pb2.ImportProductsRequest(
        csv=b"x" * most("import_limit"), partial=True, vendor_id=str(uuid4())
    )
    assert file.ByteSize() < MAX_MESSAGE
    assert most("body_limit") <= most("import_limit")


def test_the_largest_batch_of_the_largest_orders_fits_both_ways() -> None:
    id, sku = str(uuid4()), WIDEST * 64
    line = orders_pb2.OrderLineRequest(product_id=id, vendor_id=id, sku=sku, animal_id=id, quantity=1_000_000)
    request = orders_pb2.PlaceOrderRequest(
        lines=[line] * 100, ship_to=ADDRESS, payment_token=WIDEST * 200, comment=WIDEST * 2000
    )
    item = orders_pb2.PlaceOrderItem(
        request=request, caller_token="t" * 2000, idempotency_key="k" * 255, fingerprint=b"f" * 32, traceparent="t" * 55
    )  # fmt: skip
    assert item.ByteSize() * most("place_batch") < MAX_MESSAGE
    placed = orders_pb2.OrderLine(
        line_no=100, product_id=id, sku="S" * 64, title=WIDEST * 200, quantity=1_000_000, unit_price=MONEY, line_total=MONEY,
        animal=orders_pb2.OrderedAnimal(id=id, species="s" * 40, age_days=10_000),
    )  # fmt: skip
    order = orders_pb2.Order(
        id=id, customer_id=id, vendor_id=id, lines=[placed] * 100, ship_to=ADDRESS, comment=WIDEST * 2000
    )
    outcome = orders_pb2.PlaceOrderOutcome(order=order)
    assert (outcome.ByteSize() + 1000) * most("place_batch") < MAX_MESSAGE


@pytest.mark.parametrize(
    "origin",
    ["zzz", "*", "shop.example", "https://shop.example/", "https://", "https://shop.example:port", "null"],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would let in nobody, and nobody would know why."""
    monkeypatch.setenv("ORDERHUB_GATEWAY_CORS_ORIGINS", f"https://good.example,{origin}")
    with pytest.raises(
        chassis.SettingsError, match=r"^ORDERHUB_GATEWAY_CORS_ORIGINS: must be origins such as"
    ):
        chassis.load(Settings, **NEEDED)


def test_origins_are_taken_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHUB_GATEWAY_CORS_ORIGINS", "https://Shop.example, http://127.0.0.1:3000")
    loaded = chassis.load(Settings, **NEEDED)
    assert loaded.cors_origins == ("https://shop.example", "http://127.0.0.1:3000")
