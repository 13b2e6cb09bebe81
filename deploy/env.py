"""Writes deploy/.env: a random secret for every variable that compose.yaml requires and the file has not.

What stands there is never changed, and the file is for its owner alone (0600). Run again after an update: it adds what
is new. Standard library only; `make compose-up` calls it.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
COMPOSE = FOLDER / "compose.yaml"
REQUIRED = re.compile(r"\$\{([A-Z0-9_]+):\?")
GIVEN = re.compile(r"""^[ \t]*(?:export[ \t]+)?([A-Z0-9_]+)[ \t]*=[ \t]*(?:""|'')?(.*)$""", re.MULTILINE)
SECRET_BYTES = 32
OWNER_ONLY = 0o600
HEAD = """\
# Secrets of this installation, made by deploy/env.py. Keep a copy: what they sign and encrypt is lost without them.
"""


class Empty(Exception):
    """Names of variables that stand in the file without a value."""


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / ".env"
    try:
        made = complete(path, required(COMPOSE.read_text()))
    except OSError as problem:
        print(f"orderhub: {path} cannot be written: {problem.strerror}", file=sys.stderr)
        return 1
    except Empty as names:
        print(f"orderhub: {path}: {names} has no value: give one, or take the line out", file=sys.stderr)
        return 1
    if made:
        print(f"orderhub: {len(made)} secrets made in {path}: {', '.join(made)}", file=sys.stderr)
    return 0


def required(compose: str) -> list[str]:
    """The variables without which compose refuses to start, in their order."""
    return list(dict.fromkeys(REQUIRED.findall(compose)))


def complete(path: Path, wanted: list[str]) -> list[str]:
    """Add what is missing; returns the names. Hexadecimal, so that no URL and no shell sees anything special.

    Raises OSError, and Empty where one stands there without a value: it may be somebody's mistake, not a wish for a new
    one. A link is not followed, for it may lead out of our folder.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, OWNER_ONLY)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        os.fchmod(file.fileno(), OWNER_ONLY)
        file.seek(0)
        text = file.read()
        given = {name: value.strip() for name, value in GIVEN.findall(text)}
        if empty := [name for name in wanted if given.get(name) == ""]:
            raise Empty(", ".join(empty))
        missing = [name for name in wanted if name not in given]
        lines = [f"{name}={secrets.token_hex(SECRET_BYTES)}\n" for name in missing]
        if lines:
            begin = HEAD if not text else "" if text.endswith("\n") else "\n"
            file.write(begin + "".join(lines))
            file.flush()
            os.fsync(file.fileno())
    return missing


if __name__ == "__main__":
    sys.exit(main())
