"""A browser as small as the pages need: cookies and forms. It follows no redirect that it was not told to follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

REDIRECTS: Final = frozenset({302, 303, 307, 308})
PLAIN: Final[dict[str, Any]] = {"trust_env": False, "verify": False, "timeout": 20}
"""Of clients that talk to this machine over http alone: reading the certificates of the world takes 20 ms each time."""
BUTTONS: Final = frozenset({"submit", "button", "reset", "image"})

KINDS: Final = {
    "/login": "login",
    "/consent": "consent",
    "/logout/confirm": "logout",
    "/device/verify": "device",
}
"""What a form asks, by where it goes."""


@dataclass
class Form:
    """What would be sent if the person changed nothing; `buttons` are (name, value) of those that send it."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    """Forms, the text of alerts, and headings."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.alert = ""
        self._alerts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._alerts or given.get("role") == "alert":
            self._alerts.append(tag)
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").upper()))
        elif tag in ("input", "button") and self.forms:
            self._control(tag, given)

    def _control(self, tag: str, given: dict[str, str]) -> None:
        form, name = self.forms[-1], given.get("name", "")
        kind = given.get("type", "submit" if tag == "button" else "text").lower()
        if kind in BUTTONS:
            form.buttons.append((name, given.get("value", "")))
        elif name and (kind not in ("checkbox", "radio") or "checked" in given):
            form.fields[name] = given.get("value", "")
            form.inputs[name] = kind

    def handle_endtag(self, tag: str) -> None:
        if tag in self._alerts:
            del self._alerts[self._alerts.index(tag) :]

    def handle_data(self, data: str) -> None:
        if self._alerts:
            self.alert += data


class Page:
    """One answer, as a browser has it."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.url = str(response.url)
        self.headers = response.headers
        self.text = response.text
        self._read = _Reader()
        if "html" in self.headers.get("content-type", ""):
            self._read.feed(self.text)

    def __repr__(self) -> str:
        return f"<{self.status} {self.url} {self.kind} {self.text[:300]!r}>"

    @property
    def redirect(self) -> str | None:
        """Where it sends the browser."""
        if self.status not in REDIRECTS:
            return None
        return urljoin(self.url, self.headers["location"])

    @property
    def forms(self) -> list[Form]:
        return self._read.forms

    @property
    def alert(self) -> str:
        """What it tells as an error."""
        return self._read.alert.strip()

    @property
    def kind(self) -> str:
        """What it asks of the person: login, consent, logout, device; or nothing."""
        for form in self.forms:
            path = urlsplit(urljoin(self.url, form.action)).path
            for end, kind in KINDS.items():
                if path.endswith(end):
                    return kind
        return "nothing"

    def asks(self, kind: str) -> Form:
        assert self.kind == kind, f"expected a page that asks for {kind}: {self!r}"
        return self.forms[0]


class Browser:
    """`shown` are the kinds of the pages that a person got to see."""

    def __init__(self) -> None:
        self._http = httpx.Client(follow_redirects=False, **PLAIN)
        self.shown: list[str] = []

    def close(self) -> None:
        self._http.close()

    def get(self, url: str) -> Page:
        return self._seen(self._http.get(url, headers={"accept": "text/html,*/*;q=0.8"}))

    def post(self, url: str, fields: dict[str, str]) -> Page:
        return self._seen(self._http.post(url, data=fields, headers={"accept": "text/html,*/*;q=0.8"}))

    def submit(self, page: Page, form: Form, **filled: str) -> Page:
        url = urljoin(page.url, form.action)
        return self.post(url, {**form.fields, **filled})

    def cookies(self) -> dict[str, Any]:
        return dict(self._http.cookies)

    def forget(self) -> None:
        """As a person who clears the cookies."""
        self._http.cookies.clear()

    def _seen(self, response: httpx.Response) -> Page:
        page = Page(response)
        if page.redirect is None:
            self.shown.append(page.kind)
        return page


def query(url: str) -> dict[str, str]:
    """The parameters of a URL. Raises AssertionError for one that stands there twice."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs), f"a parameter stands twice: {url}"
    return dict(pairs)
