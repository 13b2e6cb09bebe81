"""The processes of an installation: what runs in each, how it is told everything, how it ends and comes back."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from orderhub import children, topology
from orderhub.exits import Exit, Refused
from orderhub.topology import Processes

SERVICE_RESTART: Final = children.Restart(limit=8, window=60.0, pause=0.1)
SIMULATOR_RESTART: Final = children.Restart(limit=30, window=60.0, pause=0.1, longest=2.0)
SERVICE_STOPS: Final[children.Stops] = ((signal.SIGTERM, 25.0), (signal.SIGKILL, 5.0))
MODULE: Final = (sys.executable, "-P", "-m")
"""How a process is started; -P, so that nothing is imported from the folder that the user happens to be in."""
DOORS: Final = frozenset(
    process
    for groups in topology.GROUPS.values()
    for process, carried in groups.items()
    if "gateway" in carried
)
"""The processes that carry the gateway."""


def simulator(variables: Mapping[str, str], logs: Path) -> children.Program:
    return children.Program(
        topology.SIMULATOR, [*MODULE, "orderhub_simulator"], logs / "simulator.log",
        env={**os.environ, **variables}, restart=SIMULATOR_RESTART,
    )  # fmt: skip


def services(
    variables: Mapping[str, str], processes: Processes, logs: Path, *, after: Path
) -> list[children.Program]:
    """Each loads its code at once and opens its services when `after` is there.

    A process that comes back does so under its old instance name, so that the leases of its predecessor are its own.
    """
    return [
        children.Program(
            name,
            [*MODULE, "orderhub", "run", *carried, "--after", str(after)],
            logs / f"{name}.log",
            env={**os.environ, **variables, "ORDERHUB_INSTANCE": f"{os.uname().nodename}-{name}"},
            stops=SERVICE_STOPS,
            restart=SERVICE_RESTART,
        )
        for name, carried in topology.GROUPS[processes].items()
    ]


def stop_order(names: list[str]) -> list[list[str]]:
    """Who stops together, in order: the door first, the provider after everybody who may still ask it."""
    front = [name for name in names if name in DOORS]
    back = [name for name in names if name not in DOORS and name != topology.SIMULATOR]
    return [front, back, [name for name in names if name == topology.SIMULATOR]]


def put_logs_aside(logs: Path) -> None:
    """Each start writes its own; those of the last one are kept as `.log.1`."""
    for log in logs.glob("*.log"):
        with contextlib.suppress(FileNotFoundError):
            log.rename(log.with_suffix(".log.1"))


def why(exit_: children.Exit) -> Refused:
    """Why a process does not start: its own line about that, or how it ended and the last thing that it said."""
    code = Exit.USAGE if exit_.code == Exit.USAGE else Exit.FAILED
    lines = children.last_lines(exit_.program.log, 10)
    for line in reversed(lines):
        if line.startswith("orderhub: "):
            return Refused(line.removeprefix("orderhub: "), code)
    return Refused(f"{exit_}: {lines[-1][:300]}" if lines else str(exit_), code)
