"""Examples of API keys."""

from __future__ import annotations

from typing import Final

from orderhub_gateway.examples.things import API_KEY, AT, NOTHING, VENDOR, Example, page, problem

KEY: Final = {
    "id": API_KEY, "vendor_id": VENDOR, "name": "Stock of the shop", "prefix": "ohk_7Qm2xV9aLc4T",
    "scopes": ["stock:write", "orders:read"], "created_by": NOTHING, "created_at": AT,
    "expires_at": "2027-05-04T09:30:00.000000Z", "last_used_at": None, "revoked_at": None,
}  # fmt: skip
# Its checksum is another one, so that no scanner takes it for a key.
MADE: Final = {**KEY, "key": "ohk_7Qm2xV9aLc4T_c2hvd24gb25jZQ"}
NO_KEY: Final = problem(404, "Not Found", "auth.api_key_not_found", "there is no such API key")

API_KEYS: Final[dict[str, tuple[Example, ...]]] = {
    "createApiKey": (
        Example(
            "stock", "A key that may change the stock, and read orders", "vendor", 201, MADE,
            {"name": "Stock of the shop", "scopes": ["stock:write", "orders:read"]},
        ),
        Example(
            "refused", "An operator says whose it is", "operator", 400,
            problem(
                400, "Bad Request", "uuid", "/vendor_id: must be a UUID",
                {"pointer": "/vendor_id", "code": "uuid", "detail": "must be a UUID"},
            ),
            {"name": "Stock of the shop", "scopes": ["stock:write"]},
        ),
    ),
    "listApiKeys": (Example("keys", "The vendor's keys", "vendor", 200, page(KEY), None, {"limit": 10}),),
    "getApiKey": (
        Example("key", "A key", "vendor", 200, KEY, None, {"key_id": API_KEY}),
        Example("refused", "Another vendor's, or none", "vendor", 404, NO_KEY, None, {"key_id": NOTHING}),
    ),
    "updateApiKey": (
        Example(
            "name", "Another name", "vendor", 200, {**KEY, "name": "Till 2"}, {"name": "Till 2"}, {"key_id": API_KEY}
        ),
    ),
    "revokeApiKey": (Example("revoke", "Revoke it", "vendor", 204, None, None, {"key_id": API_KEY}),),
}  # fmt: skip
