"""What may be registered as a relying party."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey
from orderhub_auth.provider import model, registration
from orderhub_auth.provider.registration import Registration
from orderhub_chassis.errors import Invalid

VENDOR = "01980a2e-0001-7000-8000-000000000001"
WEB = Registration("App", redirect_uris=("https://app.example/callback",))
PUBLIC_KEY = json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]})


@pytest.mark.parametrize(
    "good",
    [
        WEB,
        replace(WEB, name="  App "),
        replace(WEB, redirect_uris=("http://127.0.0.1:3000/cb", "http://[::1]/cb", "http://localhost/cb")),
        replace(WEB, auth_method="none", redirect_uris=("com.example.app:/callback",)),
        replace(WEB, auth_method="private_key_jwt", jwks=PUBLIC_KEY),
        Registration(
            "Robot", grant_types=(model.CREDENTIALS,), scopes=("api",), roles=("vendor",), vendor_id=VENDOR
        ),
        Registration("Television", grant_types=(model.DEVICE, model.REFRESH), auth_method="none"),
    ],
    ids=["web", "trimmed", "loopback", "native", "key", "robot", "television"],
)
def test_these_are_good(good: Registration) -> None:
    assert registration.checked(good).name == good.name.strip()


BAD: list[tuple[str, dict[str, Any]]] = [
    ("/name", {"name": " "}),
    ("/name", {"name": "a\nb"}),
    ("/grant_types", {"grant_types": ()}),
    ("/grant_types", {"grant_types": ("password",)}),
    ("/grant_types", {"grant_types": (model.REFRESH,), "redirect_uris": ()}),
    ("/grant_types", {"grant_types": (model.CODE, model.CREDENTIALS), "auth_method": "none"}),
    ("/scopes", {"scopes": ("openid", "world")}),
    ("/token_endpoint_auth_method", {"auth_method": "tls_client_auth"}),
    ("/id_token_signed_response_alg", {"id_token_alg": "none"}),
    ("/redirect_uris", {"redirect_uris": ()}),
    ("/redirect_uris", {"grant_types": (model.DEVICE,)}),
    ("/redirect_uris", {"redirect_uris": tuple(f"https://app.example/{n}" for n in range(21))}),
    ("/redirect_uris/0", {"redirect_uris": ("http://app.example/callback",)}),
    ("/redirect_uris/0", {"redirect_uris": ("https://app.example/callback#here",)}),
    ("/redirect_uris/0", {"redirect_uris": ("https://user@app.example/callback",)}),
    ("/redirect_uris/0", {"redirect_uris": ("https:///callback",)}),
    ("/redirect_uris/0", {"redirect_uris": ("/callback",)}),
    ("/redirect_uris/0", {"redirect_uris": ("https://app.example/a b",)}),
    ("/redirect_uris/0", {"redirect_uris": ("https://app.example\\@evil.example/",)}),
    ("/redirect_uris/0", {"redirect_uris": ("https://app.example:port/",)}),
    ("/redirect_uris/0", {"redirect_uris": ("javascript:alert(1)",)}),
    ("/redirect_uris/0", {"redirect_uris": ("com.example.app:/callback",)}),
    ("/redirect_uris/0", {"redirect_uris": ("javascript:alert(1)",), "auth_method": "none"}),
    ("/post_logout_redirect_uris/0", {"post_logout_redirect_uris": ("ftp://app.example/",)}),
    ("/backchannel_logout_uri", {"backchannel_logout_uri": "http://app.example/out"}),
    ("/jwks", {"jwks": PUBLIC_KEY}),
    ("/jwks", {"auth_method": "private_key_jwt"}),
    ("/jwks", {"auth_method": "private_key_jwt", "jwks": "{}"}),
    ("/jwks", {"auth_method": "private_key_jwt", "jwks": '{"keys": []}'}),
    ("/roles", {"roles": ("operator",)}),
    ("/vendor_id", {"vendor_id": VENDOR}),
]


@pytest.mark.parametrize(
    ("pointer", "over"), BAD, ids=[f"{n}-{pointer}" for n, (pointer, _) in enumerate(BAD)]
)
def test_these_are_refused_by_the_field(pointer: str, over: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        registration.checked(replace(WEB, **over))
    assert refused.value.errors[0].pointer == pointer


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize("kind", ["private", "symmetric", "short"])
def test_a_client_registers_public_and_strong_keys(kind: str) -> None:
    key = {
        "private": lambda: ECKey.generate_key("P-256").as_dict(private=True),
        "symmetric": lambda: OctKey.generate_key(256).as_dict(private=True),
        "short": lambda: {"kty": "RSA", "n": model.left_of(b"\xf1" * 128), "e": "AQAB"},
    }[kind]()
    over = {"auth_method": "private_key_jwt", "jwks": json.dumps({"keys": [key]})}
    with pytest.raises(Invalid) as refused:
        registration.checked(replace(WEB, **over))
    assert refused.value.errors[0].pointer == "/jwks"


def test_the_role_vendor_needs_its_vendor() -> None:
    robot = Registration("Robot", grant_types=(model.CREDENTIALS,), scopes=("api",), roles=("vendor",))
    with pytest.raises(Invalid) as refused:
        registration.checked(robot)
    assert refused.value.errors[0].pointer == "/vendor_id"
