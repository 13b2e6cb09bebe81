"""Builds the wheels of all packages into dist/releases/<version>, with a manifest and checksums; uploads nothing.

What is there is kept: the tests roll the last release out to the code of today under load.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

import bootstrap

ROOT: Final = Path(__file__).resolve().parent.parent
KEPT: Final = ROOT / "dist" / "releases"
MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        release(KEPT)
    except bootstrap.Refused as refusal:
        print(f"orderhub: {refusal}", file=sys.stderr)
        return 1
    return 0


def release(kept: Path) -> Path:
    """Build the committed state; returns its folder. Raises Refused for a version that is there or what is not committed."""
    version, folder = the_version(), kept / the_version()
    if folder.exists():
        raise bootstrap.Refused(f"{folder} is there already: raise the version in every pyproject.toml")
    if changed := _git("status", "--porcelain"):
        raise bootstrap.Refused(
            f"{len(changed.splitlines())} files are not committed: a release is of a commit"
        )
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept) as scratch:
        made = build(Path(scratch) / version)
        made.rename(folder)
    print(f"{len(list(folder.glob('*.whl')))} wheels of {version} in {folder}")
    return folder


def build(folder: Path) -> Path:
    """The wheels of the working tree, their manifest and checksums, in a new folder."""
    settings = bootstrap.machine_settings(os.environ)
    uv = bootstrap.bring_uv(settings)
    environment = bootstrap.uv_environment(os.environ, settings)
    # The same commit gives the same bytes.
    environment["SOURCE_DATE_EPOCH"] = _git("log", "-1", "--format=%ct")
    command = ["build", "--all-packages", "--wheel", "--quiet", "--python", sys.executable, "-o", str(folder)]
    bootstrap.run_uv(uv, command, environment)
    (folder / ".gitignore").unlink(missing_ok=True)
    _write_manifest(folder)
    return folder


def _write_manifest(folder: Path) -> None:
    sums = {
        wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in sorted(folder.glob("*.whl"))
    }
    manifest = {"version": the_version(), "commit": _git("rev-parse", "HEAD"), "wheels": sums}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    (folder / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))


def the_version() -> str:
    """The one version of all packages. Raises Refused where they differ."""
    members = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    versions = {tomllib.loads(path.read_text())["project"]["version"] for path in members}
    if len(versions) != 1:
        raise bootstrap.Refused(f"the packages have several versions: {', '.join(sorted(versions))}")
    return str(versions.pop())


def wheels_of(folder: Path) -> list[Path]:
    """The wheels of a kept release. Raises Refused for one that is not as its manifest says."""
    sums: dict[str, str] = json.loads((folder / MANIFEST).read_text())["wheels"]
    for name, digest in sums.items():
        wheel = folder / name
        if not wheel.exists() or hashlib.sha256(wheel.read_bytes()).hexdigest() != digest:
            raise bootstrap.Refused(f"{wheel} is not what its manifest says: build the release again")
    return [folder / name for name in sums]


def last(kept: Path) -> Path | None:
    """The newest release that is kept."""
    found = [manifest.parent for manifest in kept.glob(f"*/{MANIFEST}")]
    return max(found, key=lambda folder: tuple(map(int, folder.name.split("."))), default=None)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
