"""Vendors, products, stock and animals over gRPC: what it does, whose it is, what it refuses."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from orderhub_chassis.calls import ANONYMOUS, Caller
from orderhub_chassis.errors import Failure, Kind
from orderhub_contracts.common.v1.common_pb2 import AnimalFacts, Money, PageRequest
from orderhub_contracts.events.v1 import events_pb2
from orderhub_contracts.inventory.v1 import commands_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2 as pb
from orderhub_inventory.settings import Settings

from .conftest import (
    CUSTOMER,
    OPERATOR,
    PRICE,
    SERVICE,
    Client,
    Orders,
    a_cat,
    a_product,
    a_reserve,
    a_vendor_user,
    an_address,
    animals_of,
    make_product,
    make_vendor,
    waiting_for_locks,
)

COURIER = Caller("courier-1", frozenset({"courier"}))


async def refusal(call: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        await call
    return caught.value


async def invalid(call: Any) -> dict[str, str]:
    """Pointer → code of what is wrong."""
    failure = await refusal(call)
    assert failure.kind is Kind.INVALID, failure
    return {error.pointer: error.code for error in failure.errors}


async def test_a_product_is_shown_to_everybody_as_it_was_made(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    facts = AnimalFacts(
        species="gallus_gallus", life_stage="adult", weight_kg=1.8, born_on="2026-02-01", weaned=True
    )
    request = a_product(sku="Hen-1", title=" Hen ", description="Lays\nwell", facts=facts)
    made = await make_product(api, vendor, request)
    shown = await api.GetProduct(pb.GetProductRequest(id=made.id))
    assert shown == made
    assert (shown.sku, shown.title, shown.description, shown.species) == (
        "Hen-1",
        "Hen",
        "Lays\nwell",
        "gallus_gallus",
    )
    assert (shown.price, shown.status, shown.version, shown.vendor_id) == (PRICE, "active", 1, vendor.id)
    assert shown.stock == pb.Stock(on_hand=5, available=5)
    assert shown.facts == facts


async def test_a_sku_is_unique_per_vendor_whatever_its_case(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    await make_product(api, vendor, a_product(sku="Fish-1"))
    failure = await refusal(make_product(api, vendor, a_product(sku="FISH-1")))
    assert (failure.kind, failure.code) == (Kind.CONFLICT, "inventory.sku_taken")
    await make_product(api, await make_vendor(api, "Another"), a_product(sku="fish-1"))


async def test_those_who_want_one_sku_at_once_wait_in_line_and_one_gets_it(
    api: Client, vendor: pb.Vendor, settings: Settings, sql: asyncpg.Connection, eventually: Any
) -> None:
    async def several_wait() -> bool:
        return await waiting_for_locks(sql) >= 3

    holder = await asyncpg.connect(settings.database_url.get_secret_value())
    async with holder.transaction():
        await holder.execute("select 1 from vendors for update")
        wanting = asyncio.gather(*(make_product(api, vendor) for _ in range(4)), return_exceptions=True)
        await eventually(several_wait)
    answers = await wanting
    await holder.close()
    assert [type(answer).__name__ for answer in answers].count("Product") == 1
    codes = [answer.code for answer in answers if isinstance(answer, Failure)]
    assert codes == ["inventory.sku_taken"] * 3


async def test_a_wrong_product_is_answered_with_every_wrong_field_and_changes_nothing(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    wrong = await invalid(make_product(api, vendor, a_product(sku="a\0", title="", kind="x")))
    assert wrong == {"/sku": "characters", "/title": "required", "/kind": "enum"}
    assert await sql.fetchval("select count(*) from products") == 0


async def test_only_operators_make_vendors_and_a_name_is_taken_once(api: Client, vendor: pb.Vendor) -> None:
    request = pb.CreateVendorRequest(name="Some", address=an_address())
    for caller, kind in (
        (ANONYMOUS, Kind.UNAUTHENTICATED),
        (CUSTOMER, Kind.FORBIDDEN),
        (a_vendor_user(vendor.id), Kind.FORBIDDEN),
    ):
        assert (await refusal(api(caller).CreateVendor(request))).kind is kind
    request.name = "blue  lagoon AQUATICS"
    assert (await refusal(api(OPERATOR).CreateVendor(request))).code == "inventory.vendor_name_taken"
    other = await make_vendor(api, "Other")
    rename = pb.UpdateVendorRequest(name="Blue Lagoon Aquatics")
    assert (
        await refusal(api(a_vendor_user(other.id)).UpdateVendor(rename))
    ).code == "inventory.vendor_name_taken"


async def test_a_vendor_edits_itself_and_only_it_and_operators_see_the_email(
    api: Client, vendor: pb.Vendor
) -> None:
    me = api(a_vendor_user(vendor.id))
    edited = await me.UpdateVendor(pb.UpdateVendorRequest(email="sales@lagoon.example", if_version=1))
    assert (edited.version, edited.email, edited.address) == (2, "sales@lagoon.example", vendor.address)
    stale = await refusal(me.UpdateVendor(pb.UpdateVendorRequest(name="New", if_version=1)))
    assert (stale.kind, stale.code) == (Kind.PRECONDITION, "version_mismatch")
    request = pb.GetVendorRequest(id=vendor.id)
    assert (await api(OPERATOR).GetVendor(request)).email == "sales@lagoon.example"
    for stranger in (ANONYMOUS, CUSTOMER, a_vendor_user((await make_vendor(api, "Other")).id)):
        assert (await api(stranger).GetVendor(request)).email == ""
    foreign = pb.UpdateVendorRequest(name="Mine", vendor_id=vendor.id)
    assert (await refusal(api(a_vendor_user(str(uuid4()))).UpdateVendor(foreign))).kind is Kind.NOT_FOUND
    assert (await api(OPERATOR).UpdateVendor(foreign)).name == "Mine"


async def test_vendors_are_listed_newest_first_and_found_by_name(api: Client) -> None:
    made = [await make_vendor(api, f"Vendor {n}") for n in range(5)]
    first = await api(OPERATOR).ListVendors(pb.ListVendorsRequest(page=PageRequest(limit=3)))
    rest = await api(OPERATOR).ListVendors(
        pb.ListVendorsRequest(page=PageRequest(limit=3, cursor=first.next_cursor))
    )
    assert [v.id for v in [*first.items, *rest.items]] == [v.id for v in reversed(made)]
    assert rest.next_cursor == ""
    found = await api(OPERATOR).ListVendors(pb.ListVendorsRequest(name="VENDOR 3"))
    assert [v.id for v in found.items] == [made[3].id]


MUTATIONS = {
    "UpdateProduct": lambda product, animal: pb.UpdateProductRequest(id=product.id, title="Mine now"),
    "ArchiveProduct": lambda product, animal: pb.ArchiveProductRequest(id=product.id),
    "ChangeStock": lambda product, animal: pb.ChangeStockRequest(
        product_id=product.id, delta=1, reason="found"
    ),
    "AddAnimal": lambda product, animal: pb.AddAnimalRequest(product_id=product.id),
    "ReleaseAnimal": lambda product, animal: pb.ReleaseAnimalRequest(id=animal.id),
    "WithdrawAnimal": lambda product, animal: pb.WithdrawAnimalRequest(id=animal.id, reason="it died"),
}


async def test_a_strangers_product_is_not_found_and_nobody_else_may_write(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    cat = await make_product(api, vendor, a_cat())
    (tom,) = await animals_of(api, cat)
    stranger = a_vendor_user((await make_vendor(api, "Stranger")).id)
    expected = {
        stranger: Kind.NOT_FOUND,
        CUSTOMER: Kind.FORBIDDEN,
        COURIER: Kind.FORBIDDEN,
        ANONYMOUS: Kind.UNAUTHENTICATED,
    }
    expected[Caller("unlinked", frozenset({"vendor"}))] = Kind.NOT_FOUND
    for method, request in MUTATIONS.items():
        for caller, kind in expected.items():
            assert (await refusal(getattr(api(caller), method)(request(cat, tom)))).kind is kind, method
    assert await api.GetProduct(pb.GetProductRequest(id=cat.id)) == cat


async def test_an_operator_names_the_vendor_and_a_vendor_never_another_one(
    api: Client, vendor: pb.Vendor
) -> None:
    other = await make_vendor(api, "Other")
    made = await api(OPERATOR).CreateProduct(a_product(vendor_id=vendor.id))
    assert made.vendor_id == vendor.id
    assert await invalid(api(OPERATOR).CreateProduct(a_product())) == {"/vendor_id": "required"}
    foreign = a_product(sku="X", vendor_id=other.id)
    assert (await refusal(make_product(api, vendor, foreign))).code == "inventory.vendor_not_found"
    for caller, kind in ((ANONYMOUS, Kind.UNAUTHENTICATED), (CUSTOMER, Kind.FORBIDDEN)):
        assert (await refusal(api(caller).CreateProduct(a_product(vendor_id=vendor.id)))).kind is kind
    unknown = a_product(sku="Y", vendor_id=made.id)
    assert (await refusal(api(OPERATOR).CreateProduct(unknown))).code == "inventory.vendor_not_found"


async def test_an_edit_raises_the_version_and_an_old_version_is_refused(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    fish, me = await make_product(api, vendor), api(a_vendor_user(vendor.id))
    price = Money(amount_minor=700, currency="USD")
    edited = await me.UpdateProduct(
        pb.UpdateProductRequest(id=fish.id, title="Tetra", price=price, if_version=1)
    )
    assert (edited.title, edited.price, edited.version, edited.sku) == ("Tetra", price, 2, fish.sku)
    same = await me.UpdateProduct(pb.UpdateProductRequest(id=fish.id, title="Tetra"))
    assert same.version == 2
    for request in (pb.UpdateProductRequest(id=fish.id, title="X", if_version=1),):
        assert (await refusal(me.UpdateProduct(request))).kind is Kind.PRECONDITION
    stale = await refusal(me.ArchiveProduct(pb.ArchiveProductRequest(id=fish.id, if_version=1)))
    assert stale.kind is Kind.PRECONDITION
    archived = await me.ArchiveProduct(pb.ArchiveProductRequest(id=fish.id, if_version=2))
    assert (archived.status, archived.version) == ("archived", 3)
    back = await me.UpdateProduct(pb.UpdateProductRequest(id=fish.id, status="active"))
    assert (back.status, back.version) == ("active", 4)


async def test_every_wrong_field_of_an_edit_is_named(api: Client, vendor: pb.Vendor) -> None:
    fish, me = await make_product(api, vendor), api(a_vendor_user(vendor.id))
    request = pb.UpdateProductRequest(
        id=fish.id, title="", description="\0", status="gone", if_version=-1, price=Money(amount_minor=-1),
        facts=AnimalFacts(species="felis_catus"),
    )  # fmt: skip
    assert await invalid(me.UpdateProduct(request)) == {
        "/title": "required", "/description": "characters", "/status": "enum", "/if_version": "range",
        "/price/amount_minor": "range", "/price/currency": "required", "/facts/species": "enum",
    }  # fmt: skip
    assert await invalid(me.UpdateProduct(pb.UpdateProductRequest(id="12"))) == {"/id": "format"}
    assert await invalid(me.UpdateProduct(pb.UpdateProductRequest())) == {"/id": "required"}
    missing = pb.UpdateProductRequest(id=vendor.id, title="x")
    assert (await refusal(me.UpdateProduct(missing))).code == "inventory.product_not_found"


async def test_stock_is_changed_by_difference_or_by_count_with_a_reason_in_the_journal(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    fish, me = await make_product(api, vendor), api(a_vendor_user(vendor.id))
    more = await me.ChangeStock(pb.ChangeStockRequest(product_id=fish.id, delta=3, reason="hatched"))
    assert (more.stock.on_hand, more.version) == (8, 2)
    counted = pb.ChangeStockRequest(product_id=fish.id, set=6, reason="counted", if_version=2)
    assert (await me.ChangeStock(counted)).stock.on_hand == 6
    assert (await refusal(me.ChangeStock(counted))).kind is Kind.PRECONDITION
    same = await me.ChangeStock(
        pb.ChangeStockRequest(product_id=fish.id, set=6, reason="again", if_version=3)
    )
    assert same.version == 3
    rows = await sql.fetch("select kind, delta_on_hand, reason, actor from stock_movements order by id")
    me_id = f"user-of-{vendor.id}"
    assert [tuple(row) for row in rows] == [
        ("opened", 5, "", me_id), ("changed", 3, "hatched", me_id), ("set", -2, "counted", me_id)
    ]  # fmt: skip


async def test_a_count_does_not_overwrite_what_was_sold_since_it_was_looked_at(
    api: Client, vendor: pb.Vendor, orders: Orders, sql: asyncpg.Connection
) -> None:
    fish, me = await make_product(api, vendor), api(a_vendor_user(vendor.id))
    command = a_reserve(fish, 2)
    await orders.ask(command)
    below = await refusal(me.ChangeStock(pb.ChangeStockRequest(product_id=fish.id, delta=-4, reason="lost")))
    assert (below.kind, below.code) == (Kind.UNPROCESSABLE, "inventory.below_reserved")
    assert [e.pointer for e in below.errors] == ["/delta"]
    await orders.ask(commands_pb2.CommitStock(order_id=command.order_id), step=1)
    counted = pb.ChangeStockRequest(product_id=fish.id, set=5, reason="counted", if_version=fish.version)
    assert (await refusal(me.ChangeStock(counted))).kind is Kind.PRECONDITION


async def test_stock_has_a_limit_and_that_of_individuals_follows_the_animals(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    fish, cat = await make_product(api, vendor), await make_product(api, vendor, a_cat())
    me = api(a_vendor_user(vendor.id))
    huge = pb.ChangeStockRequest(product_id=fish.id, delta=10**12, reason="many")
    refused = await refusal(me.ChangeStock(huge))
    assert (refused.code, [e.pointer for e in refused.errors]) == ("inventory.stock_too_large", ["/delta"])
    for over in ({"delta": 1}, {"release_quarantine": True}):
        request = pb.ChangeStockRequest(product_id=cat.id, reason="one more", **over)
        assert (await refusal(me.ChangeStock(request))).code == "inventory.counted_by_animals"


async def test_animals_are_added_listed_and_withdrawn(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    cat, me = await make_product(api, vendor, a_cat()), api(a_vendor_user(vendor.id))
    facts = AnimalFacts(life_stage="juvenile", born_on="2026-02-02", weight_kg=0.9, weaned=False)
    added = await me.AddAnimal(pb.AddAnimalRequest(product_id=cat.id, facts=facts, identifier="chip 42"))
    assert (added.status, added.identifier, added.version, added.facts.species) == (
        "free",
        "chip 42",
        1,
        "felis_catus",
    )
    assert (await animals_of(api, cat))[0].id == added.id
    gone = await me.WithdrawAnimal(pb.WithdrawAnimalRequest(id=added.id, reason="stays with us"))
    assert (gone.status, gone.version) == ("withdrawn", 2)
    product = await api.GetProduct(pb.GetProductRequest(id=cat.id))
    assert product.stock == pb.Stock(on_hand=1, available=1)
    public = await api.ListAnimals(pb.ListAnimalsRequest(product_id=cat.id))
    assert [animal.status for animal in public.items] == ["free"]
    assert sorted(a.status for a in await animals_of(api, cat)) == ["free", "withdrawn"]


async def test_animals_in_the_wrong_status_or_kind_are_refused(
    api: Client, vendor: pb.Vendor, orders: Orders, sql: asyncpg.Connection
) -> None:
    fish, cat = await make_product(api, vendor), await make_product(api, vendor, a_cat())
    me = api(a_vendor_user(vendor.id))
    assert (
        await refusal(me.AddAnimal(pb.AddAnimalRequest(product_id=fish.id)))
    ).code == "inventory.not_individual"
    wrong = pb.AddAnimalRequest(
        product_id=cat.id, facts=AnimalFacts(species="canis_familiaris", born_on="x"), identifier="x" * 101
    )
    assert await invalid(me.AddAnimal(wrong)) == {
        "/facts/species": "enum",
        "/facts/born_on": "format",
        "/identifier": "length",
    }
    (tom,) = await animals_of(api, cat)
    free = await refusal(me.ReleaseAnimal(pb.ReleaseAnimalRequest(id=tom.id)))
    assert (free.kind, free.code) == (Kind.CONFLICT, "inventory.wrong_animal_status")
    await orders.ask(a_reserve(cat, animals=[tom.id]))
    held = await refusal(me.WithdrawAnimal(pb.WithdrawAnimalRequest(id=tom.id, reason="no")))
    assert held.code == "inventory.wrong_animal_status"
    missing = await refusal(me.ReleaseAnimal(pb.ReleaseAnimalRequest(id=fish.id)))
    assert missing.code == "inventory.animal_not_found"


async def test_a_batch_finds_products_by_each_kind_of_key(api: Client, vendor: pb.Vendor) -> None:
    other = await make_vendor(api, "Other")
    fish, cat = await make_product(api, vendor), await make_product(api, vendor, a_cat())
    twin = await make_product(api, other, a_product(sku="fish-1"))
    (tom,) = await animals_of(api, cat)

    async def batch(*keys: pb.ProductKey) -> pb.BatchGetProductsResponse:
        return await api(SERVICE).BatchGetProducts(pb.BatchGetProductsRequest(keys=keys))

    async def found(**key: str) -> list[str]:
        return [product.id for product in (await batch(pb.ProductKey(**key))).products]

    assert await found(product_id=fish.id) == [fish.id]
    assert await found(vendor_id=other.id, sku="FISH-1") == [twin.id]
    assert sorted(await found(sku="Fish-1")) == sorted([fish.id, twin.id])
    assert await found(animal_id=tom.id) == [cat.id]
    for nonsense in ({"product_id": "x"}, {"sku": "no\0"}, {"vendor_id": "x", "sku": "FISH-1"}, {}):
        assert await found(**nonsense) == []
    answer = await batch(
        pb.ProductKey(product_id=cat.id), pb.ProductKey(sku="FISH-1"), pb.ProductKey(sku="FISH-1")
    )
    assert sorted(p.id for p in answer.products) == sorted([cat.id, fish.id, twin.id])
    assert [(a.id, a.status, a.facts.born_on) for a in answer.animals] == [(tom.id, "free", "2026-01-01")]
    assert sorted(v.id for v in answer.vendors) == sorted([vendor.id, other.id])


async def test_a_batch_shows_at_most_fifty_free_animals_and_the_ones_asked_for(
    api: Client, vendor: pb.Vendor, orders: Orders, sql: asyncpg.Connection
) -> None:
    cats, me = await make_product(api, vendor, a_cat()), api(a_vendor_user(vendor.id))
    for _ in range(54):
        await me.AddAnimal(pb.AddAnimalRequest(product_id=cats.id))
    first = (await animals_of(api, cats))[0]
    await orders.ask(a_reserve(cats, animals=[first.id]))
    answer = await api(SERVICE).BatchGetProducts(
        pb.BatchGetProductsRequest(keys=[pb.ProductKey(animal_id=first.id)])
    )
    statuses = sorted(animal.status for animal in answer.animals)
    assert statuses == ["free"] * 50 + ["reserved"]


async def test_products_are_filtered_sorted_and_paged(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    other = await make_vendor(api, "Other")
    fish = await make_product(
        api, vendor, a_product(sku="A-1", title="Blue tetra", price=Money(amount_minor=300, currency="EUR"))
    )
    salt = await make_product(
        api, vendor, a_product(sku="B-2", title="Café salt", kind="good", initial_stock=0)
    )
    cat = await make_product(api, other, a_cat(price=Money(amount_minor=300, currency="EUR")))
    old = await make_product(api, vendor, a_product(sku="OLD", title="Old tetra"))
    await api(OPERATOR).ArchiveProduct(pb.ArchiveProductRequest(id=old.id))

    async def ids(caller: Caller = ANONYMOUS, **over: Any) -> list[str]:
        found, cursor = [], ""
        while True:
            request = pb.ListProductsRequest(page=PageRequest(limit=1, cursor=cursor), **over)
            page = await api(caller).ListProducts(request)
            found += [product.id for product in page.items]
            cursor = page.next_cursor
            if not cursor:
                return found

    assert await ids() == [cat.id, salt.id, fish.id]
    assert await ids(sort="created") == [fish.id, salt.id, cat.id]
    assert await ids(sort="price") == [fish.id, cat.id, salt.id]
    assert await ids(sort="-price") == [salt.id, cat.id, fish.id]
    assert await ids(sort="title") == [fish.id, salt.id, cat.id]
    assert await ids(sort="-title") == [cat.id, salt.id, fish.id]
    assert await ids(vendor_id=other.id) == [cat.id]
    assert await ids(species="felis_catus") == [cat.id]
    assert await ids(kind="good") == [salt.id]
    assert await ids(in_stock=True) == [cat.id, fish.id]
    assert await ids(in_stock=False) == [salt.id]
    assert await ids(q="TETRA blu") == [fish.id]
    assert await ids(q="cafe") == [salt.id]
    assert await ids(q="b-2") == [salt.id]
    assert await ids(q="felis", sort="price") == [cat.id]
    assert await ids(q="tetra salt") == []
    assert await ids(q="!?'\\ &|") == []
    endless = await make_product(api, vendor, a_product(sku="LONG", description="ß" * 5000))
    assert await ids(q="S" * 100) == [endless.id]
    await api(OPERATOR).ArchiveProduct(pb.ArchiveProductRequest(id=endless.id))
    for strange in ("ﬀ İ", "١٢", "x:*", "'", "ك ﷺ", "🐟"):
        assert await ids(q=strange) == []
    assert await ids(a_vendor_user(vendor.id), vendor_id=vendor.id, status="archived") == [endless.id, old.id]
    assert await ids(OPERATOR, status="any", q="tetra") == [endless.id, old.id, fish.id]


async def test_every_wrong_question_for_products_is_refused(api: Client, vendor: pb.Vendor) -> None:
    wrong = {
        "/query/vendor_id": ({"vendor_id": "x"}, "format"),
        "/query/kind": ({"kind": "x"}, "enum"),
        "/query/sort": ({"sort": "stock"}, "enum"),
        "/query/q": ({"q": "a\0b"}, "characters"),
        "/query/species": ({"species": "\0"}, "characters"),
        "/query/limit": ({"page": PageRequest(limit=201)}, "limit.out_of_range"),
        "/query/cursor": ({"page": PageRequest(cursor="x")}, "cursor.malformed"),
        "/query/status": ({"status": "archived"}, "enum"),
    }
    for pointer, (over, code) in wrong.items():
        assert await invalid(api.ListProducts(pb.ListProductsRequest(**over))) == {pointer: code}
    for n in range(2):
        await make_product(api, vendor, a_product(sku=f"S{n}"))
    page = await api.ListProducts(pb.ListProductsRequest(page=PageRequest(limit=1)))
    of_another_list = pb.ListProductsRequest(page=PageRequest(cursor=page.next_cursor), sort="price")
    assert await invalid(api.ListProducts(of_another_list)) == {"/query/cursor": "cursor.malformed"}
    assert await invalid(api(OPERATOR).ListVendors(pb.ListVendorsRequest(name="\0"))) == {
        "/query/name": "characters"
    }


async def test_a_key_makes_a_mutation_happen_once(
    api: Client, vendor: pb.Vendor, sql: asyncpg.Connection
) -> None:
    fish = await make_product(api, vendor)
    me = api(a_vendor_user(vendor.id), idempotency_key="k1", fingerprint=b"f")
    request = pb.ChangeStockRequest(product_id=fish.id, delta=2, reason="hatched")
    first = await me.ChangeStock(request)
    assert await me.ChangeStock(request) == first
    assert (await api.GetProduct(pb.GetProductRequest(id=fish.id))).stock.on_hand == 7
    other = api(a_vendor_user(vendor.id), idempotency_key="k1", fingerprint=b"g")
    assert (await refusal(other.ChangeStock(request))).code == "idempotency.key_reused"


async def test_every_change_is_told_as_a_snapshot_with_a_higher_version(
    api: Client, vendor: pb.Vendor, orders: Orders, sql: asyncpg.Connection, eventually: Any
) -> None:
    me = api(a_vendor_user(vendor.id))
    await me.UpdateVendor(pb.UpdateVendorRequest(email="a@b.example"))
    cat = await make_product(api, vendor, a_cat())
    await me.UpdateProduct(pb.UpdateProductRequest(id=cat.id, title="Kitten"))
    (tom,) = await animals_of(api, cat)
    command = a_reserve(cat, animals=[tom.id])
    await orders.ask(command)
    await orders.ask(commands_pb2.CommitStock(order_id=command.order_id), step=1)
    await me.AddAnimal(pb.AddAnimalRequest(product_id=cat.id))
    await me.ArchiveProduct(pb.ArchiveProductRequest(id=cat.id))

    async def told() -> list[Any]:
        return [
            e
            for e in orders.events
            if isinstance(e.payload, events_pb2.ProductChanged) and e.payload.status == "archived"
        ]

    await eventually(told)
    assert {envelope.key for envelope in orders.events} == {vendor.id}
    payloads = [envelope.payload for envelope in orders.events]
    vendors = [(p.name, p.version) for p in payloads if isinstance(p, events_pb2.VendorChanged)]
    assert vendors == [("Blue Lagoon Aquatics", 1), ("Blue Lagoon Aquatics", 2)]
    products = [(p.title, p.status, p.version) for p in payloads if isinstance(p, events_pb2.ProductChanged)]
    # 3: sold, 4: an animal more; neither is told, as a product's snapshot holds no stock.
    assert products == [
        ("Maine Coon kitten", "active", 1),
        ("Kitten", "active", 2),
        ("Kitten", "archived", 5),
    ]
    toms = [
        (p.status, p.version)
        for p in payloads
        if isinstance(p, events_pb2.AnimalChanged) and p.animal_id == tom.id
    ]
    assert toms == [("free", 1), ("reserved", 2), ("sold", 3)]
