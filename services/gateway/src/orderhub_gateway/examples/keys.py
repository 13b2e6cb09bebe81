"""Examples of signing keys."""

from __future__ import annotations

from typing import Any, Final

from orderhub_gateway.examples.things import AT, Example

KID: Final = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
NEXT: Final = "W4uMf8aGZRbFq0pYkVTXcU5pKd1zmMcMZ2jQxB6dO3k"
SWITCH: Final = "2026-05-04T09:37:00.000000Z"


def _key(kid: str, state: str, **over: Any) -> dict[str, Any]:
    times = {"created_at": AT, "signs_from": AT, "signs_until": None, "published_until": None}
    return {"kid": kid, "algorithm": "ES256", "state": state, **times, **over}


SIGNING: Final = _key(KID, "signing")
KEYS: Final[dict[str, tuple[Example, ...]]] = {
    "listSigningKeys": (
        Example("both", "One signs for each algorithm", "operator", 200, {"items": [SIGNING]}),
    ),
    "rotateSigningKeys": (
        Example(
            "next", "Publish the next key of the access tokens", "operator", 200,
            {
                "items": [
                    _key(NEXT, "prepublished", signs_from=SWITCH),
                    _key(KID, "signing", signs_until=SWITCH, published_until="2026-05-04T09:59:00.000000Z"),
                ]
            },
            {"algorithm": "ES256"},
        ),
    ),
}  # fmt: skip
