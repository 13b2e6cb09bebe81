"""Imports of CSV: the demo's own files, every kind of bad row, updating, ages, who may, and how fast."""

from __future__ import annotations

from datetime import timedelta
from importlib import resources
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.service import Surroundings
from orderhub_contracts.common.v1.common_pb2 import Money
from orderhub_contracts.inventory.v1 import commands_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb
from orderhub_inventory.app import build
from orderhub_inventory.settings import Settings

from .conftest import (
    CUSTOMER,
    OPERATOR,
    Client,
    Orders,
    a_reserve,
    a_vendor_user,
    animals_of,
    client_of,
    make_vendor,
)

HEADER = "vendor,sku,title,kind,species,price_minor,currency,stock,life_stage,age_days,weight_kg,weaned,carapace_cm"
FISH = (
    "Blue Lagoon Aquatics,FISH-1,Cardinal tetra,countable,paracheirodon_axelrodi,2490,EUR,400,adult,,0.002,,"
)
CAT = "Blue Lagoon Aquatics,CAT-1,Kitten,individual,felis_catus,9900,EUR,1,juvenile,42,0.8,false,"


def demo_file(name: str) -> bytes:
    return resources.files("orderhub").joinpath("data", name).read_bytes()


def a_file(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows]).encode()


async def run(api: Client, data: bytes, **over: Any) -> pb.ImportProgress:
    """The final message, as an operator unless `api` has a caller."""
    caller = api if api.caller.user_id else api(OPERATOR)
    messages = await caller.stream("ImportProducts", pb.ImportProductsRequest(csv=data, **over))
    assert [message.done for message in messages] == [False] * (len(messages) - 1) + [True]
    return messages[-1]


def errors_of(progress: pb.ImportProgress) -> list[tuple[int, str, str]]:
    return [(error.line, error.column, error.code) for error in progress.errors]


async def products_by_sku(api: Client) -> dict[str, pb.Product]:
    answer = await api.ListProducts(pb.ListProductsRequest(page={"limit": 200}))
    return {product.sku: product for product in answer.items}


async def test_the_demo_files_come_in_whole_and_again_without_a_change(
    api: Client, sql: asyncpg.Connection
) -> None:
    vendors = pb.ImportVendorsRequest(csv=demo_file("vendors.csv"))
    told = (await api(OPERATOR).stream("ImportVendors", vendors))[-1]
    assert (told.created, told.updated, told.applied, errors_of(told)) == (7, 0, True, [])
    again = (await api(OPERATOR).stream("ImportVendors", vendors))[-1]
    assert (again.created, again.updated, again.unchanged) == (0, 0, 7)
    first = await run(api, demo_file("catalogue.csv"))
    assert (first.rows_total, first.created, first.updated, errors_of(first)) == (47, 47, 0, [])
    second = await run(api, demo_file("catalogue.csv"))
    assert (second.created, second.updated, second.unchanged) == (0, 0, 47)
    found = await products_by_sku(api)
    tortoise = found["TORT-HERM-0071"]
    assert (tortoise.kind, tortoise.title) == ("individual", "Hermann's tortoise (CITES cert. 2026-0071)")
    (animal,) = await animals_of(api, tortoise)
    assert (animal.facts.carapace_cm, animal.facts.life_stage) == (11.5, "juvenile")
    assert found["BEE-NUC-1"].stock.on_hand == 35
    assert await sql.fetchval("select count(*) from animals") == 21


async def test_one_bad_row_stops_all_unless_the_import_is_partial(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    multiline = 'Blue Lagoon Aquatics,SALT-1,"Reef salt\n20 kg",good,,6490,EUR,120,,,20,,'
    rows = [
        FISH,
        multiline.replace("Reef salt\n", "Reef "),
        FISH.replace("FISH-1", "fish-1"),
        CAT.replace("9900", "x"),
    ]
    data = a_file(*rows, "")
    expected = [(4, "sku", "doubled"), (5, "price_minor", "type")]
    refused = await run(api, data)
    assert (refused.applied, refused.created, refused.errors_total) == (False, 0, 2)
    assert errors_of(refused) == expected
    assert refused.errors[0].message == "is on line 2 already"
    assert await sql.fetchval("select count(*) from products") == 0
    partial = await run(api, data, partial=True)
    assert (partial.applied, partial.created, errors_of(partial)) == (True, 2, expected)
    assert sorted(await products_by_sku(api)) == ["FISH-1", "SALT-1"]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "required"),
        (b" \n", "required"),
        (b"\xff\xfe", "format"),
        (a_file(FISH.replace("tetra", "te\0tra")), "characters"),
    ],
)
async def test_what_is_no_table_at_all_is_refused(
    api: Client, vendor: pb.Vendor, data: bytes, wrong: str
) -> None:
    with pytest.raises(Exception) as caught:
        await run(api, data)
    assert "INVALID_ARGUMENT" in str(caught.value)
    assert "/csv" in str(caught.value)


async def test_a_wrong_header_is_named_by_its_columns(api: Client, vendor: pb.Vendor) -> None:
    header = HEADER.replace("title", "name").replace("kind", "sku")
    assert errors_of(await run(api, a_file(FISH, header=header))) == [
        (1, "kind", "required"), (1, "name", "unknown"), (1, "sku", "doubled"), (1, "sku", "doubled"), (1, "title", "required")
    ]  # fmt: skip
    broken = a_file('Blue,"open quote')
    assert [code for _, _, code in errors_of(await run(api, broken))] == ["format"]


async def test_importing_again_updates_fields_but_never_brings_back_what_was_sold(
    api: Client, vendor: pb.Vendor, orders: Orders, sql: asyncpg.Connection
) -> None:
    await run(api, a_file(FISH, CAT))
    fish = (await products_by_sku(api))["FISH-1"]
    command = a_reserve(fish, 10, price=Money(amount_minor=2490, currency="EUR"))
    await orders.ask(command)
    await orders.ask(commands_pb2.CommitStock(order_id=command.order_id), step=1)
    dearer = FISH.replace("2490", "2990").replace("FISH-1", "fish-1").replace("400", "999")
    told = await run(api, a_file(dearer, CAT))
    assert (told.created, told.updated, told.unchanged) == (0, 1, 1)
    fish = (await products_by_sku(api))["FISH-1"]
    assert (fish.price.amount_minor, fish.stock.on_hand, fish.version) == (2990, 390, 3)


async def test_a_kind_or_a_species_never_changes(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    await run(api, a_file(FISH, CAT))
    other = [
        FISH.replace("countable", "individual").replace("400", "1"),
        CAT.replace("felis_catus", "felis_silvestris"),
    ]
    assert errors_of(await run(api, a_file(*other))) == [(2, "kind", "enum"), (3, "species", "enum")]
    new = CAT.replace("CAT-1", "CAT-2")
    refused = await run(api, a_file(*other, new))
    assert (refused.created, refused.applied) == (0, False)
    assert "CAT-2" not in await products_by_sku(api)
    partial = await run(api, a_file(*other, new), partial=True)
    assert (partial.created, partial.errors_total) == (1, 2)


async def test_ages_are_counted_from_the_import_and_only_rebased_when_asked(settings: Settings) -> None:
    clock = ManualClock()
    async with build(settings, Surroundings(clock=clock)) as service, client_of(service) as api:
        await make_vendor(api, "Blue Lagoon Aquatics")
        dated = CAT.replace("CAT-1", "CAT-2").replace(",42,", ",,") + ",2025-11-01"
        data = a_file(CAT + ",", dated, header=f"{HEADER},born_on")
        await run(api, data)

        async def born() -> list[tuple[str, int]]:
            found = await products_by_sku(api)
            animals = [(await animals_of(api, found[sku]))[0] for sku in ("CAT-1", "CAT-2")]
            return [(animal.facts.born_on, animal.version) for animal in animals]

        assert await born() == [("2025-11-20", 1), ("2025-11-01", 1)]
        clock.advance(timedelta(days=10))
        assert (await run(api, data)).unchanged == 2
        assert (await run(api, data, rebase_ages=True)).updated == 1
        assert await born() == [("2025-11-30", 2), ("2025-11-01", 1)]
        both = a_file(CAT + ",2025-01-01", header=f"{HEADER},born_on")
        assert errors_of(await run(api, both)) == [(2, "age_days", "enum")]


async def test_a_vendor_imports_for_itself_alone(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    await make_vendor(api, "Other")
    me = api(a_vendor_user(vendor.id))
    nameless = FISH.replace("Blue Lagoon Aquatics", "").replace("FISH-1", "FISH-2")
    assert (await run(me, a_file(FISH, nameless))).created == 2
    foreign = await run(me, a_file(FISH.replace("Blue Lagoon Aquatics", "Other")))
    assert errors_of(foreign) == [(2, "vendor", "not_yours")]
    without_column = a_file(FISH.partition(",")[2].replace("FISH-1", "F3"), header=HEADER.partition(",")[2])
    assert (await run(me, without_column)).created == 1
    as_operator = await run(api, without_column.replace(b"F3", b"F4"), vendor_id=vendor.id)
    assert as_operator.created == 1
    with pytest.raises(Exception, match="PERMISSION_DENIED"):
        await run(api(CUSTOMER), a_file(FISH))
    with pytest.raises(Exception, match="NOT_FOUND"):
        await run(me, a_file(FISH), vendor_id=str(uuid4()))


async def test_bad_vendors_are_named_and_only_operators_import_them(api: Client, vendor: pb.Vendor) -> None:
    data = b"name,country,line1,city,postal_code,lat,lon,email\nX,NL,Weg 1,Ede,1,,4.1,x@y.example\n,ZZ,,Ede,1,99,1,no\nx,NL,Weg 1,Ede,1,,,"
    told = (await api(OPERATOR).stream("ImportVendors", pb.ImportVendorsRequest(csv=data)))[-1]
    assert errors_of(told) == [
        (2, "lat", "required"), (3, "country", "enum"), (3, "email", "pattern"), (3, "lat", "range"),
        (3, "line1", "required"), (3, "name", "required"), (4, "name", "doubled"),
    ]  # fmt: skip
    assert told.applied is False
    with pytest.raises(Exception, match="PERMISSION_DENIED"):
        await api(a_vendor_user(vendor.id)).stream("ImportVendors", pb.ImportVendorsRequest(csv=data))


async def test_too_many_rows_are_refused(settings: Settings) -> None:
    async with (
        build(settings.model_copy(update={"import_max_rows": 2}), Surroundings()) as service,
        client_of(service) as api,
    ):
        await make_vendor(api, "Blue Lagoon Aquatics")
        rows = [FISH.replace("FISH-1", f"F-{n}") for n in range(3)]
        assert (await run(api, a_file(*rows[:2]))).created == 2
        with pytest.raises(Exception, match="more than 2 rows"):
            await run(api, a_file(*rows))


async def test_ten_thousand_rows_come_in_with_progress(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    rows = [FISH.replace("FISH-1", f"F-{n}") for n in range(9_000)]
    rows += [CAT.replace("CAT-1", f"C-{n}") for n in range(1_000)]
    messages = await api(OPERATOR).stream("ImportProducts", pb.ImportProductsRequest(csv=a_file(*rows)))
    assert (messages[-1].created, messages[-1].errors_total) == (10_000, 0)
    read = [message.rows_read for message in messages]
    assert read == sorted(read)
    assert len(set(read)) >= 20
    assert await sql.fetchval("select count(*) from animals") == 1_000
