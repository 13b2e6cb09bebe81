"""Below ASGI: what is no HTTP that the parser takes comes to the app as a request, to be answered as every other.

uvicorn would answer by itself, in plain text and before the requests that came first, and has no limits for a head.
An answer goes out in one write, and a connection's keep-alive timer is not made anew for each request: together
a twentieth of what a POST costs.
"""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from httptools import HttpParserInvalidMethodError, parse_url
from uvicorn.protocols.http.httptools_impl import (
    HEADER_VALUE_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from orderhub_chassis.errors import HttpFailure

LINGER_SECONDS: Final = 2.0
READ_SECONDS: Final = 20.0
"""How long an answer waits for the client to read the ones before it."""
SEPARATORS: Final = 4
"""Bytes of a header line beside name and value: colon, space, CR, LF."""
REQUEST_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ \S+ HTTP/1\.[01]\r?\n")


class NoHttp(HttpFailure):
    code = "request.malformed"

    def __init__(self) -> None:
        super().__init__("this is no HTTP request that can be read")


class MethodUnknown(HttpFailure):
    status, code = 405, "request.method_not_allowed"

    def __init__(self) -> None:
        super().__init__("no address here takes this method")


class TargetTooLong(HttpFailure):
    status, code = 414, "request.target_too_long"

    def __init__(self) -> None:
        super().__init__("the address with its query is longer than is taken here")


class HeadersTooLarge(HttpFailure):
    status, code = 431, "request.headers_too_large"

    def __init__(self) -> None:
        super().__init__("the headers are larger than is taken here")


class HeadTooSlow(HttpFailure):
    status, code = 408, "request.too_slow"

    def __init__(self) -> None:
        super().__init__("the request's head did not arrive in time")


@dataclass(frozen=True, slots=True)
class Limits:
    """In bytes: the target of a request, and all lines of its headers together. In seconds: what a client may take
    from its first byte, or from connecting, to the end of a head; and for what is left of a body after its answer."""

    target: int = 8192
    headers: int = 32 * 1024
    head_seconds: float = 10.0


def refusal(scope: Any) -> HttpFailure | None:
    """What had to be refused of this request; for a body that may become known while it is read."""
    found: HttpFailure | None = scope.get("refused")
    return found


class Protocol(HttpToolsProtocol):
    """One connection. A refusal is `scope["refused"]`, and the last thing on its connection."""

    def __init__(self, *args: Any, limits: Limits, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._in_head = self._in_body = self._ended = False
        self._headers_size = 0
        self._unfinished = 0
        """Bytes since the parser last had something whole: a head's begin, a piece of a body."""
        self._latest = b""
        self._failure: HttpFailure | None = None
        self._idle_since: float | None = None
        self._owes_since: float | None = None
        """Since when the client owes bytes for which nothing else sets a time: a body that is read has its request's."""
        self._owing_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._owes_since = self.loop.time()
        self._look_at_debt_in(self._limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._latest = data
        self._unfinished += len(data)
        super().data_received(data)
        self._latest = b""
        if self._owes_since is not None and self._owing_timer is None:
            self._look_at_debt_in(self._limits.head_seconds)
        if self._unfinished > self._limits.target + self._limits.headers and not self._ended:
            self._refuse(HeadersTooLarge())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._in_body = True, False
        self._headers_size = self._unfinished = 0
        self._idle_since, self._owes_since = None, self.loop.time()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.target:
            self._stop(TargetTooLong())

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers_size += len(name) + len(value) + SEPARATORS
        if self._headers_size > self._limits.headers:
            self._stop(HeadersTooLarge())
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._begin(self.parser.get_method().decode("ascii"), self.url)
        self._in_head, self._in_body, self._owes_since = False, True, None

    def _begin(self, method: str, target: bytes) -> None:
        """As uvicorn's, for a cycle of ours; the gateway has no root path and no websockets."""
        url, version = parse_url(target), self.parser.get_http_version()
        path = url.path.decode("ascii")
        scope: Any = self.scope
        scope["method"], scope["http_version"] = method, version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"], scope["query_string"] = url.path, url.query or b""
        before: RequestResponseCycle | None = self.cycle
        self.cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._owes_since = False, None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._in_body and self._owes_since is None:
            # Answered before all of it came, as a refusal is: the rest is read, and thrown away, for so long.
            self._owes_since = self._idle_since
            self._look_at_debt_in(self._limits.head_seconds)
        if self.timeout_keep_alive_task is None:
            self._look_in(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_in(left)
        elif self.transport.get_write_buffer_size():
            # It has not read its answer in all that time; a close would wait for it.
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _look_at_debt_in(self, seconds: float) -> None:
        if self._owing_timer is None:
            self._owing_timer = self.loop.call_later(seconds, self._look_at_debt)

    def _look_at_debt(self) -> None:
        self._owing_timer = None
        if self._owes_since is None or self._ended or self.transport.is_closing():
            return
        left = self._owes_since + self._limits.head_seconds - self.loop.time()
        if left > 0:
            self._look_at_debt_in(left)
        elif self._in_head:
            self._refuse(HeadTooSlow())
        else:
            self.transport.close()

    def _look_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        """uvicorn calls this for whatever comes in, an empty line too. The timer stays, and looks for itself when it
        is due; only the begin of a request ends the idleness."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._owing_timer is not None:
            self._owing_timer.cancel()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this while it handles the parser's error."""
        self._refuse(self._failure or self._refusal(sys.exception()))

    def _refusal(self, error: BaseException | None) -> HttpFailure:
        known = not isinstance(error, HttpParserInvalidMethodError)
        return NoHttp() if known or not REQUEST_LINE.match(self._latest) else MethodUnknown()

    def _stop(self, failure: HttpFailure) -> None:
        """Out of a callback of the parser, which then calls `send_400_response`."""
        self._failure = failure
        raise failure

    def _refuse(self, failure: HttpFailure) -> None:
        self._ended = True
        if not self._in_body:
            self._begin_refused()
        scope: Any = self.cycle.scope
        scope["refused"] = failure
        self.cycle.keep_alive = False
        lingering: Any = _Lingering(self.transport, self.loop)
        self.cycle.transport = lingering
        if self.cycle.response_complete:
            lingering.close()
        self.cycle.message_event.set()

    def _begin_refused(self) -> None:
        """A request of what is known of it: queued behind the ones before, as every other."""
        if not self._in_head:
            self.on_message_begin()
        self._begin(self.parser.get_method().decode() if self.url else "", b"/")


class Cycle(RequestResponseCycle):
    """One request. The answer's head waits for its body, so that both travel in one write."""

    _start: Any = None

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        body = message.get("body", b"")
        if start and not message.get("more_body") and self._is_whole(start["headers"], body):
            await self._send_whole(start, body)
            return
        if start:
            await super().send(start)
        await super().send(message)

    def _is_whole(self, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """The length that is announced is the body's. uvicorn knows what to do with others: a HEAD's, or a mistake."""
        if self.scope["method"] == "HEAD":
            return False
        return any(name == b"content-length" and value == b"%d" % len(body) for name, value in headers)

    async def _send_whole(self, start: Any, body: bytes) -> None:
        if self.flow.write_paused:
            await self._until_read()
        if self.disconnected or self.transport.is_closing():
            return
        answer = self._head(start["status"], start["headers"]) + body
        self.response_started, self.waiting_for_100_continue = True, False
        self.transport.write(answer)
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    async def _until_read(self) -> None:
        """The answers before this one are still in our memory: who does not read them loses the connection."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                await self.flow.drain()
        except TimeoutError:
            self.transport.abort()

    async def send_500_response(self) -> None:
        """uvicorn's says that the connection ends with it, which is read from the headers there and known here."""
        self.keep_alive, body = False, b"Internal Server Error"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        if HEADER_VALUE_RE.search(b"".join([value for _, value in headers])):
            raise RuntimeError("a header's value has a control character")
        lines = [b"%b: %b\r\n" % header for header in (*self.default_headers, *headers)]
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        return b"%b%b\r\n" % (STATUS_LINE[status], b"".join(lines))


class _Lingering:
    """A transport whose close lets the client finish: bytes left unread would turn the close into a reset, and the
    answer would be lost with it (RFC 9112, section 9.6)."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        if not self._transport.is_closing():
            self._transport.write_eof()
            self._loop.call_later(LINGER_SECONDS, self._transport.close)
