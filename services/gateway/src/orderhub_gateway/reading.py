"""What is read of a request before its body: its query, its headers, where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from orderhub_gateway.bodies import escaped
from orderhub_gateway.errors import BadRequest, HeaderDoubled, NotAcceptable, TokenRefused, bad_field

ACCEPTABLE: Final = frozenset({b"application/*", b"application/problem+json"})
ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"traceparent",
        b"x-api-key",
        b"x-request-id",
    }
)
"""Headers of which everybody on the way has to see the same one: a proxy may look at the first, and we at the last."""


def check_once(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises HeaderDoubled for a header that may stand in a request only once (RFC 9110, section 5.3)."""
    seen = set()
    for name, _ in headers:
        if name in seen and name in ONCE:
            raise HeaderDoubled(name.decode())
        seen.add(name)


def bearer(authorization: bytes) -> bytes:
    """The token of an Authorization header (RFC 6750, section 2.1). Raises TokenRefused."""
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token:
        raise TokenRefused("Authorization must be: Bearer <access token>")
    return token


def check_query(query: bytes) -> None:
    """Raises a Failure for a query that is no UTF-8, has a NUL in it, or names a parameter twice."""
    check_encoding(query)
    if b"&" in query:
        names = _names(query)
        if doubled := next((name for name in names if names.count(name) > 1), None):
            raise bad_field(f"/query/{escaped(doubled)}", "doubled", "stands twice in the query")


def check_known(query: bytes, known: frozenset[str]) -> None:
    """Raises a Failure for a parameter that the operation does not have; `check_query` has seen the query before."""
    for name in _names(query):
        if name not in known:
            raise bad_field(f"/query/{escaped(name)}", "unknown", "is no parameter of this operation")


def _names(query: bytes) -> list[str]:
    return [name for name, _ in parse_qsl(query.decode(), keep_blank_values=True)]


def check_encoding(query: bytes) -> None:
    """Raises a Failure for a query that is no UTF-8 or has a NUL in it."""
    if b"%" not in query and query.isascii():
        return
    try:
        text = unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        raise BadRequest("the query is not UTF-8", code="request.malformed_query") from None
    if "\0" in text:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        name = next((name for name, value in pairs if "\0" in name + value), "")
        raise bad_field(f"/query/{name}", "characters", "must not contain the NUL character")


def check_accept(accept: bytes) -> None:
    """Raises NotAcceptable where JSON is none of the media ranges (RFC 9110, section 12.5.1)."""
    if b"*/*" in accept or b"application/json" in accept or not accept.strip():
        return
    ranges = [part.partition(b";") for part in accept.lower().split(b",")]
    if not any(r.strip() in ACCEPTABLE and q.replace(b" ", b"")[:4] != b"q=0" for r, _, q in ranges):
        raise NotAcceptable


def client_address(
    scope: MutableMapping[str, Any], headers: dict[bytes, bytes], proxies: tuple[Any, ...]
) -> str:
    """The client's address; behind proxies of ours the last of X-Forwarded-For that is none of them."""
    client = scope.get("client")
    peer = str(client[0]) if client else "unknown"
    if not proxies:
        return peer
    hops = [*headers.get(b"x-forwarded-for", b"").decode("latin-1").split(","), peer]
    strangers = (hop.strip() for hop in reversed(hops) if not _is_proxy(hop.strip(), proxies))
    return next((hop for hop in strangers if hop), peer)


def _is_proxy(address: str, proxies: tuple[Any, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in proxies)
