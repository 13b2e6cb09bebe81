"""The public API as the command line uses it: one small blocking client, and who a demo user is."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from orderhub import control, home
from orderhub.exits import Exit, Refused

PASSWORD = "ORDERHUB_PASSWORD"
MFA_CODE = "ORDERHUB_MFA_CODE"
TIMEOUT = 70.0
SPARE_SECONDS = 30.0
PATIENCE_SECONDS, AGAIN_SECONDS = 5.0, 0.2
"""A service that has just come back is found again by the gateway within a second."""


@dataclass(frozen=True)
class Answer:
    """What the gateway said; `headers` in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Credentials:
    email: str
    password: str


class Gateway:
    """A base URL and, after `login`, a token. `renew` gives another one for a token that is refused before its end:
    the user was logged out, or the keys were changed in an emergency.
    """

    def __init__(self, url: str, token: str = "", renew: Callable[[], str] | None = None) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._renew = renew

    def login(self, who: Credentials) -> Gateway:
        """The same gateway for that user."""
        body = {"email": who.email, "password": who.password}
        answer = self._exchange("POST", "/api/v1/auth/login", body, {})
        if _code(answer) == "auth.mfa_required":
            second = {"mfa_token": answer.body["mfa_token"], "code": second_factor(who)}
            answer = self._exchange("POST", "/api/v1/auth/mfa/verify", second, {})
        return Gateway(self.url, str(_done(answer).body["access_token"]))

    def get(self, path: str, **query: Any) -> Any:
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self.request("GET", f"{path}?{urlencode(given)}" if given else path).body

    def post(self, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("POST", path, body if body is not None else {}, headers)

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Raises Refused with the problem's words for every answer that is no success.

        A 503 is asked again for a while where that does no harm: a read, or what goes under a key.
        """
        given = headers or {}
        until = time.monotonic() + (PATIENCE_SECONDS if method == "GET" or "idempotency-key" in given else 0)
        answer = self._exchange(method, f"/api/v1/{path}", body, given)
        while answer.status == HTTPStatus.SERVICE_UNAVAILABLE and time.monotonic() < until:
            time.sleep(AGAIN_SECONDS)
            answer = self._exchange(method, f"/api/v1/{path}", body, given)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._renew:
            self.token, self._renew = self._renew(), None
            return self.request(method, path, body, headers)
        return _done(answer)

    def _exchange(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        parts = urlsplit(self.url)
        maker = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = maker(parts.hostname or "", parts.port, timeout=TIMEOUT)
        content = None if body is None else json.dumps(body)
        sent = {"accept": "application/json", **headers}
        if content is not None:
            sent["content-type"] = "application/json"
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        try:
            connection.request(method, path, content, sent)
            return _answer(connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            raise Refused(
                f"the gateway at {self.url} does not answer: {error or type(error).__name__}"
            ) from error
        finally:
            connection.close()


def _answer(response: http.client.HTTPResponse) -> Answer:
    content = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    try:
        return Answer(response.status, headers, json.loads(content) if content else None)
    except ValueError:
        return Answer(response.status, headers, content.decode("utf-8", "replace"))


def _done(answer: Answer) -> Answer:
    """Raises Refused with the problem's words for an answer that is no success."""
    if answer.status >= 400:
        raise Refused(_problem(answer))
    return answer


def _code(answer: Answer) -> str:
    return str(answer.body.get("code", "")) if isinstance(answer.body, dict) else ""


def _problem(answer: Answer) -> str:
    problem = answer.body if isinstance(answer.body, dict) else {}
    words = str(problem.get("detail") or problem.get("title") or f"the gateway answered {answer.status}")
    fields = [
        f"{e.get('pointer')}: {e.get('detail')}" for e in problem.get("errors") or [] if isinstance(e, dict)
    ]
    wrong = "; ".join(field for field in fields if field not in words)
    code = f" ({problem['code']})" if problem.get("code") else ""
    return f"{words}{code}{': ' + wrong if wrong else ''}"


def running(place: home.Home) -> Gateway:
    """The gateway of what runs in this folder; `ORDERHUB_GATEWAY` names another one."""
    return Gateway(os.environ.get("ORDERHUB_GATEWAY") or control.required(place).addresses["gateway"])


def as_user(place: home.Home, user: str) -> Gateway:
    """Logged in as a demo user by name, or as any user by e-mail address (password in ORDERHUB_PASSWORD).

    A token is used again while it lasts: logging in is slow on purpose, and limited.
    """
    api, who = running(place), credentials(place, user)
    kept = _kept_tokens(place, api.url)

    def logged_in() -> str:
        kept[who.email] = api.login(who).token
        home.write_private(place.tokens, {"gateway": api.url, "users": kept})
        return kept[who.email]

    if expires_at(kept.get(who.email, "")) < time.time() + SPARE_SECONDS:
        logged_in()
    return Gateway(api.url, kept[who.email], logged_in)


def _kept_tokens(place: home.Home, url: str) -> dict[str, str]:
    """Tokens name their issuer, so another port makes them worthless; so does a first start."""
    try:
        kept = json.loads(place.tokens.read_text())
    except (OSError, ValueError):
        return {}
    return dict(kept["users"]) if kept.get("gateway") == url else {}


def expires_at(token: str) -> float:
    """The `exp` of a JWT, unverified: only to know whether it is worth sending; 0 of no token."""
    if not token:
        return 0.0
    part = token.split(".")[1]
    return float(json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))["exp"])


def credentials(place: home.Home, user: str) -> Credentials:
    """Raises Refused, with the names there are, for one that is not known."""
    known = demo_users(place)
    for name, found in known.items():
        if user in (name, found.email) or slug(user) == slug(name):
            return found
    if "@" in user and os.environ.get(PASSWORD):
        return Credentials(user, os.environ[PASSWORD])
    if "@" in user:
        raise Refused(f"{user} is no demo user: put the password into {PASSWORD}", Exit.USAGE)
    raise Refused(f"there is no demo user {user!r}, but: {', '.join(map(slug, known)) or 'none'}", Exit.USAGE)


def second_factor(who: Credentials) -> str:
    """Raises Refused where there is no code."""
    if code := os.environ.get(MFA_CODE):
        return code
    words = f"{who.email} has a second factor: put a code of the app, or a recovery code, into {MFA_CODE}"
    raise Refused(words, Exit.USAGE)


def demo_users(place: home.Home) -> dict[str, Credentials]:
    """Name → credentials, from demo.json; vendors by their names."""
    try:
        users = json.loads(place.demo.read_text())["users"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError) as error:
        raise Refused(f"{place.demo} cannot be read: {error}") from error
    named = {
        **{name: entry for name, entry in users.items() if name != "vendors"},
        **users.get("vendors", {}),
    }
    return {name: Credentials(entry["email"], entry["password"]) for name, entry in named.items()}


def slug(name: str) -> str:
    """`Blue Lagoon Aquatics` → `blue-lagoon-aquatics`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def quoted(value: str) -> str:
    return quote(value, safe="")
