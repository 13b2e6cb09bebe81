"""Where settings come from: the environment over `.env` over a YAML file. Both files are read whole and strictly:
one that is no good is a SettingsError, never a value that is silently missing."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml  # type: ignore[import-untyped]
from dotenv import dotenv_values
from dotenv.parser import parse_stream

PREFIX: Final = "ORDERHUB_"
CONFIG: Final = "ORDERHUB_CONFIG"
DOTENV: Final = Path(".env")
SCALARS: Final = (str, int, float)
T = TypeVar("T")


class SettingsError(Exception):
    """The settings do not allow a start; the message is one line and names the variable."""


@dataclass(frozen=True)
class Given:
    """A value as its text, and where it stands: `environment`, `.env` or the file's name."""

    value: str
    origin: str


def given() -> dict[str, Given]:
    """Every variable of ours that is set, wherever. Raises SettingsError when a file is no good."""
    path, values = _file()
    found = {name: Given(value, str(path)) for name, value in _as_variables(values).items()}
    found |= {name: Given(value, str(DOTENV)) for name, value in dotenv().items()}
    found |= {name.upper(): Given(value, "environment") for name, value in os.environ.items()}
    return {name: one for name, one in found.items() if name.startswith(PREFIX)}


def variables() -> dict[str, str]:
    """The environment over `.env`, names in capitals. Raises SettingsError when `.env` is no good."""
    return dotenv() | {name.upper(): value for name, value in os.environ.items()}


def dotenv() -> dict[str, str]:
    """What `.env` of the working folder sets. Its own words about a mistake would show the line, and so a secret."""
    if not DOTENV.exists():
        return {}
    text = _read(str(DOTENV), DOTENV.read_text)
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise SettingsError(f"{DOTENV}: line {_line(binding.original)} is no NAME=value")
    values = dotenv_values(stream=io.StringIO(text))
    return {name.upper(): value for name, value in values.items() if value is not None}


def _line(original: Any) -> int:
    """The parser counts empty lines to what follows them."""
    text = str(original.string)
    return int(original.line) + text[: len(text) - len(text.lstrip())].count("\n")


def of_file(section: str) -> dict[str, str]:
    """The YAML file's values for one service: those at its top, and over them those under the service's name.

    The file is `ORDERHUB_CONFIG`, or `orderhub.yaml` in the working directory if there is one.
    """
    path, values = _file()
    own = values.get(section, {})
    if not isinstance(own, dict):
        raise _no_table(f"{path}: {section}")
    return {name: value for name, value in values.items() if not isinstance(value, dict)} | own


def _as_variables(values: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in values.items():
        entries = (
            {f"{name}_{key}": own for key, own in value.items()} if isinstance(value, dict) else {name: value}
        )
        found |= {f"{PREFIX}{key}".upper(): own for key, own in entries.items()}
    return found


def _file() -> tuple[Path, dict[str, Any]]:
    """Texts, and one level of tables of texts."""
    named = os.environ.get(CONFIG, "")
    path = Path(named or "orderhub.yaml")
    if not named and not path.exists():
        return path, {}
    values = _read(f"{CONFIG}: {path}", lambda: yaml.safe_load(path.read_text()) or {})
    if not isinstance(values, dict):
        raise _no_table(str(path))
    tables = {
        name: _texts(path, f"{name}: ", value) for name, value in values.items() if isinstance(value, dict)
    }
    return path, _texts(
        path, "", {name: value for name, value in values.items() if name not in tables}
    ) | tables


def _read(what: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(f"{what} cannot be read: {' '.join(str(reason).split())}") from None


def _no_table(where: str) -> SettingsError:
    return SettingsError(f"{CONFIG}: {where} is not a table of names and values")


def _texts(path: Path, where: str, table: dict[Any, Any]) -> dict[str, str]:
    """Without what has no value."""
    for name in table:
        if not isinstance(name, str):
            raise SettingsError(f"{CONFIG}: {path}: {where}{name} is no name of a setting")
    return {
        name: _text(f"{CONFIG}: {path}: {where}{name}", value)
        for name, value in table.items()
        if value is not None
    }


def _json(where: str, tables: list[Any]) -> str:
    """A list of tables: a setting that takes one takes it as JSON."""
    try:
        return json.dumps(tables)
    except (TypeError, ValueError, RecursionError):
        raise SettingsError(f"{where}: must hold texts, numbers, lists and tables only") from None


def _text(where: str, value: Any) -> str:
    """As it would stand in the environment."""
    parts = value if isinstance(value, list) else [value]
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return _json(where, value)
    if not all(isinstance(part, SCALARS) for part in parts):
        raise SettingsError(f"{where}: must be one value, or a list of them")
    return ",".join(str(part).lower() if isinstance(part, bool) else str(part) for part in parts)
