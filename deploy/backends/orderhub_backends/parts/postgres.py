"""PostgreSQL 15 with TLS, SCRAM and logical replication, and PgBouncer in transaction mode before it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from urllib.parse import urlsplit

from .. import machine
from ..certificates import Certificate, certificate
from ..errors import NotReady, Refused
from ..probes import Probe
from ..processes import Program
from ..room import LOOPBACK, Part, Plan, Room, as_user, owned, properties
from .debian import libraries

USER = "orderhub"
SETTINGS: dict[str, object] = {
    "listen_addresses": f"'{LOOPBACK}'",
    "unix_socket_directories": "''",
    "max_connections": 400,
    # For change data capture.
    "wal_level": "logical",
    "max_replication_slots": 20,
    "max_wal_senders": 20,
    "ssl": "on",
    "jit": "off",  # its library would bring all of LLVM along
    "log_min_duration_statement": -1,
}


def _server(room: Room) -> Plan:
    port, password = room.port("postgres15"), room.secret("password")
    tree, data, tls = room.pins["postgres15"], room.folder / "data", certificate(room)
    if not data.exists():
        _initialise(room, tree, data, password)
    _give(tls, data)
    _write_settings(data, port)
    program = Program(
        "postgres15",
        as_user([str(binaries(tree) / "postgres"), "-D", str(data)]),
        ready=answers(tree, port, password),
        environment=libraries(tree),
        stop_signal=signal.SIGINT,  # its fast shutdown, which does not wait for clients
        restarts=20,  # sessions of a killed server hold its memory until they notice
    )
    url = f"postgresql://{USER}:{password}@{LOOPBACK}:{port}/postgres"
    return Plan([program], {"url": url, "ca": str(tls.ca)})


def binaries(tree: Path) -> Path:
    return tree / "usr" / "lib" / "postgresql" / "15" / "bin"


def _initialise(room: Room, tree: Path, data: Path, password: str) -> None:
    """Under another name first: `data` is whole or not there."""
    fresh, given = room.folder / "data.new", owned(room.write("initial-password", password))
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    argv = [str(binaries(tree) / "initdb"), "-D", str(owned(fresh)), "-U", USER, f"--pwfile={given}"]
    argv += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
    machine.run(as_user(argv), what="initdb", environment=libraries(tree))
    given.unlink()
    fresh.rename(data)


def _give(tls: Certificate, data: Path) -> None:
    """The server takes a key only if it belongs to itself, or to root, and to nobody else."""
    for source, name in ((tls.chain, "server.crt"), (tls.key, "server.key")):
        target = data / name
        shutil.copyfile(source, target)
        target.chmod(0o600)
        owned(target)


def _write_settings(data: Path, port: int) -> None:
    settings = data / "postgresql.auto.conf"
    settings.write_text(properties({**SETTINGS, "port": port}))
    owned(settings)


def answers(tree: Path, port: int, password: str) -> Probe:
    """Ready when a session over TLS gets its answer."""

    def ask() -> None:
        dsn = f"host={LOOPBACK} port={port} user={USER} dbname=postgres connect_timeout=5 sslmode=prefer"
        environment = {**libraries(tree), "PGPASSWORD": password, "PGPASSFILE": "/dev/null"}
        argv = [str(binaries(tree) / "psql"), "-XAtq", "-d", dsn, "-c", "select 6*7"]
        try:
            answer = machine.run(argv, what="psql", environment=environment)
        except Refused as problem:
            raise NotReady(str(problem).splitlines()[-1].strip(" |")) from problem
        if answer.strip() != "42":
            raise NotReady(f"6*7 is {answer!r}")

    return ask


def _pooler(room: Room) -> Plan:
    server, port = urlsplit(room.others["postgres15"]["url"]), room.port("pgbouncer")
    password = str(server.password)
    tree = room.pins["pgbouncer"]
    users = owned(room.write("users.txt", f'"{USER}" "{password}"\n'))
    values = {
        "listen_addr": LOOPBACK,
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": users,
        # Other roles log in with the secret that the server has of them.
        "auth_user": USER,
        "pool_mode": "transaction",
        "max_client_conn": 1000,
        "default_pool_size": 20,
        "ignore_startup_parameters": "extra_float_digits",
    }
    text = f"[databases]\n* = host={LOOPBACK} port={server.port}\n\n[pgbouncer]\n{properties(values)}"
    program = Program(
        "pgbouncer",
        as_user([str(tree / "usr" / "sbin" / "pgbouncer"), str(owned(room.write("pgbouncer.ini", text)))]),
        ready=answers(room.pins["postgres15"], port, password),
        environment=libraries(tree),
        stop_signal=signal.SIGTERM,
    )
    return Plan([program], {"url": f"postgresql://{USER}:{password}@{LOOPBACK}:{port}/postgres"})


POSTGRES = Part("postgres15", ("postgres15",), _server)
PGBOUNCER = Part("pgbouncer", ("pgbouncer", "postgres15"), _pooler, needs=("postgres15",))
