"""Routes that are on their way out: since when, until when, and where to read about it. None is, at present."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from orderhub_gateway.responses import Headers


@dataclass(frozen=True, slots=True)
class Retirement:
    """`since`: no new client should use the route. `sunset`: it may be gone from then on. Both in UTC.

    The headers are those of RFC 9745 (Deprecation) and RFC 8594 (Sunset); `link` is a page for people.
    """

    since: datetime
    link: str
    sunset: datetime | None = None

    def __post_init__(self) -> None:
        if self.sunset and self.sunset < self.since:
            raise ValueError("a route cannot be gone before it is deprecated (RFC 9745, section 4)")

    @property
    def headers(self) -> Headers:
        return list(self._headers())

    def _headers(self) -> Iterator[tuple[bytes, bytes]]:
        yield b"deprecation", b"@%d" % self.since.timestamp()
        yield b"link", f'<{self.link}>; rel="deprecation"; type="text/html"'.encode()
        if self.sunset:
            yield b"sunset", format_datetime(self.sunset, usegmt=True).encode()
            yield b"link", f'<{self.link}>; rel="sunset"; type="text/html"'.encode()

    def is_over(self, now: datetime) -> bool:
        return self.sunset is not None and now >= self.sunset


Operation = tuple[str, str]
"""The template of a path, and a method."""

RETIRED: Final[dict[Operation, Retirement]] = {}
"""An entry is `("/api/v1/orders/{order_id}", "GET"): Retirement(…)`; it is also in the OpenAPI document."""
