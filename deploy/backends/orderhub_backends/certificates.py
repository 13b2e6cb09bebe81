"""A certificate authority of its own for each part that speaks TLS, made at its first start and gone with its data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import machine
from .room import Room

DAYS = "30"
NAMES = "subjectAltName=IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True)
class Certificate:
    """PEM files: `key` is PKCS#8 without a password, `chain` the server's certificate alone."""

    ca: Path
    chain: Path
    key: Path


def certificate(room: Room) -> Certificate:
    folder = room.subfolder("tls")
    made = Certificate(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if not made.chain.exists():
        _make(folder)
    return made


def _make(folder: Path) -> None:
    openssl = machine.need("openssl")

    def run(*arguments: str) -> None:
        machine.run([openssl, *arguments], what=f"openssl {arguments[0]}", cwd=folder)

    new_key = ("-newkey", "rsa:2048", "-nodes")
    extensions = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", DAYS, *extensions,
        "-subj", "/CN=OrderHub test authority")  # fmt: skip
    run("req", "-new", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "extensions").write_text(f"{NAMES}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
        "-extfile", "extensions", "-days", DAYS, "-out", "server.new")  # fmt: skip
    for leftover in ("ca.key", "server.csr", "extensions", "ca.srl"):
        (folder / leftover).unlink(missing_ok=True)
    (folder / "server.new").rename(folder / "server.pem")
