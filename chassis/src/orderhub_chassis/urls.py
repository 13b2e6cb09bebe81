"""What can be wrong with the URL of a server, found when the settings are read.

A driver would say it later, with the password in its words, or as "away" for ever. Every function raises ValueError
with words that fit behind the variable's name.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

NO_PARTS: Final = (
    "is a URL without a readable host and port: special characters of a password are written as %XX"
)
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
VERIFYING: Final = ("verify-ca", "verify-full")
LOOKS_AT_CA: Final = ("require", *VERIFYING)
"""Those with which the driver looks at `sslrootcert`; with the others it takes any server for the right one."""
POOLERS: Final = ("none", "transaction")
POSTGRES: Final = frozenset(
    {
        "host", "port", "user", "password", "passfile", "dbname", "database", "service", "target_session_attrs",
        "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation",
        "ssl_min_protocol_version", "ssl_max_protocol_version", "krbsrvname", "gsslib", "pooler",
    }
)  # fmt: skip
REDIS_TLS: Final = frozenset(
    {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
)
REDIS: Final = REDIS_TLS | {"db", "username", "password", "client_name", "protocol"}
CLICKHOUSE: Final = frozenset({"sslrootcert", "sslcert", "sslkey"})
CERT_REQS: Final = ("required", "optional", "none")
TRUTHS: Final = ("true", "false")


def postgres(url: str) -> None:
    """Besides what asyncpg refuses: a CA that it would not look at, a misspelt parameter that the server would get."""
    if urlsplit(url).netloc.count("@") > 1:  # asyncpg takes the first for the end of the password
        raise ValueError(NO_PARTS)
    given = _parameters(url, POSTGRES)
    _one_of(given, "sslmode", SSL_MODES)
    _one_of(given, "pooler", POOLERS)
    mode = given.get("sslmode", os.environ.get("PGSSLMODE", "prefer"))
    if mode in VERIFYING and not _ca_is_known(given):
        raise ValueError(f"sslmode={mode} needs sslrootcert=<file of the CA's certificate>")
    if "sslrootcert" in given and mode not in LOOKS_AT_CA:
        raise ValueError(f"sslrootcert is not looked at with sslmode={mode}: say sslmode=verify-full")
    _loads(given, "sslrootcert", _load_ca)
    _loads(given, "sslcrl", _load_ca)
    _pair(given, "sslcert", "sslkey", given.get("sslpassword"))


def _ca_is_known(given: Mapping[str, str]) -> bool:
    """Of a home that this user may not look into (a container's `HOME=/root`), nothing is known."""
    home_ca = os.path.expanduser("~/.postgresql/root.crt")
    return bool(given.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")) or os.path.exists(home_ca)


def redis(url: str) -> None:
    """Parameters as redis-py names them; TLS is `rediss://`, checked against `ssl_ca_certs` or the system's CAs."""
    given = _parameters(url, REDIS)
    tls = sorted(given.keys() & REDIS_TLS)
    if tls and not url.startswith("rediss://"):
        raise ValueError(f"{tls[0]} is for rediss:// alone: this URL would not be encrypted")
    _one_of(given, "ssl_cert_reqs", CERT_REQS)
    _one_of(given, "ssl_check_hostname", TRUTHS)
    _loads(given, "ssl_ca_certs", _load_ca)
    _pair(given, "ssl_certfile", "ssl_keyfile", None)


def clickhouse(url: str) -> None:
    """A folder of our own, or a server; the parameters are for https alone."""
    parts = urlsplit(url)
    if parts.scheme == "chdb" and (parts.netloc or len(parts.path) < 2):
        raise ValueError("must have a whole path behind chdb://, as in chdb:///var/lib/orderhub/logs")
    if parts.scheme != "chdb" and not parts.hostname:
        raise ValueError(NO_PARTS)
    given = _parameters(url, CLICKHOUSE if parts.scheme == "https" else frozenset())
    _loads(given, "sslrootcert", _load_ca)
    _pair(given, "sslcert", "sslkey", None)


def _parameters(url: str, known: frozenset[str]) -> dict[str, str]:
    """Those behind the question mark. A `/`, `?` or `#` of a password that is not written as %XX ends up there, too."""
    parts = urlsplit(url)
    if parts.fragment or url.endswith("#") or "@" in parts.path + parts.query:
        raise ValueError(NO_PARTS)
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("must have name=value after the question mark, joined by &") from None
    for name, value in pairs:
        if name not in known:
            raise ValueError(f"{name} is no parameter of such a URL{_may_have(known)}")
        if not value:
            raise ValueError(f"{name} has no value")
    return dict(pairs)


def _may_have(known: frozenset[str]) -> str:
    return f"; it may have {', '.join(sorted(known))}" if known else ""


def _one_of(given: Mapping[str, str], name: str, choices: tuple[str, ...]) -> None:
    if name in given and given[name] not in choices:
        *others, last = choices
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, not {given[name][:40]!r}")


def _loads(given: Mapping[str, str], name: str, load: Callable[[str], None]) -> None:
    if path := given.get(name):
        try:
            load(path)
        except OSError as error:  # ssl.SSLError is one
            reason = "is no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise ValueError(f"{name}: {path}: {reason}") from None


def _load_ca(path: str) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)


def _pair(given: Mapping[str, str], certificate: str, key: str, password: str | None) -> None:
    """Our own certificate; its key may stand in the same file."""
    if key in given and certificate not in given:
        raise ValueError(f"{key} needs {certificate}")

    def load(path: str) -> None:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path, given.get(key), lambda: password or "")

    _loads(given, certificate, load)
