"""What the authorization and the logout endpoint send back (Core, sections 3.1.2.5 and 3.1.2.6; RFC 6749; RFC 9207)."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final
from urllib.parse import urlsplit

from oidcc.browser import Page

INTERACTION_ERRORS: Final = frozenset(
    {"interaction_required", "login_required", "account_selection_required", "consent_required"}
)
ERROR: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")
"""The letters of `error` and `error_description` (RFC 6749, section 4.1.2.1)."""
KNOWN: Final = frozenset({"code", "state", "iss", "session_state"})
KNOWN_IN_ERRORS: Final = frozenset({"error", "error_description", "error_uri", "state", "iss"})
LEAST_ENTROPY: Final = 96
"""Bits. 128 are asked for (RFC 6749, section 10.10); measured by the letters of one value, some are missed."""


def is_at(target: str, redirect_uri: str) -> None:
    """The registered address and no other, with what was added in the query alone."""
    parts, asked = urlsplit(target), urlsplit(redirect_uri)
    assert (parts.scheme, parts.netloc, parts.path) == (asked.scheme, asked.netloc, asked.path), target
    assert not parts.fragment, target
    assert parts.query.startswith(asked.query), target


def issuer_is_named(params: dict[str, str], issuer: str) -> None:
    """RFC 9207, section 2."""
    assert params.get("iss") == issuer, params


def state_is_returned(params: dict[str, str], state: str) -> None:
    assert params.get("state") == state, params


def is_no_error(params: dict[str, str]) -> None:
    assert "error" not in params, params


def has_a_code(params: dict[str, str]) -> None:
    assert params.get("code"), params


def holds_nothing_unknown(params: dict[str, str], known: frozenset[str]) -> None:
    assert set(params) <= known, sorted(set(params) - known)


def code_cannot_be_guessed(params: dict[str, str]) -> None:
    """RFC 6749, section 10.10."""
    is_random(params["code"])


def is_random(secret: str) -> None:
    assert len(secret) >= 22, f"{len(secret)} letters are less than 128 bits"
    assert entropy(secret) >= LEAST_ENTROPY, f"{entropy(secret):.0f} bits"


def entropy(text: str) -> float:
    """Shannon's, over the letters of this text."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -len(text) * sum(share * math.log2(share) for share in shares)


def is_error(params: dict[str, str], *allowed: str) -> None:
    """One of these, readable, without a code (Core, section 3.1.2.6)."""
    assert params.get("error") in allowed, params
    assert "code" not in params, params
    holds_nothing_unknown(params, KNOWN_IN_ERRORS)
    for name in ("error", "error_description"):
        assert ERROR.fullmatch(params.get(name, " ")), params[name]
    if "error_uri" in params:
        assert urlsplit(params["error_uri"]).scheme, params


def is_error_page(page: Page, *, status: int = 400) -> None:
    """Told to the person, and to nobody else."""
    assert page.redirect is None, page
    assert page.status == status, page
    assert "html" in page.headers.get("content-type", ""), page
    assert page.kind == "nothing", page
    assert page.alert, page


def says_logged_out(page: Page) -> None:
    assert page.redirect is None, page
    assert page.status == 200, page
    assert page.kind == "nothing", page
    assert not page.alert, page
    assert re.search(r"logged out|signed out", page.text, re.IGNORECASE), page


def was_shown(shown: list[str], *kinds: str) -> None:
    """These pages, in this order, and no others."""
    assert shown == list(kinds), f"the person was shown {shown}, not {list(kinds)}"
