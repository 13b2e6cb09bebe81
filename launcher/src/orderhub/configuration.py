"""All settings of the product in one place: what is wrong with them, what they are now, and the documents about them.

Both documents are made from the settings classes; `make check` refuses them when a class has changed since.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from dotenv import dotenv_values
from orderhub_chassis import settings as chassis
from orderhub_chassis.settings import CommonSettings, ServiceSettings, SettingsError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orderhub import environment, home, topology
from orderhub.exits import Exit, Refused
from orderhub.output import Output
from orderhub.settings import Settings, settings_of

CARRIERS: Final = (*topology.NAMES, topology.SIMULATOR)
LAUNCHER: Final = "The launcher"
MASK: Final = "********"
DOCUMENT: Final = "docs/configuration.md"
EXAMPLE: Final = ".env.example"


@dataclass(frozen=True)
class Variable:
    """One setting. `default` is empty where there is none and the variable is required."""

    name: str
    kind: str
    default: str
    required: bool
    secret: bool
    description: str


def mistakes() -> list[str]:
    """What keeps the services from starting, each named once with its variable."""
    found: list[str] = []
    for name in CARRIERS:
        try:
            chassis.load(settings_of(name))
        except SettingsError as error:
            found += [part for part in str(error).split("; ") if part not in found]
    return found


def sections() -> Iterator[tuple[str, str, list[Variable]]]:
    """(title, what it is about, variables): the launcher, what all services share, then each service's own."""
    yield (
        "The launcher",
        "What `orderhub up` reads; options on the command line win.",
        _own(Settings, CommonSettings),
    )
    shared = "Read by every service as they stand here, or for one service alone with its name in front"
    example = "`ORDERHUB_LOG_LEVEL` for all, `ORDERHUB_ORDERS_LOG_LEVEL` for orders."
    yield "Common to the services", f"{shared}: {example}", variables(ServiceSettings)
    for name in CARRIERS:
        base = ServiceSettings if issubclass(settings_of(name), ServiceSettings) else CommonSettings
        yield name.capitalize(), "", _own(settings_of(name), base)


def variables(settings_cls: type[CommonSettings]) -> list[Variable]:
    return [_variable(name, field) for _, name, field in chassis.variables(settings_cls)]


def _own(settings_cls: type[CommonSettings], base: type[CommonSettings]) -> list[Variable]:
    """What the class adds to its base."""
    found = chassis.variables(settings_cls)
    return [_variable(name, field) for key, name, field in found if key not in base.model_fields]


def _variable(name: str, field: FieldInfo) -> Variable:
    secret = chassis.is_secret(field)
    kind = "secret" if secret else _kind(field.annotation)
    return Variable(name, kind, _default(field), field.is_required(), secret, field.description or "")


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(str(value) for value in get_args(annotation))
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if type(None) in get_args(annotation):
        return _kind(inner[0])
    names: dict[Any, str] = {
        timedelta: "time",
        str: "text",
        int: "number",
        float: "number",
    }
    names |= {bool: "true or false"}
    return names.get(annotation, "path" if "Path" in str(annotation) else "text")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "host name and process id"
    if field.default is PydanticUndefined or field.default is None:
        return ""
    return _text(field.default)


def _text(value: Any) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.3f}".rstrip("0").rstrip(".")
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value.value if isinstance(value, Enum) else value)


def document() -> str:
    """docs/configuration.md."""
    parts = [
        "# Configuration\n\n<!-- Made by `orderhub config --write` from the settings classes; do not edit. -->\n\n"
        "Every setting is an environment variable. A `.env` file in the working folder stands in for what the"
        " environment does not set, and `orderhub.yaml` (or the file that `ORDERHUB_CONFIG` names) for what neither"
        " sets. Times are seconds or ISO 8601. A wrong value stops the start with one line that names the"
        " variable.\n\n`orderhub up` sets by itself what is marked with ¹: addresses and ports of the parts that it"
        " starts, and secrets that it generates into the data folder. No secret has a default.\n\nA secret that you"
        " give is taken by a new data folder and kept there (`secrets.json`); one that is another than the folder's"
        " stops the start. Of an address, port or database that you give, `up` says that it does not use it; a"
        " `ORDERHUB_PUBLIC_URL` is used.\n"
    ]
    given = _set_by_up()
    for title, about, found in sections():
        marked = frozenset() if title == LAUNCHER else given
        parts.append(f"\n## {title}\n\n" + (f"{about}\n\n" if about else "") + _table(found, marked))
    return "".join(parts)


def _table(found: list[Variable], given: frozenset[str]) -> str:
    rows = ["| variable | kind | default | what it does |", "|---|---|---|---|"]
    for v in found:
        default = "required" if v.required else (f"`{v.default}`" if v.default else "–")
        rows.append(
            f"| `{v.name}`{'¹' if v.name in given else ''} | {v.kind} | {default} | {v.description} |"
        )
    return "\n".join(rows) + "\n"


def example() -> str:
    """.env.example."""
    parts = ["# Made by `orderhub config --write`; copy to .env and uncomment what you want to change.\n"]
    for title, _, found in sections():
        parts.append(f"\n# --- {title} ---\n")
        parts += [
            f"# {v.description}{' (required)' if v.required else ''}\n# {v.name}={v.default}\n" for v in found
        ]
    return "".join(parts)


def _set_by_up() -> frozenset[str]:
    """The variables that `up` fills, common ones under the names of each service too."""
    names = [service.name for service in topology.SERVICES if service.has_database]
    chosen = environment.Ports(0, 0, dict.fromkeys(names, 0), dict.fromkeys(names, 0))
    servers = environment.Servers(lambda database: database, "")
    given = set(environment.of_services(str, servers, chosen, Path(), {})) | {"ORDERHUB_INSTANCE"}
    common = {name.removeprefix("ORDERHUB_") for name in given}
    given |= {f"ORDERHUB_{service.upper()}_{name}" for service in CARRIERS for name in common}
    return frozenset(given | {f"ORDERHUB_{name}" for name in ("DATABASE_URL", "GRPC_PORT", "HTTP_PORT")})


def write(out: Output, *, check: bool) -> Exit:
    """Write both documents into the checkout, or only look whether they are as the classes say."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "uv.lock").exists():
        raise Refused("the documents live in a checkout, and this is none", Exit.USAGE)
    stale = [
        name for name, text in ((DOCUMENT, document()), (EXAMPLE, example())) if _differs(root / name, text)
    ]
    if check and stale:
        raise Refused(
            f"{' and '.join(stale)} are not what the settings say: run `./orderhub config --write`",
            Exit.FOUND,
        )
    if not check:
        (root / DOCUMENT).write_text(document())
        (root / EXAMPLE).write_text(example())
    out.result({"written": stale if not check else [], "current": not stale or not check})
    return Exit.DONE


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text() != text


def show(place: home.Home, out: Output) -> Exit:
    """Every variable with its value now and where that comes from; secrets masked."""
    given = _set_by_up()
    sources = {**dotenv_values(".env"), **os.environ}
    rows = []
    for title, _, found in sections():
        marked = frozenset() if title == LAUNCHER else given
        for variable in found:
            value, origin = _now(variable, sources, marked)
            rows.append({"variable": variable.name, "value": value, "from": origin})
    shown = [(row["variable"], row["value"], row["from"]) for row in rows]
    out.result(rows, out.table(f"Settings of {place.path}", ("variable", "value", "from"), shown))
    return Exit.DONE


def _now(variable: Variable, sources: dict[str, Any], given: frozenset[str]) -> tuple[str, str]:
    if variable.name in sources:
        return MASK if variable.secret else str(sources[variable.name]), "environment"
    if variable.name in given:
        return MASK if variable.secret else "", "orderhub up"
    return variable.default, "required" if variable.required else "default"
