"""The provider's metadata (OpenID Connect Discovery 1.0, RFC 8414) and its keys (RFC 7517)."""

from __future__ import annotations

import base64
import re
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
NEEDED: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
SCOPE: Final = re.compile(r"[!#-\[\]-~]+")
ALGORITHM: Final = re.compile(r"[A-Z]{2}[0-9]{3}|none|EdDSA")


def document_is_json(response: httpx.Response) -> None:
    """Status 200 and application/json (Discovery, section 4.2)."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].partition(";")[0] == "application/json"
    assert isinstance(response.json(), dict)


def issuer_is_where_it_was_found(metadata: dict[str, Any], url: str) -> None:
    """Exactly the issuer that was asked (Discovery, section 4.3), a URL without query or fragment (RFC 8414, section 2)."""
    assert metadata["issuer"] == url
    parts = urlsplit(metadata["issuer"])
    assert parts.scheme in ("http", "https")
    assert parts.netloc
    assert not parts.query
    assert not parts.fragment


def endpoints_are_urls(metadata: dict[str, Any], url: str) -> None:
    """Each of them absolute and with the issuer's scheme: https wherever the provider is reached by it."""
    assert all(name in metadata for name in ENDPOINTS), metadata
    named = [name for name in metadata if name.endswith(("_endpoint", "_uri"))]
    for name in named:
        parts = urlsplit(metadata[name])
        assert (parts.scheme, bool(parts.netloc), parts.fragment) == (urlsplit(url).scheme, True, ""), name


def values_include(metadata: dict[str, Any], name: str, *wanted: str) -> None:
    found = metadata.get(name)
    assert isinstance(found, list), f"{name} is {found!r}"
    assert all(isinstance(one, str) for one in found), found
    assert len(set(found)) == len(found), f"{name} names something twice: {found}"
    missing = set(wanted) - set(found)
    assert not missing, f"{name} is without {missing}: {found}"


def flag_is(metadata: dict[str, Any], name: str, wanted: bool) -> None:
    assert metadata.get(name) is wanted, f"{name} is {metadata.get(name)!r}"


def algorithms_are_named(metadata: dict[str, Any], name: str) -> None:
    assert all(ALGORITHM.fullmatch(one) for one in metadata[name]), metadata[name]


def scopes_are_readable(metadata: dict[str, Any]) -> None:
    """RFC 6749, section 3.3."""
    assert all(SCOPE.fullmatch(one) for one in metadata["scopes_supported"]), metadata["scopes_supported"]


def keys_are_sound(keys: dict[str, Any]) -> None:
    """Each key complete, in base64url, public, with a kid of its own, its use and its algorithm (Core, section 10.1)."""
    assert keys["keys"]
    for key in keys["keys"]:
        assert key["kty"] in NEEDED, key
        assert all(name in key for name in NEEDED[key["kty"]]), key
        assert not PRIVATE & key.keys(), f"a private key is public: {sorted(key)}"
        _numbers_are_base64url(key)
        assert key.get("kid"), f"a key without a kid: {key}"
        assert key.get("use") == "sig", key
        assert ALGORITHM.fullmatch(key.get("alg", "")), key
    kids = [key["kid"] for key in keys["keys"]]
    assert len(set(kids)) == len(kids), kids


def _numbers_are_base64url(key: dict[str, Any]) -> None:
    for name in ("n", "e", "x", "y"):
        if name in key:
            assert BASE64URL.fullmatch(key[name]), f"{name} is not base64url without padding"
            decoded = base64.urlsafe_b64decode(key[name] + "=" * (-len(key[name]) % 4))
            assert decoded, name
            assert name in ("x", "y") or decoded[0] != 0, f"{name} has a leading zero (RFC 7518, section 2)"
    if key["kty"] == "RSA":
        assert len(base64.urlsafe_b64decode(key["n"] + "==")) >= 256, "an RSA key of less than 2048 bits"


def keys_have(keys: dict[str, Any], *algorithms: str) -> None:
    found = {key["alg"] for key in keys["keys"]}
    assert set(algorithms) <= found, found
