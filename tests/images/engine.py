"""The images as they are built and run here: by buildah, without a daemon, over a local base image."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import bootstrap  # noqa: E402

DOCKERFILE: Final = ROOT / "deploy" / "docker" / "Dockerfile"
STOP_SECONDS: Final = 60.0


def buildah(*arguments: str) -> str:
    """What it prints. A failure fails the test with what buildah said."""
    command = ["sh", str(ROOT / "tools" / "buildah.sh"), *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"buildah {' '.join(arguments)}: {run.stdout[-4000:]}{run.stderr[-4000:]}"
    return run.stdout.strip()


def build(service: str, base: str, secrets: Path) -> str:
    """Build the image of a service by the product's own Dockerfile; returns its name."""
    name = f"localhost/orderhub/{service}:test"
    arguments = {"BASE": base, "SERVICE": service, "VERSION": "0.1.0", "REVISION": "test"}
    given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    shown = [word for path in secrets.iterdir() for word in ("--secret", f"id={path.name},src={path}")]
    buildah(
        "bud", "--isolation", "chroot", "--format", "docker", "--layers", "--file", str(DOCKERFILE),
        "--tag", name, *given, *shown, str(ROOT),
    )  # fmt: skip
    return name


def write_secrets(folder: Path) -> None:
    """What the Dockerfile takes as secrets: where this very machine takes its packages from."""
    settings = bootstrap.machine_settings(os.environ)
    known = {
        "index-url": settings.index,
        "extra-index-url": " ".join(settings.extra_indexes),
        "trusted-host": " ".join(settings.trusted_hosts),
        "proxy": settings.proxy,
        "timeout": str(settings.timeout),
    }
    lines = [f"{name} = {value}" for name, value in known.items() if value]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    certificates = Path(settings.certificates or "/nowhere")
    if certificates.is_file():
        (folder / "certificates").write_bytes(certificates.read_bytes())


def size(image: str) -> int:
    """Bytes of all layers."""
    rows = json.loads(buildah("images", "--json", "--no-trunc"))
    (bytes_,) = {row["size"] for row in rows if image in (row["names"] or [])}
    units = {"B": 1, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
    number, unit = bytes_.split()
    return int(float(number) * units[unit.upper()])


def configuration(image: str) -> dict[str, Any]:
    """The image's configuration as Docker's format has it."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]
    return found


@dataclass
class Container:
    """A container of an image: its files under `root`, commands by `run` and `start`, as the image's user."""

    name: str
    root: Path

    def command(self, *argv: str, env: Mapping[str, str] | None = None) -> list[str]:
        """buildah takes user, folder and variables from the image; /tmp is fresh, as a tmpfs is in production."""
        told = [word for key, value in (env or {}).items() for word in ("--env", f"{key}={value}")]
        mount = ["--mount", "type=tmpfs,destination=/tmp,tmpfs-mode=1777"]
        script = str(ROOT / "tools" / "buildah.sh")
        return ["sh", script, "run", "--isolation", "chroot", *mount, *told, self.name, "--", *argv]

    def run(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*argv, env=env), capture_output=True, text=True, check=False)

    def start(self, log: Path, *argv: str, env: Mapping[str, str]) -> Running:
        with log.open("wb") as out:
            process = subprocess.Popen(
                self.command(*argv, env=env), stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )
        return Running(process, log)


@contextlib.contextmanager
def container(image: str) -> Iterator[Container]:
    name = buildah("from", image)
    try:
        yield Container(name, Path(buildah("mount", name)))
    finally:
        buildah("rm", name)


@dataclass
class Running:
    """buildah, and under it the command of the image."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def inner(self) -> int:
        """The pid of the image's own command: the end of the chain that buildah makes."""
        pid = self.process.pid
        while below := children(pid):
            (pid,) = below
        return pid

    def until(self, condition: Callable[[], object], within: float = 60.0) -> None:
        """Waits until it is true. Fails with the log when it never is, or when the command has ended."""
        deadline = time.monotonic() + within
        while not condition():
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.said[-3000:]}"
            assert time.monotonic() < deadline, f"not within {within} s: {self.said[-3000:]}"
            time.sleep(0.05)

    def stop(self) -> int:
        """The signal that the image asks for; returns the exit code."""
        if self.process.poll() is None:
            os.kill(self.inner, signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.kill(self.inner, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"did not stop within {STOP_SECONDS} s: {self.said[-3000:]}") from None


def children(pid: int) -> Sequence[int]:
    found = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for task in found for child in task]
