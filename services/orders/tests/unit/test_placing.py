"""What is wrong with a request is said before anything is looked up."""

from __future__ import annotations

import pytest
from orderhub_chassis.errors import Invalid
from orderhub_contracts.common.v1.common_pb2 import Address
from orderhub_contracts.orders.v1 import orders_pb2 as pb
from orderhub_orders.placing import check_request


def a_request(country: str) -> pb.PlaceOrderRequest:
    return pb.PlaceOrderRequest(
        lines=[pb.OrderLineRequest(sku="SKU-1", quantity=1)],
        ship_to=Address(name="Ada", line1="Street 1", city="Hamm", postal_code="59065", country=country),
        payment_token="tok_ok",
    )


@pytest.mark.parametrize("country", ["DE", "NL", "GB", "US", "AX", "TW"])
def test_a_country_is_taken(country: str) -> None:
    check_request(a_request(country))


@pytest.mark.parametrize("country", ["", "ZZ", "XK", "XI", "UK", "EU", "AN", "de", "D", "DEU", "Ж1"])
def test_what_is_no_country_is_refused_by_its_field(country: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_request(a_request(country))
    (error,) = refused.value.errors
    assert (error.pointer, error.code) == ("/ship_to/country", "country")
