"""versions.toml: what is installed, each with its version and its checksum."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .errors import Refused

FILE = Path(__file__).resolve().parent.parent / "versions.toml"


@dataclass(frozen=True)
class Maven:
    """`artifacts` in Maven's coordinates; `sha256` names every file that they bring, and no other may come.

    `transitive` is false for archives, which hold what they need. Archives are unpacked, and `finish` is a command
    that is run there afterwards, its program a path within.
    """

    name: str
    version: str
    artifacts: tuple[str, ...]
    sha256: Mapping[str, str]
    transitive: bool = True
    finish: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deb:
    version: str
    sha256: str


@dataclass(frozen=True)
class Debian:
    """`version` is the server's; `packages` are its own and the shared libraries that a bare system lacks."""

    name: str
    version: str
    packages: Mapping[str, Deb]


@dataclass(frozen=True)
class Go:
    """`sum` is the checksum of the module (h1:…), whose own go.sum has those of everything it needs."""

    name: str
    version: str
    module: str
    package: str
    sum: str


Pin = Maven | Debian | Go


def fingerprint(pin: Pin) -> str:
    """Of everything pinned: an installed server whose pins changed is another one."""
    text = json.dumps(pin, default=lambda value: vars(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


@cache
def all_pins(file: Path = FILE) -> dict[str, Pin]:
    tables = tomllib.loads(file.read_text())
    pins: dict[str, Pin] = {}
    for kind, build in (("maven", _maven), ("debian", _debian), ("go", _go)):
        for name, table in tables[kind].items():
            try:
                pins[name] = build(name, table)
            except (KeyError, TypeError) as problem:
                raise Refused(f"{file.name}: [{kind}.{name}] lacks or misnames {problem}") from problem
    return pins


def tool_version(name: str, file: Path = FILE) -> str:
    return str(tomllib.loads(file.read_text())["tools"][name])


def _maven(name: str, table: Mapping[str, Any]) -> Maven:
    return Maven(
        name,
        table["version"],
        tuple(table["artifacts"]),
        dict(table["sha256"]),
        transitive=bool(table.get("transitive", True)),
        finish=tuple(table.get("finish", ())),
    )


def _debian(name: str, table: Mapping[str, Any]) -> Debian:
    packages = {package: Deb(**deb) for package, deb in table["packages"].items()}
    return Debian(name, table["version"], packages)


def _go(name: str, table: Mapping[str, Any]) -> Go:
    return Go(name, **table)
