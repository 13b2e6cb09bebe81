"""A real Keycloak: a realm made from the file that people import, its users, and how they log in with a browser."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
from people import DOMAIN, OwnPeople

DEPLOY: Final = Path(__file__).parent.parent / "deploy" / "keycloak"
CLIENT: Final = "orderhub-web"
CALLBACK: Final = "http://127.0.0.1:8080/oidc/callback"
FORM: Final = re.compile(r'<form[^>]*\bid="kc-form-login"[^>]*\baction="([^"]+)"')
ROLES: Final = ("customer", "vendor", "courier", "operator")


class Realm:
    """One realm of a running Keycloak. `server` is what `make backends-up` noted of it."""

    def __init__(self, server: Mapping[str, str], name: str) -> None:
        self.name = name
        self.issuer = f"{server['url']}/realms/{name}"
        self._server = server
        self._http = httpx.Client(timeout=60, trust_env=False)
        self._passwords: dict[str, str] = {}

    # --- as its administrator ---

    def admin(self, method: str, path: str, body: Any = None, *, realm: str = "") -> httpx.Response:
        """One call of the admin API below this realm; it has to succeed."""
        login = {"grant_type": "password", "client_id": "admin-cli"}
        login |= {"username": self._server["user"], "password": self._server["password"]}
        url = self._server["url"]
        granted = self._http.post(f"{url}/realms/master/protocol/openid-connect/token", data=login)
        assert granted.status_code == 200, granted.text
        headers = {"authorization": f"Bearer {granted.json()['access_token']}"}
        below = f"/{self.name}{path}" if not realm else ""
        answer = self._http.request(method, f"{url}/admin/realms{below}", json=body, headers=headers)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def add_user(self, name: str, *roles: str, vendor_id: str = "") -> str:
        """A user with a random password; returns the id, which is the `sub` of the tokens."""
        self._passwords[name] = secrets.token_urlsafe(15)
        password = {"type": "password", "value": self._passwords[name], "temporary": False}
        user = {
            "username": name, "email": f"{name}@{DOMAIN}", "emailVerified": True, "enabled": True,
            "firstName": "Test", "lastName": name, "credentials": [password],
            "attributes": {"vendor_id": [vendor_id]} if vendor_id else {},
        }  # fmt: skip
        id = self.admin("POST", "/users", user).headers["location"].rpartition("/")[2]
        known = [self.admin("GET", f"/roles/{role}").json() for role in roles]
        self.admin("POST", f"/users/{id}/role-mappings/realm", known)
        return id

    # --- as a browser and the application in it ---

    def ask(self, **over: str) -> httpx.Response:
        """The authorization request, without following where it leads; an empty value leaves its parameter out."""
        wanted = {
            "client_id": CLIENT, "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid", "state": "s",
            "code_challenge": "A" * 43, "code_challenge_method": "S256", **over,
        }  # fmt: skip
        query = {name: value for name, value in wanted.items() if value}
        return self._http.get(f"{self.issuer}/protocol/openid-connect/auth", params=query)

    def login(self, name: str) -> dict[str, Any]:
        """Code flow with PKCE (RFC 7636) through the login form; returns the answer of the token endpoint."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        page = self.ask(code_challenge=base64.urlsafe_b64encode(digest).decode().rstrip("="))
        form = FORM.search(page.text)
        assert form, page.text
        filled = {"username": name, "password": self._passwords[name]}
        done = self._http.post(html.unescape(form[1]), data=filled, headers=_cookies(page))
        assert done.status_code == 302, done.text
        self._http.cookies.clear()
        given = parse_qs(urlsplit(done.headers["location"]).query)
        assert done.headers["location"].startswith(CALLBACK)
        assert (given["state"], given["iss"]) == (["s"], [self.issuer])
        return self.granted(
            grant_type="authorization_code", client_id=CLIENT, code=given["code"][0], redirect_uri=CALLBACK,
            code_verifier=verifier,
        )  # fmt: skip

    def granted(self, **form: str) -> dict[str, Any]:
        answer = self._http.post(f"{self.issuer}/protocol/openid-connect/token", data=form)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def password_of(self, name: str) -> str:
        return self._passwords[name]

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self._http.get(url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        return self._http.post(url, **options)

    def close(self) -> None:
        self._http.close()

    @property
    def issuers(self) -> str:
        """ORDERHUB_OIDC_ISSUERS for this realm: the example that people are told to copy, with this address."""
        (example,) = json.loads((DEPLOY / "issuers.json").read_text())
        return json.dumps([{**example, "issuer": self.issuer}])


def _cookies(page: httpx.Response) -> dict[str, str]:
    """Secure ones too: browsers give them to 127.0.0.1 without TLS, Python's jar does not."""
    pairs = [cookie.partition(";")[0] for cookie in page.headers.get_list("set-cookie")]
    return {"cookie": "; ".join(pairs)}


@contextlib.contextmanager
def fresh_realm(server: Mapping[str, str]) -> Iterator[Realm]:
    """A realm of its own as deploy/keycloak/orderhub-realm.json has it; gone afterwards."""
    realm = Realm(server, f"orderhub-{secrets.token_hex(6)}")
    content = json.loads((DEPLOY / "orderhub-realm.json").read_text())
    with contextlib.closing(realm):
        realm.admin("POST", "", {**content, "realm": realm.name}, realm="new")
        try:
            yield realm
        finally:
            realm.admin("DELETE", "")


class KeycloakPeople:
    """The demo's people, as users of a realm."""

    token_seconds = 200.0

    def __init__(self, realm: Realm) -> None:
        self.realm = realm
        self._made: dict[str, str] = {}
        self._own = OwnPeople()

    async def token(self, shop: Any, who: str) -> str:
        if who not in self._made:
            role = "customer" if who.startswith("customer") else who
            vendor_id = "" if role in ROLES else await self._vendor_id(shop, who)
            self._made[who] = self._add("vendor" if vendor_id else role, vendor_id)
        return str(self.realm.login(self._made[who])["access_token"])

    async def newcomer(self, shop: Any) -> str:
        return str(self.realm.login(self._add("customer"))["access_token"])

    async def employee(self, shop: Any, role: str) -> str:
        return str(self.realm.login(self._add(role))["access_token"])

    def _add(self, role: str, vendor_id: str = "") -> str:
        name = f"{role}-{secrets.token_hex(6)}"
        self.realm.add_user(name, role, vendor_id=vendor_id)
        return name

    async def _vendor_id(self, shop: Any, who: str) -> str:
        """As the vendor's user at auth is told."""
        headers = {"authorization": f"Bearer {await self._own.token(shop, who)}"}
        return str((await shop.http.get("auth/me", headers=headers)).json()["vendor_id"])
