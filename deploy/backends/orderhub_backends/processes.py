"""Processes that outlive the command that started them, and that are signalled only while they are still themselves.

A pid alone is no name: the kernel gives it to somebody else one day. Pid, start time and boot together are.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import NotReady, Refused

POLL_SECONDS = 0.1
KILL_SECONDS = 15.0
TAIL_LINES = 25
# As root: a user without rights for servers that refuse to be root, with the one capability that lets it pass through
# the private folders above a checkout. access(2), by which PostgreSQL looks for its own programs, would leave that one
# out for anybody but root unless the last switch were set.
AS_NOBODY = (
    "setpriv",
    "--reuid=nobody",
    "--regid=nogroup",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--securebits=+no_setuid_fixup",
)
# In the background of a shell that ends at once: nobody of ours has to bury it, and it has a session of its own.
DETACHED = 'setsid "$@" </dev/null >>"$ORDERHUB_LOG" 2>&1 & echo $!'


@dataclass(frozen=True)
class Program:
    """One process of a part. `ready` returns when it answers in its protocol; else it raises NotReady or OSError."""

    name: str
    argv: Sequence[str]
    ready: Callable[[], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 20.0
    within_seconds: float = 300.0
    restarts: int = 0  # how often it may end before it is ready: what a predecessor held may not be free yet


@dataclass(frozen=True)
class Identity:
    """`started` is "<boot id>:<start time in ticks>"; empty for a process that was gone before it could be looked at."""

    pid: int
    started: str


@dataclass(frozen=True)
class Running:
    """What is noted of a program: all that it takes to end it, also when nothing of its installation is left."""

    process: Identity
    stop_signal: signal.Signals
    grace_seconds: float

    def is_alive(self) -> bool:
        return is_alive(self.process)


def identity(pid: int) -> Identity:
    return Identity(pid, _started(pid))


def is_alive(process: Identity) -> bool:
    return bool(process.started) and _started(process.pid) == process.started


def _started(pid: int) -> str:
    """Empty when there is no such process, or only a zombie that nobody has buried."""
    with contextlib.suppress(OSError):
        # The name stands in parentheses and may hold anything, also more of them.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] not in {"Z", "X"}:
            return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}:{fields[19]}"
    return ""


def send(process: Identity, number: signal.Signals) -> bool:
    """Whether it was there to be signalled. The descriptor is held first, so the pid cannot change hands in between."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(process):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def launch(program: Program, log: Path) -> Running:
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.touch(mode=0o600)
    run = subprocess.run(
        ["/bin/sh", "-c", DETACHED, "sh", *program.argv],
        env={**os.environ, **program.environment, "ORDERHUB_LOG": str(log)},
        cwd=program.folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Running(identity(int(run.stdout)), program.stop_signal, program.grace_seconds)


def wait_ready(program: Program, process: Identity, log: Path) -> None:
    """Raises Refused with the end of its log when it ends, or when its time is up."""
    until = time.monotonic() + program.within_seconds
    while True:
        reason = _not_ready(program)
        # Asked after the answer: a stranger on the same port may answer in place of one that died.
        if not is_alive(process):
            raise Refused(f"{program.name} ended before it was ready{tail(log)}")
        if not reason:
            return
        if time.monotonic() > until:
            raise Refused(
                f"{program.name} is not ready after {program.within_seconds:.0f} s ({reason}){tail(log)}"
            )
        time.sleep(POLL_SECONDS)


def _not_ready(program: Program) -> str:
    try:
        program.ready()
    except (NotReady, OSError) as problem:
        return str(problem) or type(problem).__name__
    return ""


def tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:] if log.exists() else []
    said = "\n".join(f"  | {line}" for line in lines) or "  | (it said nothing)"
    return f"; the end of its log {log}:\n{said}"


def stop_all(running: Sequence[Running]) -> None:
    """Asks all of them at once, as members of a cluster may wait for each other, and kills who is still there."""
    for one in running:
        send(one.process, one.stop_signal)
    until = time.monotonic() + max((one.grace_seconds for one in running), default=0.0)
    while time.monotonic() < until and any(one.is_alive() for one in running):
        time.sleep(POLL_SECONDS)
    for one in running:
        kill(one.process)


def kill(process: Identity) -> None:
    """Returns when it is gone."""
    send(process, signal.SIGKILL)
    until = time.monotonic() + KILL_SECONDS
    while is_alive(process):
        if time.monotonic() > until:
            raise Refused(f"process {process.pid} does not end, even when killed")
        time.sleep(POLL_SECONDS)
