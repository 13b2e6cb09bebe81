"""Examples of vendors, products and animals."""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.things import (
    A_PRODUCT,
    A_VENDOR,
    AN_ANIMAL,
    ANIMAL,
    CSV,
    FACTS,
    FERRETS,
    NOTHING,
    PRODUCT,
    VENDOR,
    Example,
    eur,
    page,
    problem,
)

CATALOGUE: Final[dict[str, tuple[Example, ...]]] = {
    "getVendor": (Example("vendor", "A vendor", "anybody", 200, A_VENDOR, None, {"vendor_id": VENDOR}),),
    "updateVendor": (
        Example(
            "address", "Move", "vendor", 200, {**A_VENDOR, "email": "sales@blue-lagoon.example", "version": 2},
            {
                "address": {
                    "line1": "Havenweg 14", "city": "Rotterdam", "postal_code": "3011", "country": "NL",
                    "lat": 51.92, "lon": 4.48,
                },
                "email": "sales@blue-lagoon.example",
            },
        ),
    ),
    "listProducts": (
        Example(
            "search", "What can be bought now", "anybody", 200, page(A_PRODUCT), None,
            {"q": "driftwood", "in_stock": True, "sort": "price", "limit": 20},
        ),
    ),
    "createProduct": (
        Example(
            "good", "A good", "vendor", 201, {**A_PRODUCT, "sku": "WOOD-2"},
            {
                "sku": "WOOD-2", "title": "Driftwood, large", "kind": "good", "price": eur(2500), "stock": 20,
                "description": "Soaked for a month.",
            },
        ),
        Example(
            "animals", "Animals that are sold one by one", "vendor", 201,
            {**A_PRODUCT, "sku": "FERRET-2", "kind": "individual", "species": "mustela_furo", "facts": FACTS},
            {
                "sku": "FERRET-2", "title": "Ferret", "kind": "individual", "species": "mustela_furo",
                "price": eur(18000), "facts": {"life_stage": "juvenile", "weaned": True},
            },
        ),
    ),
    "getProduct": (
        Example("product", "A product", "anybody", 200, A_PRODUCT, None, {"product_id": PRODUCT}),
        Example(
            "refused", "No such product", "anybody", 404,
            problem(404, "Not Found", "inventory.product_not_found", "there is no such product"),
            None, {"product_id": NOTHING},
        ),
    ),
    "updateProduct": (
        Example(
            "price", "A new price, unless somebody was faster", "vendor", 200, {**A_PRODUCT, "version": 2},
            {"price": eur(1600)}, {"product_id": PRODUCT, "If-Match": '"1"'},
        ),
    ),
    "archiveProduct": (
        Example(
            "archive", "Take it out of the catalogue", "vendor", 200, {**A_PRODUCT, "status": "archived"},
            None, {"product_id": PRODUCT},
        ),
    ),
    "importProducts": (
        Example(
            "file", "A file", "vendor", 200,
            {"rows": 1, "created": 1, "updated": 0, "unchanged": 0, "errors": [], "errors_total": 0},
            CSV, {"partial": False},
        ),
    ),
    "changeStock": (
        Example(
            "delta", "Ten more", "vendor", 200, A_PRODUCT, {"delta": 10, "reason": "delivery from the mill"},
            {"product_id": PRODUCT},
        ),
        Example(
            "count", "What was counted", "vendor", 200, A_PRODUCT, {"set": 97, "reason": "stocktaking"},
            {"product_id": PRODUCT, "If-Match": '"1"'},
        ),
        Example(
            "refused", "Setting needs If-Match", "vendor", 428,
            problem(
                428, "Precondition Required", "request.if_match_required",
                "this needs If-Match with the ETag of the version that you have seen",
            ),
            {"set": 97, "reason": "stocktaking"}, {"product_id": PRODUCT},
        ),
    ),
    "listAnimals": (
        Example("animals", "Animals on sale", "anybody", 200, page(AN_ANIMAL), None, {"product_id": FERRETS}),
    ),
    "addAnimal": (
        Example(
            "animal", "One more", "vendor", 201, AN_ANIMAL,
            {"identifier": "528140000123457", "facts": {"born_on": "2025-11-03", "weaned": True, "weight_kg": 1.4}},
            {"product_id": FERRETS},
        ),
    ),
    "releaseAnimal": (
        Example(
            "refused", "Only from quarantine", "vendor", 409,
            problem(409, "Conflict", "inventory.wrong_animal_status", "the animal is free"),
            None, {"animal_id": ANIMAL},
        ),
    ),
}  # fmt: skip
