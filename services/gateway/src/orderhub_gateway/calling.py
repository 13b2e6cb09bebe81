"""What every route needs: its context, its peers, keys and fingerprints, preconditions, preferences."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from litestar.connection import Request
from orderhub_chassis.calls import Call
from orderhub_chassis.clock import Clock
from orderhub_chassis.cursors import Cursors
from orderhub_contracts.common.v1 import common_pb2

from orderhub_gateway.clients import Peers, Service
from orderhub_gateway.edge import Context
from orderhub_gateway.errors import IfMatchMalformed, KeyRequired
from orderhub_gateway.limits import Limiter, Policy
from orderhub_gateway.maintenance import Maintenance
from orderhub_gateway.published import Published
from orderhub_gateway.readiness import GatedReadiness
from orderhub_gateway.responses import Headers
from orderhub_gateway.schemas.common import Input, Page
from orderhub_gateway.settings import Settings
from orderhub_gateway.turns import Turns
from orderhub_gateway.verifier import Verifier
from orderhub_gateway.waits import Waits

HttpRequest = Request[Any, Any, Any]
T = TypeVar("T")
CANONICAL: Final = msgspec.json.Encoder(order="deterministic")
ETAG: Final = re.compile(r'"([0-9]{1,18})"')
PREFER_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=$|[,;])", re.IGNORECASE)
LONGEST_WAIT: Final = 30
NO_VERSION: Final = 2**62
REPLAYED: Final = (b"idempotency-replayed", b"true")


class Parts:
    """What the routes stand on; one per gateway, in Litestar's state."""

    def __init__(
        self,
        settings: Settings,
        peers: Peers,
        limiter: Limiter,
        maintenance: Maintenance,
        readiness: GatedReadiness,
        access: Verifier,
        published: Published,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.peers = peers
        self.limiter = limiter
        self.maintenance = maintenance
        self.clock = clock
        self.readiness = readiness
        self.access = access
        self.published = published
        self.waits = Waits()
        readiness.when_draining(self.waits.end)
        self.cursors = Cursors(settings.cursor_key.get_secret_value().encode())
        rate, burst = settings.login_rate_per_account, settings.login_burst_per_account
        self.passwords = Turns(settings.passwords_at_once or os.cpu_count() or 1, settings.passwords_waiting)
        self.login_policy = Policy("login", rate, burst, essential=True)


def parts_of(request: HttpRequest) -> Parts:
    found: Parts = request.scope["litestar_app"].state.parts
    return found


def context_of(request: HttpRequest) -> Context:
    found: Context = request.scope["orderhub"]  # type: ignore[typeddict-item]
    return found


def peers_of(request: HttpRequest) -> Peers:
    return parts_of(request).peers


def fingerprint(request: HttpRequest, body: Input | bytes | None) -> bytes:
    """What makes two requests with one Idempotency-Key the same: method, path and the body's meaning."""
    canonical = body if isinstance(body, bytes) else CANONICAL.encode(body)
    scope = request.scope
    return hashlib.sha256(f"{scope['method']} {scope['path']}\n".encode() + canonical).digest()


def keyed(request: HttpRequest, body: Input | bytes | None, *, required: bool = False) -> Call:
    """The call with its Idempotency-Key's fingerprint. Raises KeyRequired."""
    call = context_of(request).call
    if not call.idempotency_key:
        if required:
            raise KeyRequired
        return call
    return Call(
        call.caller,
        call.request_id,
        call.traceparent,
        call.idempotency_key,
        fingerprint(request, body),
        call.if_match,
        call.deadline,
    )


async def change(
    request: HttpRequest,
    service: Service,
    method: Any,
    message: Any,
    body: Input | bytes | None = None,
    *,
    required: bool = False,
) -> tuple[Any, Headers]:
    """A changing call; the headers say so where the answer is a repeated one."""
    received: dict[str, Any] = {}
    call = keyed(request, body, required=required)
    answer = await service(method, message, call=call, received=received)
    return answer, [REPLAYED] if received.get("x-idempotency-replayed") == "true" else []


def etag(version: int) -> tuple[bytes, bytes]:
    return b"etag", b'"%d"' % version


def if_version(request: HttpRequest) -> int | None:
    """The version that If-Match names, 0 for `*`, None without the header; a foreign ETag matches nothing."""
    given = context_of(request).call.if_match.strip()
    if not given:
        return None
    if given == "*":
        return 0
    if not re.fullmatch(r'(W/)?"[!#-~]*"', given):
        raise IfMatchMalformed
    own = ETAG.fullmatch(given)
    return int(own[1]) if own and int(own[1]) > 0 else NO_VERSION


def preferred_wait(request: HttpRequest) -> int:
    """Seconds of `Prefer: wait=N` (RFC 7240), 30 at most; 0 without. A malformed preference is ignored."""
    found = PREFER_WAIT.search(context_of(request).prefer)
    return min(int(found[1]), LONGEST_WAIT) if found else 0


def page_request(limit: int, cursor: str | None) -> common_pb2.PageRequest:
    return common_pb2.PageRequest(limit=limit, cursor=cursor or "")


def page(message: Any, convert: Callable[[Any], T]) -> Page[T]:
    return Page(items=[convert(item) for item in message.items], next_cursor=message.next_cursor or None)


def id_text(id: UUID | None) -> str:
    return str(id) if id else ""
