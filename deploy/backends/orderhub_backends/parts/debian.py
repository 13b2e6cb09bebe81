"""What the servers of unpacked Debian packages share."""

from __future__ import annotations

from pathlib import Path

from .. import machine
from ..errors import Refused


def libraries(tree: Path) -> dict[str, str]:
    """The environment in which programs of `tree` find the shared libraries that came with them."""
    folders = sorted(str(path) for top in ("usr/lib", "lib") for path in tree.glob(f"{top}/*-linux-gnu*"))
    return {"LD_LIBRARY_PATH": ":".join(folders)}


def check_libraries(program: Path, tree: Path) -> None:
    """Names what a program lacks at its installation, before the loader says it in a log."""
    shown = machine.run(["ldd", str(program)], what=f"ldd {program.name}", environment=libraries(tree))
    missing = [line.split()[0] for line in shown.splitlines() if "not found" in line]
    if missing:
        raise Refused(f"{program.name} lacks the shared libraries {', '.join(missing)}")
