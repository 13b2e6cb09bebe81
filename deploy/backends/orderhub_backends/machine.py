"""The programs of the machine that installing and running takes; as root, apt-get brings the ones that are missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from .errors import Refused

JAVA_NEEDED = 17
PACKAGES = {
    "java": "openjdk-17-jre-headless",
    "mvn": "maven",
    "go": "golang-go",
    "openssl": "openssl",
    "setpriv": "util-linux",
    "setsid": "util-linux",
}
USUAL_PLACES = {"go": Path("/usr/local/go/bin/go")}


def say(text: str) -> None:
    print(f"backends: {text}", file=sys.stderr, flush=True)


def need(command: str) -> str:
    """The path of a program."""
    found = shutil.which(command) or _usual(command)
    if found:
        return found
    package = PACKAGES[command]
    if not may_install():
        raise Refused(f"{command} is not here: install {package} and run this again")
    say(f"{command} is not here: installing {package} by apt-get")
    apt_get("update", "-q")
    apt_get("install", "-q", "-y", "--no-install-recommends", package)
    installed = shutil.which(command)
    if not installed:
        raise Refused(f"{package} is installed and yet there is no {command}")
    return installed


def _usual(command: str) -> str:
    path = USUAL_PLACES.get(command)
    return str(path) if path and path.exists() else ""


def may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_get(*arguments: str) -> None:
    """Its messages go to stderr."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run = subprocess.run(["apt-get", *arguments], env=environment, stdout=sys.stderr.fileno(), check=False)
    if run.returncode != 0:
        raise Refused(f"apt-get {arguments[0]} failed (above is why)")


@cache
def java() -> str:
    """The path of a Java that is new enough: JAVA_HOME's, or the one on the path."""
    chosen = os.environ.get("JAVA_HOME", "")
    path = str(Path(chosen) / "bin" / "java") if chosen else need("java")
    try:
        shown = subprocess.run([path, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError) as problem:
        raise Refused(f"{path} does not run: {problem}") from problem
    found = re.search(r'version "(\d+)', shown)
    if not found or int(found[1]) < JAVA_NEEDED:
        raise Refused(f"Java {JAVA_NEEDED} or newer is needed; {path} says {shown.splitlines()[:1]}")
    return path


def run(
    argv: list[str], *, what: str, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    """Its standard output. Raises Refused with the end of what it said."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join(f"  | {line}" for line in (done.stdout + done.stderr).splitlines()[-25:])
        raise Refused(f"{what} failed with code {done.returncode}:\n{said}")
    return done.stdout
