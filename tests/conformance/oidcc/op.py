"""What one case has of a running provider: its metadata and keys, read and checked anew, and its own browsers."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
from oidcc.browser import PLAIN, Browser
from oidcc.conditions import server
from oidcc.party import Party
from oidcc.person import Person
from oidcc.receiver import Receiver
from orderhub_chassis.clock import ManualClock

DISCOVERY: Final = "/.well-known/openid-configuration"
SCOPES: Final = ["openid", "profile", "email", "address", "phone", "offline_access"]


def a_client(name: str, **over: Any) -> dict[str, Any]:
    """A registration such as the plan asks for: confidential, client_secret_basic, without PKCE."""
    return {
        "name": name,
        "redirect_uris": [f"https://{name}.rp.example/callback"],
        "post_logout_redirect_uris": [f"https://{name}.rp.example/post_logout_redirect"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scopes": SCOPES,
        **over,
    }


CLIENTS: Final = {
    "first": a_client("first"),
    "second": a_client("second"),
    "post": a_client("post", token_endpoint_auth_method="client_secret_post"),
    "es256": a_client("es256", id_token_signed_response_alg="ES256"),
    "public": a_client("public", token_endpoint_auth_method="none"),
}
"""Registered once for each provider that runs."""


@dataclass
class Provider:
    """One that runs, for all cases of a worker. `olive` is its operator."""

    url: str
    clock: ManualClock
    olive: Person
    ada: Person
    grace: Person
    receiver: Receiver
    registered: dict[str, dict[str, Any]] = field(default_factory=dict)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(**PLAIN))

    def close(self) -> None:
        self.http.close()

    def token(self, person: Person) -> str:
        """A first-party access token."""
        credentials = {"email": person.email, "password": person.password}
        answer = self.http.post(f"{self.url}/api/v1/auth/login", json=credentials)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def register(self, client: dict[str, Any]) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token(self.olive)}"}
        url = f"{self.url}/api/v1/admin/clients"
        return self.http.post(url, json=client, headers=headers)

    def client(self, kind: str) -> dict[str, Any]:
        if kind not in self.registered:
            self.registered[kind] = self.made(CLIENTS[kind])
        return self.registered[kind]

    def made(self, client: dict[str, Any]) -> dict[str, Any]:
        answer = self.register(client)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


class Op:
    """Use as a context manager. Entering checks what every module of the suite checks first."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.ada, self.grace = provider.ada, provider.grace
        self.metadata: dict[str, Any] = {}
        self.keys: dict[str, Any] = {}
        self._open = ExitStack()

    def __enter__(self) -> Op:
        try:
            self._read()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _read(self) -> None:
        found = self.fetch(f"{self.provider.url}{DISCOVERY}")
        server.document_is_json(found)
        self.metadata = found.json()
        server.issuer_is_where_it_was_found(self.metadata, self.provider.url)
        server.endpoints_are_urls(self.metadata, self.provider.url)
        found = self.fetch(self.metadata["jwks_uri"])
        assert found.status_code == 200, found.text
        self.keys = found.json()
        server.keys_are_sound(self.keys)

    @property
    def issuer(self) -> str:
        return str(self.metadata["issuer"])

    @property
    def now(self) -> datetime:
        return self.provider.clock.now()

    def later(self, seconds: float) -> None:
        self.provider.clock.advance(timedelta(seconds=seconds))

    def fetch(self, url: str) -> httpx.Response:
        return self.provider.http.get(url)

    def browser(self) -> Browser:
        browser = Browser()
        self._open.callback(browser.close)
        return browser

    def party(self, kind: str = "first") -> Party:
        return self._party(self.provider.client(kind))

    def newcomer(self, **over: Any) -> Party:
        """A client of this case alone."""
        return self._party(self.provider.made(a_client(f"c{secrets.token_hex(6)}", **over)))

    def impostor(self, party: Party, **over: Any) -> Party:
        """Somebody who says to be that client, and is not quite."""
        return self._party({**party.registered, **over})

    def _party(self, registered: dict[str, Any]) -> Party:
        party = Party(registered, self.metadata)
        self._open.callback(party.close)
        return party
