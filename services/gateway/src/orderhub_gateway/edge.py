"""The outermost layer, around Litestar: what every request goes through, in this order.

request id and trace, CORS, the request line, who calls, rate limit, time limit; then the headers of the answer,
HEAD, metrics. Plain ASGI in one place, since it runs for every request (14 µs) and its order matters.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec
from orderhub_chassis import metrics as chassis_metrics
from orderhub_chassis.calls import ANONYMOUS, Call, Caller, current_call
from orderhub_chassis.errors import Failure
from orderhub_chassis.health import Readiness
from orderhub_chassis.ids import uuid7
from orderhub_chassis.telemetry import child_of, current_traceparent, log

from orderhub_gateway import problems
from orderhub_gateway.api_keys import BEARER as API_KEY
from orderhub_gateway.api_keys import ApiKeys
from orderhub_gateway.deadlines import Deadline
from orderhub_gateway.errors import (
    IfMatchMalformed,
    KeyMalformed,
    LimitReached,
    Stopping,
    TimedOut,
    TokenRefused,
    TooSlow,
)
from orderhub_gateway.limits import Limiter, Policy
from orderhub_gateway.maintenance import Maintenance
from orderhub_gateway.reading import (
    bearer,
    check_accept,
    check_encoding,
    check_once,
    check_query,
    client_address,
)
from orderhub_gateway.responses import NO_STORE, Headers, Raw
from orderhub_gateway.settings import Settings
from orderhub_gateway.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

API: Final = "/api/"
AUTH: Final = "/api/v1/auth/"
PROVIDER: Final = ("/oauth2/", "/.well-known/")
PROVIDER_LOGIN: Final = "/oauth2/login"
PAYMENTS: Final = "/api/v1/payments"
WEBHOOK: Final = f"{PAYMENTS}/webhooks/stripe"
"""Signed by the provider, so that no token is looked at, and counted by itself: it comes in bursts."""
TOKENLESS: Final = frozenset(
    AUTH + name
    for name in (
        "login", "register", "refresh", "logout", "password/reset/request", "password/reset/confirm",
        "email/verify/confirm", "mfa/verify",
    )
)  # fmt: skip
"""Routes that never look at a token: an expired one must not keep anybody from logging in."""
READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
KNOWN_METHODS: Final = READS | {"POST", "PUT", "PATCH", "DELETE"}
REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
IDEMPOTENCY_KEY: Final = re.compile(r"[!-~]{1,255}")
IF_MATCH: Final = re.compile(r"[ -~]*")
"""What gRPC takes as metadata; whether it is an ETag matters to the routes that look at it."""
TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
EXPOSED: Final = (
    b"ETag, Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotency-Replayed,"
    b" Preference-Applied, Deprecation, Sunset, Link"
)
ALWAYS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
"""On every answer. Scripts of the origins that CORS lets in are not kept out by the last one: it is for `no-cors`."""
HTTPS_ONLY: Final = (b"strict-transport-security", b"max-age=31536000")
"""RFC 6797, for this host alone: what its siblings speak is not ours to say."""
NO_PAGE: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""For what is no page: taken for one, it may load nothing, and stands in nobody's frame."""
PRIVATE: Final = (b"authorization", b"x-api-key", b"cookie")
"""With one of these an answer is for whoever asked, and nobody's cache keeps it, unless its route says otherwise."""
SLOW_SECONDS: Final = 2.0
PREFLIGHT: Final = Raw(
    204,
    b"",
    [
        (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
        (
            b"access-control-allow-headers",
            b"Authorization, Content-Type, Idempotency-Key, If-Match, Prefer, X-Request-Id, Traceparent",
        ),
        (b"access-control-max-age", b"600"),
    ],
)


class Context(msgspec.Struct):
    """One request, as the routes see it: `scope["orderhub"]`. `headers` go out with whatever answers it."""

    call: Call
    address: str
    content_type: bytes
    content_length: int
    prefer: str
    headers: Headers
    private: bool = False
    status: int = 500
    started: bool = False
    body_complete: bool = False


class Edge:
    """The ASGI app that uvicorn serves."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        verifier: Verifier,
        keys: ApiKeys,
        limiter: Limiter,
        maintenance: Maintenance,
        readiness: Readiness,
    ) -> None:
        self._app = app
        self._maintenance = maintenance
        self._always = [*ALWAYS, HTTPS_ONLY] if settings.public_url.startswith("https://") else ALWAYS
        self._verifier = verifier
        self._keys = keys
        self._limiter = limiter
        self._readiness = readiness
        self._origins = frozenset(origin.encode() for origin in settings.cors_origins)
        self._proxies = settings.trusted_proxies
        self._seconds = settings.request_limit.total_seconds()
        self._deadline = Deadline(self._seconds)
        rate, burst = settings.rate_per_principal, settings.burst_per_principal
        self._per_principal = Policy("principal", rate, burst)
        self._payments = Policy("payments", rate, burst, essential=True)
        self._per_address = Policy("address", settings.rate_per_address, settings.burst_per_address)
        auth_rate, auth_burst = settings.auth_rate_per_address, settings.auth_burst_per_address
        self._auth = Policy("auth", auth_rate, auth_burst, essential=True)
        hook_rate, hook_burst = settings.webhook_rate_per_address, settings.webhook_burst_per_address
        self._webhooks = Policy("webhooks", hook_rate, hook_burst)
        self._observers: dict[tuple[str, str, int], Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun, method = time.perf_counter(), scope["method"]
        headers = dict(scope["headers"])
        address = client_address(scope, headers, self._proxies)
        context = scope["orderhub"] = _context(headers, address, time.monotonic() + self._seconds)
        context.headers += self._always
        if self._readiness.draining:  # who keeps connections opens the next one at another replica
            context.headers.append((b"connection", b"close"))
        self._cross_origin(headers, context)
        receiving = _receiving(scope, context, receive)
        if method == "HEAD":
            # In a copy: uvicorn has to go on knowing that a body of the announced length will not come.
            scope = {**scope, "method": "GET"}
        answering = _answering(context, send, bare=method == "HEAD")
        await self._serve(scope, headers, context, receiving, answering)
        self._observe(scope, method, context, time.perf_counter() - begun)

    async def _serve(
        self, scope: Scope, headers: dict[bytes, bytes], context: Context, receive: Receive, send: Send
    ) -> None:
        try:
            with self._deadline:
                _check_readable(scope)
                if len(headers) != len(scope["headers"]):
                    check_once(scope["headers"])
                if self._is_preflight(scope, headers):
                    await PREFLIGHT.send_over(scope, receive, send)
                else:
                    await self._admit(scope, headers, context)
                    await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # Nobody cancels a request but the server, for what is still open when its time to stop is over.
            if context.started:
                raise
            await problems.answer(Stopping()).send_over(scope, receive, send)
        except TimeoutError:
            failure = _given_up(context)
            if isinstance(failure, TooSlow):  # RFC 9110, section 15.5.9
                context.headers.append((b"connection", b"close"))
            await problems.answer(failure).send_over(scope, receive, send)
        except Failure as failure:
            await problems.answer(failure).send_over(scope, receive, send)

    async def _admit(self, scope: Scope, headers: dict[bytes, bytes], context: Context) -> None:
        """Raises a Failure for whoever does not come in."""
        path = scope["path"]
        if path.startswith(PROVIDER):
            # What stands twice is told to the client or on a page, as OAuth has it.
            check_encoding(scope["query_string"])
        else:
            check_query(scope["query_string"])
        if not path.startswith(API):
            await self._admit_elsewhere(path, context)
            return
        check_accept(headers.get(b"accept", b"*/*"))
        key = context.call.idempotency_key
        if key and not IDEMPOTENCY_KEY.fullmatch(key):
            raise KeyMalformed
        if not IF_MATCH.fullmatch(context.call.if_match):
            raise IfMatchMalformed
        caller = await self._caller(path, headers, context)
        if caller is not ANONYMOUS:
            if caller.session_id:
                self._verifier.revocations.check_route(scope["method"], path, caller)
            money = path.startswith(PAYMENTS) and scope["method"] not in READS
            await self._limit(self._payments if money else self._per_principal, caller.user_id, context)
            context.call = _called_by(caller, context.call)
        if self._maintenance.state.enabled:
            self._maintenance.check(scope["method"], path, caller)
        current_call.set(context.call)

    async def _admit_elsewhere(self, path: str, context: Context) -> None:
        """The provider is open to everybody, and everybody is counted; probes and documents are not."""
        if path.startswith(PROVIDER):
            policy = self._auth if path == PROVIDER_LOGIN else self._per_address
            await self._limit(policy, context.address, context)
            current_call.set(context.call)

    async def _caller(self, path: str, headers: dict[bytes, bytes], context: Context) -> Caller:
        """Who calls. Where there is no principal, or none that is real, the address is counted."""
        if path in TOKENLESS:
            await self._limit(self._auth, context.address, context)
            return ANONYMOUS
        if path == WEBHOOK:
            await self._limit(self._webhooks, context.address, context)
            return ANONYMOUS
        authorization, key = headers.get(b"authorization"), headers.get(b"x-api-key")
        if authorization is None and key is None:
            await self._limit(self._per_address, context.address, context)
            return ANONYMOUS
        try:
            return await self._verified(authorization, key)
        except Failure:
            await self._limit(self._per_address, context.address, context)
            raise

    async def _verified(self, authorization: bytes | None, key: bytes | None) -> Caller:
        if authorization is None:
            return await self._keys.caller(key or b"")
        if key is not None:
            raise TokenRefused("give one of Authorization and X-Api-Key, not both")
        token = bearer(authorization)
        if token.startswith(API_KEY):
            return await self._keys.caller(token)
        return self._verifier.known(token) or await self._verifier.verify(token)

    async def _limit(self, policy: Policy, key: str, context: Context) -> None:
        verdict = await self._limiter.take(policy, key)
        context.headers.append((b"ratelimit-policy", policy.header))
        remaining = b'"%s";r=%d;t=%d' % (policy.name.encode(), verdict.remaining, verdict.reset)
        context.headers.append((b"ratelimit", remaining))
        if not verdict.allowed:
            raise LimitReached(verdict.retry_after)

    def _cross_origin(self, headers: dict[bytes, bytes], context: Context) -> None:
        """CORS by an allow list: a browser keeps the answer from the scripts of any other origin."""
        if not self._origins:
            return
        context.headers.append((b"vary", b"Origin"))
        if (origin := headers.get(b"origin", b"")) in self._origins:
            context.headers += [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", EXPOSED),
            ]

    def _is_preflight(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        return (
            scope["method"] == "OPTIONS"
            and b"access-control-request-method" in headers
            and headers.get(b"origin", b"") in self._origins
        )

    def _observe(self, scope: Scope, method: str, context: Context, seconds: float) -> None:
        labels = (scope.get("path_template") or "other", method, context.status)
        if labels not in self._observers:
            route, known, status = labels[0], method if method in KNOWN_METHODS else "other", str(labels[2])
            self._observers[labels] = chassis_metrics.HTTP_SERVER_SECONDS.labels(
                "gateway", route, known, status
            )
        self._observers[labels].observe(seconds)
        if context.status >= 500 or seconds > SLOW_SECONDS:
            log("gateway").warning(
                "http.request", route=labels[0], method=method, status=context.status,
                seconds=round(seconds, 3), request_id=context.call.request_id,
            )  # fmt: skip


def _context(headers: dict[bytes, bytes], address: str, deadline: float) -> Context:
    """Takes over the client's request id and trace, or begins new ones."""
    given = headers.get(b"x-request-id", b"")
    request_id = given if REQUEST_ID.fullmatch(given) else str(uuid7()).encode()
    parent = headers.get(b"traceparent", b"").decode("latin-1")
    traceparent = child_of(parent if TRACEPARENT.fullmatch(parent) else "")
    current_traceparent.set(traceparent)
    call = Call(
        request_id=request_id.decode(),
        traceparent=traceparent,
        idempotency_key=headers.get(b"idempotency-key", b"").decode("latin-1"),
        if_match=headers.get(b"if-match", b"").decode("latin-1"),
        deadline=deadline,
    )
    return Context(
        call,
        address,
        headers.get(b"content-type", b""),
        int(headers.get(b"content-length", b"0")),
        headers.get(b"prefer", b"").decode("latin-1"),
        [(b"x-request-id", request_id), (b"traceparent", traceparent.encode())],
        any(name in headers for name in PRIVATE),
    )


def _called_by(caller: Caller, call: Call) -> Call:
    return Call(
        caller, call.request_id, call.traceparent, call.idempotency_key, b"", call.if_match, call.deadline
    )


def _answering(context: Context, send: Send, *, bare: bool) -> Send:
    """Adds the headers that every answer has; `bare` keeps the body back (HEAD)."""

    async def answering(message: Message) -> None:
        if message["type"] == "http.response.start":
            context.started, context.status = True, message["status"]
            message["headers"] = [*message["headers"], *context.headers, *_unless_said(message, context)]
        elif bare:
            message = {**message, "body": b""}
        await send(message)

    return answering


def _unless_said(message: Message, context: Context) -> Headers:
    """What a route may say otherwise."""
    said = {name for name, _ in message["headers"]}
    headers = [] if NO_PAGE[0] in said else [NO_PAGE]
    if context.private and NO_STORE[0] not in said:
        headers.append(NO_STORE)
    return headers


def _check_readable(scope: Scope) -> None:
    """Raises what the wire had to refuse of this request; for a body that may become known while it is read."""
    if refused := scope.get("refused"):
        raise refused


def _receiving(scope: Scope, context: Context, receive: Receive) -> Receive:
    async def receiving() -> Message:
        message = await receive()
        _check_readable(scope)
        context.body_complete = not message.get("more_body", False)
        return message

    return receiving


def _given_up(context: Context) -> Failure:
    """Time is up: whose fault it is depends on whether the client had sent all of its request."""
    if context.started:
        raise TimeoutError("the answer had begun")
    return TimedOut() if context.body_complete else TooSlow()
