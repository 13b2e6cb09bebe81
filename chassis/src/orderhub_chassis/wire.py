"""Below ASGI: what is no HTTP that the parser takes comes to the app as a request, to be answered as every other.

uvicorn would answer by itself, in plain text and before the requests that came first, and has no limits for a head.
"""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import dataclass
from typing import Any, Final

from httptools import HttpParserInvalidMethodError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from orderhub_chassis.errors import HttpFailure

LINGER_SECONDS: Final = 2.0
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


@dataclass(frozen=True, slots=True)
class Limits:
    """In bytes: the target of a request, and all lines of its headers together."""

    target: int = 8192
    headers: int = 32 * 1024


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

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._latest = data
        self._unfinished += len(data)
        super().data_received(data)
        self._latest = b""
        if self._unfinished > self._limits.target + self._limits.headers and not self._ended:
            self._refuse(HeadersTooLarge())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._in_body = True, False
        self._headers_size = self._unfinished = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.target:
            self._stop(TargetTooLong())

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers_size += len(name) + len(value) + SEPARATORS
        if self._headers_size > self._limits.headers:
            self._stop(HeadersTooLarge())
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head, self._in_body = False, True

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

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
        method = self.parser.get_method().decode() if self.url else ""
        self.url = b"/"
        super().on_headers_complete()
        self.scope["method"] = method


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
