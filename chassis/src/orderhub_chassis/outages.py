"""Why a server cannot be used, in words for whoever has to mend it; never with a password in them.

"Refused" is told apart from a wrong password, a missing database and TLS that does not come about: each is mended
elsewhere. Knows the errors of PostgreSQL's driver and of Redis' by what they are, and asks neither.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

import asyncpg


class Kind(StrEnum):
    REFUSED = "refused"
    UNKNOWN_HOST = "unknown_host"
    NO_ANSWER = "no_answer"
    PASSWORD = "password"
    NO_DATABASE = "no_database"
    TLS = "tls"
    STARTING = "starting"
    FULL = "full"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Outage:
    """`words` say what to look at."""

    kind: Kind
    words: str


WORDS = {
    Kind.REFUSED: "nobody listens there (is it started, are host and port right?)",
    Kind.UNKNOWN_HOST: "the name of the host is not known",
    Kind.NO_ANSWER: "no answer in time (a firewall, or a server that hangs?)",
    Kind.PASSWORD: "user or password are refused",
    Kind.NO_DATABASE: "the database is missing (make it by `orderhub migrate`)",
    Kind.TLS: "no TLS connection comes about (is TLS on at both ends, and the certificate trusted?)",
    Kind.STARTING: "the server is starting or stopping",
    Kind.FULL: "the server has no connection left (max_connections, or smaller pools)",
}
TLS_HINTS = ("SSL upgrade", "no encryption", "SSL off", "[SSL", "SSL connection is required")


def explain(error: BaseException) -> Outage:
    """The first of the error and its causes that says more than that it did not work."""
    for cause in _causes(error):
        if (kind := _kind(cause)) is not Kind.OTHER:
            return Outage(kind, f"{WORDS[kind]}: {_line(cause)}")
    return Outage(Kind.OTHER, _line(error))


def place(url: str) -> str:
    """Host, port and database of a URL, without user, password and parameters."""
    parts = urlsplit(url)
    folder = parse_qs(parts.query).get("host", [""])[0]
    host = parts.netloc.rpartition("@")[2] or folder
    return f"{host}{parts.path}" if parts.scheme != "unix" else parts.path


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _kind(error: BaseException) -> Kind:
    words, name = str(error), type(error).__name__
    if isinstance(error, ssl.SSLError) or any(hint in words for hint in TLS_HINTS):
        return Kind.TLS
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError) or name == "AuthenticationError":
        return Kind.PASSWORD
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return Kind.NO_DATABASE
    if isinstance(error, asyncpg.CannotConnectNowError) or name == "BusyLoadingError":
        return Kind.STARTING
    if isinstance(error, asyncpg.TooManyConnectionsError) or name == "MaxConnectionsError":
        return Kind.FULL
    return _of_network(error)


def _of_network(error: BaseException) -> Kind:
    if isinstance(error, socket.gaierror):
        return Kind.UNKNOWN_HOST
    if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
        return Kind.REFUSED
    # Of a name with several addresses the loop makes one error without a number of its own.
    if isinstance(error, OSError) and error.errno is None and f"Errno {errno.ECONNREFUSED}" in str(error):
        return Kind.REFUSED
    if isinstance(error, TimeoutError):
        return Kind.NO_ANSWER
    return Kind.OTHER


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
