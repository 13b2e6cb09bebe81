"""Asking an issuer for its public keys over HTTP: OpenID Connect Discovery 1.0, then the JWKS (RFC 7517)."""

from __future__ import annotations

from typing import Any, Final

import aiohttp
import msgspec
from orderhub_chassis import outages

from orderhub_gateway.errors import IssuerAway
from orderhub_gateway.issuers import Issuer, is_private_channel

WELL_KNOWN: Final = "/.well-known/openid-configuration"
LARGEST_ANSWER: Final = 256 * 1024
"""Bytes. A JWKS with ten certificate chains has about 40 KiB."""
LONGEST_WAIT: Final = 5.0
"""Seconds for one answer, with its body."""
CHUNK: Final = 16 * 1024
SHOWN: Final = 200
"""Characters of what an issuer calls itself that are repeated."""
RIGHT_URL: Final = "issuer has to be the URL of its realm, and jwks_url that of its JWKS"
RIGHT_WAY: Final = "look at issuer or jwks_url, and at name, firewall and certificate on the way there"
HEADERS: Final = {"accept": "application/json, application/jwk-set+json", "accept-encoding": "identity"}


class Metadata(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str


def session() -> aiohttp.ClientSession:
    """Nothing is kept between questions, nothing is unpacked, and no proxy of the environment is asked."""
    limits = aiohttp.ClientTimeout(total=LONGEST_WAIT)
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(headers=HEADERS, timeout=limits, cookie_jar=jar, auto_decompress=False)


class Fetch:
    """`await fetch()`: the text of the issuer's JWKS. Where it is, is asked anew each time: keys may move."""

    def __init__(self, http: aiohttp.ClientSession, issuer: Issuer) -> None:
        self._http = http
        self._issuer = issuer

    async def __call__(self) -> bytes:
        """Raises IssuerAway with the reason, which names no host: it is shown on /readyz."""
        return await self._get(self._issuer.jwks_url or await self._discover())

    async def _discover(self) -> str:
        text = await self._get(self._issuer.issuer.rstrip("/") + WELL_KNOWN)
        try:
            found = msgspec.json.decode(text, type=Metadata)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise IssuerAway("its discovery document cannot be read", RIGHT_URL) from None
        # Discovery 1.0, section 4.3: or one issuer could answer for another.
        if found.issuer != self._issuer.issuer:
            raise IssuerAway(
                "its discovery document is that of another issuer",
                f"it calls itself {found.issuer[:SHOWN]!r}: write issuer letter by letter as its tokens have it",
            )
        if not _may_follow(self._issuer.issuer, found.jwks_uri):
            raise IssuerAway(
                "its discovery document gives a jwks_uri that is not https",
                "let it be https, or set jwks_url",
            )
        return found.jwks_uri

    async def _get(self, url: str) -> bytes:
        try:
            async with self._http.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise IssuerAway(f"it answered {answer.status}", _mend_of(answer.status))
                return await _body(answer)
        except TimeoutError:
            raise IssuerAway(f"it did not answer within {LONGEST_WAIT:g} s", RIGHT_WAY) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise IssuerAway(f"it cannot be reached ({_reason(error)})", RIGHT_WAY) from None


def _reason(error: Exception) -> str:
    """Without the words of the error itself, which name the host."""
    kind = outages.explain(error).kind
    return type(error).__name__ if kind is outages.Kind.OTHER else kind.replace("_", " ")


def _mend_of(status: int) -> str:
    if status >= 500:
        return "look into its log"
    return "redirects are not followed: name the place itself" if 300 <= status < 400 else RIGHT_URL


def _may_follow(issuer: str, url: str) -> bool:
    """A document from elsewhere must not make us ask this machine for keys."""
    return url.startswith("https://") or (not issuer.startswith("https://") and is_private_channel(url))


async def _body(answer: Any) -> bytes:
    found = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        found += chunk
        if len(found) > LARGEST_ANSWER:
            raise IssuerAway(f"its answer is larger than {LARGEST_ANSWER // 1024} KiB", RIGHT_URL)
    return bytes(found)
