"""Redis, plain and behind TLS and a password. Both keep an append-only file: a restart keeps data, as in production."""

from __future__ import annotations

from pathlib import Path

from .. import probes
from ..certificates import certificate
from ..processes import Program
from ..room import LOOPBACK, Part, Plan, Room
from .debian import libraries


def _program(room: Room, name: str, configuration: dict[str, object], ready: probes.Probe) -> Program:
    common = {
        "bind": LOOPBACK,
        "dir": room.subfolder("data"),
        "appendonly": "yes",
        "save": '""',
        "daemonize": "no",
    }
    lines = [f"{key} {_quoted(value)}" for key, value in {**common, **configuration}.items()]
    path = room.write("redis.conf", "\n".join(lines) + "\n")
    tree = room.pins["redis"]
    return Program(
        name,
        [str(tree / "usr" / "bin" / "redis-server"), str(path)],
        ready=ready,
        environment=libraries(tree),
    )


def _quoted(value: object) -> str:
    """Redis cuts its lines at blanks."""
    return f'"{value}"' if isinstance(value, Path) else str(value)


def _plain(room: Room) -> Plan:
    port = room.port("redis")
    program = _program(room, "redis", {"port": port}, probes.redis(port))
    return Plan([program], {"url": f"redis://{LOOPBACK}:{port}/0"})


def _secure(room: Room) -> Plan:
    port, password, tls = room.port("redis-secure"), room.secret("password"), certificate(room)
    configuration = {
        "port": 0,
        "tls-port": port,
        "tls-cert-file": tls.chain,
        "tls-key-file": tls.key,
        "tls-ca-cert-file": tls.ca,
        "tls-auth-clients": "no",
        "requirepass": password,
    }
    program = _program(room, "redis-secure", configuration, probes.redis(port, password=password, ca=tls.ca))
    return Plan([program], {"url": f"rediss://:{password}@{LOOPBACK}:{port}/0", "ca": str(tls.ca)})


REDIS = Part("redis", ("redis",), _plain)
REDIS_SECURE = Part("redis-secure", ("redis",), _secure)
