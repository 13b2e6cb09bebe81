"""One small HTTP GET on loopback, for the probes of the services; no client library, so that it is there at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any
from urllib.parse import urlsplit


async def get(url: str, *, within: float = 2.0) -> tuple[int, bytes]:
    """(status, body); (0, b"") when nobody answers in time."""
    with contextlib.suppress(OSError, TimeoutError, ValueError, IndexError):
        async with asyncio.timeout(within):
            return await _get(url)
    return 0, b""


async def _get(url: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


async def readiness(base_url: str) -> dict[str, str] | None:
    """What keeps a service from being ready: empty when it is, None when nobody answers."""
    status, body = await get(f"{base_url}/readyz")
    if status == 200:
        return {}
    with contextlib.suppress(ValueError, AttributeError):
        report: dict[str, Any] = json.loads(body)
        return {str(k): str(v) for k, v in report.get("reasons", {}).items()} or {"status": str(status)}
    return {"status": str(status)} if status else None
