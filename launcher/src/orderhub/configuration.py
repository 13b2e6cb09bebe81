"""All settings of the product in one place: what is wrong with them, what they are now, and the documents about them.

Both documents are made from the settings classes; `make check` refuses them when a class has changed since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from orderhub_chassis import settings as chassis
from orderhub_chassis.settings import CommonSettings, ServiceSettings, SettingsError
from orderhub_chassis.sources import Given
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orderhub import environment, home, topology
from orderhub.exits import Exit, Refused
from orderhub.output import Output
from orderhub.settings import Settings, settings_of, sources

CARRIERS: Final = (*topology.NAMES, topology.SIMULATOR)
LAUNCHER: Final = "The launcher"
MASK: Final = "********"
DOCUMENT: Final = "docs/configuration.md"
EXAMPLE: Final = ".env.example"
OTHERS: Final = ("ORDERHUB_CONFIG", "ORDERHUB_PASSWORD", "ORDERHUB_MFA_CODE")
"""Read by us, and no settings of a process."""
OF_TESTS: Final = "ORDERHUB_TEST_"


@dataclass(frozen=True)
class Variable:
    """One setting. `default` is empty where there is none and the variable is required."""

    name: str
    kind: str
    default: str
    required: bool
    secret: bool
    description: str


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
        " variable, and so does a file that cannot be read as a whole; `up` tells of a variable that no part reads."
        " `orderhub config` shows what each is now, and where that comes from.\n\nIn the YAML file a name is that of"
        " the variable without `ORDERHUB_`, in small letters; what is for one service alone stands under the service:"
        " `log_level: info` at the top, `orders:` and under it `log_level: debug`.\n\n`orderhub up` sets by itself what is marked with ¹: addresses and ports of the parts that it"
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
    given = _told().keys() | {"ORDERHUB_INSTANCE"}
    common = {name.removeprefix("ORDERHUB_") for name in given}
    given |= {f"ORDERHUB_{service.upper()}_{name}" for service in CARRIERS for name in common}
    return frozenset(given | {f"ORDERHUB_{name}" for name in ("DATABASE_URL", "GRPC_PORT", "HTTP_PORT")})


def _told() -> dict[str, str]:
    """What `up` tells its services, with values that could be right."""
    names = [service.name for service in topology.SERVICES if service.has_database]
    chosen = environment.Ports(0, 0, dict.fromkeys(names, 0), dict.fromkeys(names, 0))
    servers = environment.Servers(lambda database: f"postgresql:///{database}", "unix:///redis")
    return environment.of_services(lambda name: name * 8, servers, chosen, Path(), {})


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
    """Every variable with what `up` here would make of it, and where that comes from; secrets masked."""
    given = sources()
    rows = {row["variable"]: row for row in _rows(given)}
    rows |= {
        name: {"variable": name, "value": given[name].value, "from": f"{given[name].origin}, not known"}
        for name in unknown(given)
    }
    shown = [(row["variable"], row["value"], row["from"]) for row in rows.values()]
    out.result(
        list(rows.values()), out.table(f"Settings of {place.path}", ("variable", "value", "from"), shown)
    )
    return Exit.DONE


def mistakes(given: Collection[str]) -> list[str]:
    """What would keep the launcher or a service from starting, each named once with its variable."""
    told = {name: v for name, v in _told().items() if name not in given or name not in environment.TAKEN_OVER}
    classes: dict[type[CommonSettings], dict[str, str]] = {Settings: {}}
    classes |= {settings_of(name): told for name in CARRIERS}
    found: dict[str, None] = {}
    for settings_cls, known in classes.items():
        try:
            chassis.load(settings_cls, **_by_field(settings_cls, known))
        except SettingsError as error:
            found |= dict.fromkeys(str(error).split("; "))
    return list(found)


def _by_field(settings_cls: type[CommonSettings], values: Mapping[str, str]) -> dict[str, str]:
    """The service's own variable wins over that of all services."""
    found: dict[str, str] = {}
    for field, own, _ in chassis.variables(settings_cls):
        for name in (own, f"ORDERHUB_{field.upper()}"):
            if name in values:
                found.setdefault(field, values[name])
    return found


def unknown(given: Collection[str]) -> list[str]:
    """Of what was given the names that nobody reads: misspelt, most likely."""
    known = {name for carrier in CARRIERS for _, name, _ in chassis.variables(settings_of(carrier))}
    known |= {v.name for _, _, found in sections() for v in found} | set(OTHERS)
    return sorted(name for name in given if name not in known and not name.startswith(OF_TESTS))


def _rows(given: Mapping[str, Given]) -> Iterator[dict[str, str]]:
    """The launcher's reading of a variable stands for those of the same name."""
    by_up, fixed, seen = _set_by_up(), _fixed_by_up(), set[str]()
    for title, _, found in sections():
        own = title == LAUNCHER
        for variable in [*found, *_narrowed(title.lower(), given, found)]:
            if variable.name not in seen:
                seen.add(variable.name)
                value, origin = _now(
                    variable, given, frozenset() if own else by_up, frozenset() if own else fixed
                )
                yield {"variable": variable.name, "value": value, "from": origin}


def _narrowed(carrier: str, given: Mapping[str, Given], found: list[Variable]) -> list[Variable]:
    """Common settings that were given for one service alone."""
    if carrier not in CARRIERS:
        return []
    listed = {variable.name for variable in found}
    return [v for v in variables(settings_of(carrier)) if v.name in given and v.name not in listed]


def _fixed_by_up() -> frozenset[str]:
    """What `up` sets whatever was given."""
    return frozenset((_told().keys() | set(environment.PORTS_FOR_ALL)) - environment.TAKEN_OVER)


def _now(
    variable: Variable, given: Mapping[str, Given], by_up: Collection[str], fixed: Collection[str]
) -> tuple[str, str]:
    found = given.get(variable.name)
    if found and variable.name not in fixed:
        return MASK if variable.secret else found.value, found.origin
    if variable.name in by_up:
        instead = f", instead of {found.origin}" if found else ""
        return MASK if variable.secret else "", f"orderhub up{instead}"
    return variable.default, "required" if variable.required else "default"
