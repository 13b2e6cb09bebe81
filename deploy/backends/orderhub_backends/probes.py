"""Asks servers in their own protocols, with the standard library alone: an open port says nothing."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import NotReady
from .room import LOOPBACK

SECONDS = 5.0
Probe = Callable[[], None]


@contextmanager
def connection(port: int, ca: Path | None = None) -> Iterator[socket.socket]:
    with socket.create_connection((LOOPBACK, port), timeout=SECONDS) as plain:
        if ca is None:
            yield plain
            return
        context = ssl.create_default_context(cafile=str(ca))
        with context.wrap_socket(plain, server_hostname=LOOPBACK) as encrypted:
            yield encrypted


def _exactly(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise NotReady("the connection was closed")
        data += more
    return data


# --- HTTP ---------------------------------------------------------------------------------------------------------


def http_answer(port: int, path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The body of an answer 200."""
    client = http.client.HTTPConnection(LOOPBACK, port, timeout=SECONDS)
    try:
        client.request("GET", path, headers=dict(headers or {}))
        response = client.getresponse()
        body = response.read()
    except http.client.HTTPException as problem:
        raise NotReady(f"{path}: {problem!r}") from problem
    finally:
        client.close()
    if response.status != 200:
        raise NotReady(f"{path} answers {response.status}")
    return body


def http_json(port: int, path: str) -> Any:
    try:
        return json.loads(http_answer(port, path))
    except json.JSONDecodeError as problem:
        raise NotReady(f"{path} answers no JSON: {problem}") from problem


def http_says(port: int, path: str, holds: str = "", headers: Mapping[str, str] | None = None) -> Probe:
    """Ready when `path` answers 200 with `holds` in it."""

    def ask() -> None:
        if holds.encode() not in http_answer(port, path, headers):
            raise NotReady(f"{path} answers without {holds!r}")

    return ask


# --- Redis (RESP) -------------------------------------------------------------------------------------------------


def redis(port: int, *, password: str = "", ca: Path | None = None) -> Probe:
    """Ready when PING is answered, which it is not while data are loaded."""

    def ask() -> None:
        with connection(port, ca) as stream:
            if password:
                _redis_says(stream, f"AUTH {password}", "+OK")
            _redis_says(stream, "PING", "+PONG")

    return ask


def _redis_says(stream: socket.socket, command: str, expected: str) -> None:
    stream.sendall(command.encode() + b"\r\n")
    answer = stream.recv(1000).decode(errors="replace").strip()
    if answer != expected:
        raise NotReady(f"{command.split()[0]} is answered by {answer!r}")


# --- Kafka --------------------------------------------------------------------------------------------------------

API_VERSIONS, METADATA = 18, 3


def _kafka_asked(stream: socket.socket, key: int, version: int, body: bytes) -> bytes:
    """The body of the answer; the header is of version 1, as these old versions of the two requests have it."""
    client = b"orderhub"
    header = struct.pack(">hhih", key, version, 1, len(client)) + client
    stream.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
    (size,) = struct.unpack(">i", _exactly(stream, 4))
    return _exactly(stream, size)[4:]


def kafka_ports(port: int) -> set[int]:
    """The ports of the brokers that this broker takes for alive."""
    with connection(port) as stream:
        answer = _kafka_asked(stream, METADATA, 1, struct.pack(">i", 0))
    (count,), at, ports = struct.unpack_from(">i", answer), 4, set()
    for _ in range(count):
        (host,) = struct.unpack_from(">h", answer, at + 4)
        (found,) = struct.unpack_from(">i", answer, at + 6 + host)
        (rack,) = struct.unpack_from(">h", answer, at + 10 + host)
        ports.add(found)
        at += 12 + host + max(rack, 0)
    return ports


def kafka(port: int, among: set[int]) -> Probe:
    """Ready when this broker sees all of `among`."""

    def ask() -> None:
        missing = among - kafka_ports(port)
        if missing:
            raise NotReady(f"the broker on {port} does not see those on {sorted(missing)}")

    return ask


def kafka_secure(port: int, ca: Path) -> Probe:
    """Ready when it tells its versions over TLS, all that it tells to anybody before a login."""

    def ask() -> None:
        with connection(port, ca) as stream:
            (error,) = struct.unpack_from(">h", _kafka_asked(stream, API_VERSIONS, 0, b""))
        if error:
            raise NotReady(f"it answers with error {error}")

    return ask
