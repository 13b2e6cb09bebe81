"""Where a browser goes next: to its client, or to a page of ours."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from orderhub_auth.model import Client


@dataclass(frozen=True, slots=True)
class Browser:
    """Its cookie, "" where it has none, and where it is."""

    cookie: str
    client: Client


@dataclass(frozen=True, slots=True)
class Page:
    """`kind` is login, second_factor, consent, logout, device, done or error; `notice` a code that the page has words for."""

    kind: str
    interaction: str = ""
    client_name: str = ""
    scopes: tuple[str, ...] = ()
    notice: str = ""
    detail: str = ""
    email: str = ""
    user_code: str = ""
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class Redirect:
    """With its query in the URI, or with fields that the browser posts (OAuth 2.0 Form Post Response Mode)."""

    uri: str
    fields: tuple[tuple[str, str], ...] = ()
    post: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """`cookie` is the browser's new one; "" leaves the old."""

    next: Page | Redirect
    cookie: str = ""


def back_to(uri: str, fields: dict[str, str], *, post: bool = False) -> Turn:
    """Fields without a value are left out."""
    given = tuple((name, value) for name, value in fields.items() if value)
    if post:
        return Turn(Redirect(uri, given, post=True))
    if not given:
        return Turn(Redirect(uri))
    return Turn(Redirect(f"{uri}{'&' if '?' in uri else '?'}{urlencode(given, quote_via=quote)}"))
