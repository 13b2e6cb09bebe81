"""The command: `up`, `down`, `status`, `install`, and `kill`, `stop`, `start` for single processes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .control import Backends, Line
from .errors import Refused
from .machine import say
from .places import Places


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        places = Places.here()
        _act(Backends(places.beside(options.folder) if options.folder else places), options)
    except Refused as refusal:
        say(str(refusal))
        return 1
    except KeyboardInterrupt:
        say("interrupted; `down` stops what was started")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="backends", description=__doc__)
    parser.add_argument("--folder", type=Path, help="another set of servers, whose data and notes are there")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_text in (
        ("up", "install what is missing, start, wait until ready"),
        ("down", "stop, and throw the data away"),
        ("install", "only install"),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("names", nargs="*", help="default: all")
        if name == "down":
            command.add_argument("--keep", action="store_true", help="keep data, ports and passwords")
    commands.add_parser("status", help="what is running, and where")
    for name, help_text in (
        ("kill", "kill -9, keeping the data"),
        ("stop", "end in order, keeping the data"),
        ("start", "start again on the same data and port"),
    ):
        commands.add_parser(name, help=help_text).add_argument("name", help="a part, or kafka-2")
    return parser


def _act(backends: Backends, options: argparse.Namespace) -> None:
    match options.command:
        case "up":
            for line in backends.up(options.names):
                print(said(line), flush=True)
        case "down":
            for line in backends.down(options.names, keep=options.keep):
                print(said(line), flush=True)
        case "install":
            backends.install(options.names)
        case "status":
            for line in backends.status():
                print(said(line))
        case "kill" | "stop" | "start":
            getattr(backends, options.command)(options.name)


def said(line: Line) -> str:
    """One line without secrets: those are in running.json."""
    shown = " ".join(f"{field}={value}" for field, value in line.address.items() if field != "password")
    took = f" in {line.seconds:.1f} s" if line.seconds else ""
    return f"{line.name:<18} {line.version:<14} {line.state}{took}  {hide(shown)}".rstrip()


def hide(text: str) -> str:
    """The password of a URL (`//user:password@`) as three stars."""
    before, colon, after = text.partition("://")
    if not colon or "@" not in after:
        return text
    user, _, rest = after.partition("@")
    return f"{before}://{user.partition(':')[0]}:***@{rest}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
