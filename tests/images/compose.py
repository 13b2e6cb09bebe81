"""compose.yaml as Docker reads it: anchors and merges resolved, variables put in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
FILE: Final = DEPLOY / "compose.yaml"
VARIABLE: Final = re.compile(r"\$(?:(\$)|\{([A-Z0-9_]+)(?::([-?])([^}]*))?\})")


def raw() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def resolved(given: Mapping[str, str]) -> dict[str, Any]:
    """Raises LookupError where a required variable is missing."""
    found: dict[str, Any] = _resolved(raw(), given)
    return found


def _resolved(value: Any, given: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _resolved(item, given) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, given) for item in value]
    return VARIABLE.sub(lambda found: _value(found, given), value) if isinstance(value, str) else value


def _value(found: re.Match[str], given: Mapping[str, str]) -> str:
    dollar, name, kind, rest = found.groups()
    if dollar:
        return "$"
    if given.get(name):
        return given[name]
    if kind == "-":
        return str(rest)
    raise LookupError(f"{name} is not set")


def environment(service: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def image_environment() -> dict[str, str]:
    """The ENV of the Dockerfile: what every container of ours is told before compose adds to it."""
    text = (DEPLOY / "docker" / "Dockerfile").read_text()
    block = text[text.index("\nENV ") + 5 :].split("\nWORKDIR")[0].replace("\\\n", " ")
    return dict(word.split("=", 1) for word in block.split())
