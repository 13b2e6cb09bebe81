"""What the servers of unpacked Debian packages share."""

from __future__ import annotations

from pathlib import Path


def libraries(tree: Path) -> dict[str, str]:
    """The environment in which programs of `tree` find the shared libraries that came with them."""
    folders = sorted(str(path) for top in ("usr/lib", "lib") for path in tree.glob(f"{top}/*-linux-gnu*"))
    return {"LD_LIBRARY_PATH": ":".join(folders)}
