"""The demo: vendors, catalogue and users of a first start, made through the product's own doors.

`demo.json` (0600) tells the generated passwords. At every later start the demo animals get their ages anew, so that
the six-week-old pup stays six weeks old.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import secrets
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from orderhub_contracts.auth.v1 import auth_pb2
from orderhub_contracts.inventory.v1 import inventory_pb2

from orderhub import environment, home, imports
from orderhub.inside import Inside, connected

DOMAIN = "demo.orderhub.example"
PEOPLE = {
    "customer": ("customer", "Demo Customer"),
    "customer2": ("customer", "Second Demo Customer"),
    "courier": ("courier", "Demo Courier"),
    "operator": ("operator", "Demo Operator"),
}
"""Name in demo.json → role and name."""


def text(name: str) -> str:
    """One of the demo's files."""
    return resources.files("orderhub").joinpath("data", name).read_text()


def vendors() -> list[dict[str, str]]:
    return list(csv.DictReader(text("vendors.csv").splitlines()))


def catalogue() -> list[dict[str, str]]:
    return list(csv.DictReader(text("catalogue.csv").splitlines()))


async def set_up(place: home.Home, chosen: environment.Ports, *, first_time: bool) -> str:
    """Returns what was done, in a few words."""
    async with connected(place, chosen.addresses()) as inside:
        said, users = await _first_time(inside) if first_time else (await _rebased(inside), {})
    _point_to_gateway(place, chosen.addresses()["gateway"], users)
    return said


async def _first_time(inside: Inside) -> tuple[str, dict[str, Any]]:
    users = await people(inside)
    done = imports.require_all(await imports.products(inside, text("catalogue.csv").encode()))
    return f"{len(vendors())} vendors, {done.created} products, {len(PEOPLE) + len(vendors())} users", users


async def _rebased(inside: Inside) -> str:
    """The ages of the demo animals as of today; whatever their vendors changed about them since stays."""
    ids = await imports.vendor_ids(inside)
    rows = [row for row in catalogue() if row["age_days"] and row["vendor"] in ids]
    wanted = [inventory_pb2.ProductKey(vendor_id=ids[row["vendor"]], sku=row["sku"]) for row in rows]
    answer = await inside.call(
        "inventory", inside.inventory.BatchGetProducts, inventory_pb2.BatchGetProductsRequest(keys=wanted)
    )
    known = {(product.vendor_id, product.sku): product for product in answer.products}
    kept = [_as_it_is(row, known[key]) for row in rows if (key := (ids[row["vendor"]], row["sku"])) in known]
    if not kept:
        return ""
    done = imports.require_all(await imports.products(inside, written(kept), rebase_ages=True))
    return f"the ages of {done.updated} animals are as of today" if done.updated else ""


def _as_it_is(row: Mapping[str, str], product: Any) -> dict[str, str]:
    price = {"price_minor": str(product.price.amount_minor), "currency": product.price.currency}
    return {**row, **price, "title": product.title}


def written(rows: Sequence[Mapping[str, str]]) -> bytes:
    """The rows as a CSV file."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


async def people(inside: Inside) -> dict[str, Any]:
    """Vendors and users, made; returns the users as demo.json has them. Raises Refused where they are there already."""
    imports.require_all(await imports.vendors(inside, text("vendors.csv").encode()))
    ids = await imports.vendor_ids(inside)
    users: dict[str, Any] = {name: _credentials(f"{name}@{DOMAIN}") for name in PEOPLE}
    users["vendors"] = {row["name"]: _credentials(row["email"]) for row in vendors()}
    made = [_make_user(inside, users[name], role, called) for name, (role, called) in PEOPLE.items()]
    made += [_make_user(inside, who, "vendor", name, ids[name]) for name, who in users["vendors"].items()]
    await asyncio.gather(*made)
    return users


def _credentials(email: str) -> dict[str, str]:
    return {"email": email, "password": secrets.token_urlsafe(15)}


async def _make_user(
    inside: Inside, credentials: Mapping[str, str], role: str, called: str, vendor_id: str = ""
) -> None:
    request = auth_pb2.CreateUserRequest(
        email=credentials["email"],
        password=credentials["password"],
        roles=[role],
        vendor_id=vendor_id,
        name=called,
    )
    await inside.call("auth", inside.auth.CreateUser, request)


def _point_to_gateway(place: home.Home, url: str, users: dict[str, Any]) -> None:
    """Write demo.json, or only the gateway's address anew: it may have another port today. Who removed it wants none."""
    if not users and not place.demo.exists():
        return
    users = users or json.loads(place.demo.read_text())["users"]
    home.write_private(place.demo, {"gateway": url, "users": users})
