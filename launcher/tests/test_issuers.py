"""`doctor` about the issuers of ORDERHUB_OIDC_ISSUERS, each a real HTTP server: what is wrong, and how to mend it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey
from orderhub import backends, doctor, home, ports
from orderhub.backends import Targets
from orderhub.exits import Exit
from orderhub.output import Output

VARIABLE = "ORDERHUB_OIDC_ISSUERS"
EC = ECKey.generate_key("P-256", private=True)


class Provider:
    """An identity provider with one realm. `pages` are its answers by path: a status and a JSON value."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}/realms/shop"
        self.pages: dict[str, tuple[int, Any]] = {}
        self.discovery(issuer=self.issuer, jwks_uri=f"{self.issuer}/certs")
        self.keys(public(EC))

    def discovery(self, **said: Any) -> None:
        self.pages["/realms/shop/.well-known/openid-configuration"] = (200, said)

    def keys(self, *jwks: dict[str, Any], status: int = 200) -> None:
        self.pages["/realms/shop/certs"] = (status, {"keys": jwks})

    def setting(self, **over: Any) -> str:
        one = {
            "issuer": self.issuer, "audience": "orderhub", "roles_claim": "roles", "role_map": {"c": "customer"}, **over,
        }  # fmt: skip
        return json.dumps([one])


def public(key: Any, **over: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", **over}


@pytest.fixture
def provider() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, value = found.pages.get(self.path, (404, {}))
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Provider(server.server_port)
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield found
        server.shutdown()
        serving.join()


async def lines(given: dict[str, str]) -> dict[str, tuple[str, str]]:
    """What → (seen, wrong)."""
    return {one.what: (one.seen, one.wrong) async for one in backends.of_issuers(Targets(given=given))}


async def line(provider: Provider, **over: Any) -> tuple[str, str]:
    found = await lines({VARIABLE: provider.setting(**over)})
    assert list(found) == [f"issuer {provider.issuer}"]
    return found[f"issuer {provider.issuer}"]


async def test_an_issuer_whose_keys_can_be_had_and_used(provider: Provider) -> None:
    provider.keys(public(EC), public(ECKey.generate_key("P-256", private=True), alg="ES512"))
    assert await line(provider) == ("1 of 2 keys are for RS256, ES256, PS256", "")


async def test_an_issuer_with_an_address_for_its_keys_is_asked_there_alone(provider: Provider) -> None:
    provider.pages.pop("/realms/shop/.well-known/openid-configuration")
    seen, wrong = await line(provider, jwks_url=f"{provider.issuer}/certs")
    assert (seen, wrong) == ("1 of 1 keys are for RS256, ES256, PS256", "")
    _, wrong = await line(provider, jwks_url=f"{provider.issuer}/elsewhere")
    assert wrong.endswith(
        "/realms/shop/elsewhere: it answered 404: issuer has to be the URL of its realm, and jwks_url that of its JWKS"
    )


async def test_an_issuer_that_calls_itself_otherwise(provider: Provider) -> None:
    provider.discovery(issuer=f"{provider.issuer}/", jwks_uri=f"{provider.issuer}/certs")
    _, wrong = await line(provider)
    assert wrong.endswith(
        f"its discovery document is that of another issuer: it calls itself '{provider.issuer}/':"
        " write issuer letter by letter as its tokens have it"
    )


async def test_keys_of_other_algorithms_and_no_keys(provider: Provider) -> None:
    _, wrong = await line(provider, algorithms=["RS256"])
    assert wrong.endswith(
        "none of its keys (EC) is for RS256: write into algorithms what it signs with, or let it make such a key"
    )
    provider.keys(public(RSAKey.generate_key(2048, private=True), alg="PS256"))
    _, wrong = await line(provider, algorithms=["RS256"])
    assert "none of its keys (PS256) is for RS256" in wrong
    provider.keys()
    _, wrong = await line(provider)
    assert "its JWKS has no key to check tokens with: let it sign with an RSA key of 2048 bits" in wrong


async def test_an_issuer_that_is_ill_or_not_there(provider: Provider) -> None:
    provider.keys(status=503)
    _, wrong = await line(provider)
    assert wrong.endswith("it answered 503: look into its log")
    found = await lines({VARIABLE: provider.setting(issuer="http://127.0.0.1:1/realms/shop")})
    assert found["issuer http://127.0.0.1:1/realms/shop"][1].startswith(
        "127.0.0.1:1/realms/shop: it cannot be reached (refused): look at issuer or jwks_url"
    )


async def test_each_issuer_has_a_line_and_a_wrong_setting_none(provider: Provider) -> None:
    other = "http://127.0.0.1:1/realms/other"
    (one,), (two,) = json.loads(provider.setting()), json.loads(provider.setting(issuer=other))
    assert list(await lines({VARIABLE: json.dumps([one, two])})) == [
        f"issuer {provider.issuer}",
        f"issuer {other}",
    ]
    assert list(await lines({"ORDERHUB_GATEWAY_OIDC_ISSUERS": json.dumps([two]), VARIABLE: "[]"})) == [
        f"issuer {other}"
    ]
    assert await lines({VARIABLE: "nonsense"}) == {}
    assert await lines({}) == {}


def test_doctor_names_an_issuer_that_cannot_be_used(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("ORDERHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, provider.setting(algorithms=["RS256"]))
    assert doctor.run(home.at(tmp_path / "home"), Output(as_json=True), port=ports.free_port()) == Exit.FOUND
    found = {one["what"]: one["wrong"] for one in json.loads(capsys.readouterr().out)["looked_at"]}
    assert "none of its keys (EC) is for RS256" in found[f"issuer {provider.issuer}"]
