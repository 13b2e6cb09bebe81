"""What a package imports, it or what it depends on declares: here everything is installed, in an image only that is."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for pattern in ("*/pyproject.toml", "services/*/pyproject.toml")
    for path in ROOT.glob(pattern)
    if (path.parent / "src").is_dir()
)


def plain(name: str) -> str:
    """As PEP 503 has names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    """Without what is for extras alone."""
    return {plain(re.split(r"[\s\[;<>=!~(]", one)[0]) for one in requirements if "extra ==" not in one}


def project(folder: Path) -> tuple[str, set[str]]:
    told = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    extras = [one for more in told.get("optional-dependencies", {}).values() for one in more]
    return plain(told["name"]), names([*told.get("dependencies", []), *extras])


def installed_with(wanted: set[str]) -> set[str]:
    """These, and whatever comes with them."""
    ours = dict(project(ROOT / folder) for folder in PACKAGES)
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found.add(name)
        try:
            wanted |= ours.get(name) or names(requires(name) or [])
        except PackageNotFoundError:
            continue
    return found


def imported(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in (folder / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((alias.name.split(".")[0], path) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.split(".")[0], path


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_import_is_of_something_that_the_package_depends_on(folder: str) -> None:
    """Auth imported aiohttp, which came with the gateway on every machine but in auth's own image."""
    own, declared = project(ROOT / folder)
    there, owners = installed_with(set(declared)) | {own}, packages_distributions()
    strangers = {
        f"{path.relative_to(ROOT)} imports {name}"
        for name, path in imported(ROOT / folder)
        if name not in sys.stdlib_module_names
        and not there & {plain(one) for one in owners.get(name, [name])}
    }
    assert strangers == set()
