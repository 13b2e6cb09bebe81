"""Children: they log, stop in time, come back by their policy, and never outlive the launcher."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from orderhub import children

Eventually = Callable[..., Awaitable[Any]]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def program(tmp_path: Path, code: str, **over: object) -> children.Program:
    values = {
        "name": "child",
        "argv": [sys.executable, "-c", code],
        "log": tmp_path / "logs" / "child.log",
        **over,
    }
    return children.Program(**values)  # type: ignore[arg-type]


def wait_for(log: Path, text: str) -> None:
    end = time.monotonic() + 10
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < end, f"{text!r} never showed up in {log}"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_what_a_child_prints_is_in_its_log_which_only_we_may_read(tmp_path: Path) -> None:
    one = program(tmp_path, "import sys; print('out'); print('err', file=sys.stderr)")
    assert children.start(one).wait(10) == 0
    assert children.start(one).wait(10) == 0
    assert sorted(one.log.read_text().split()) == ["err", "err", "out", "out"]
    assert one.log.stat().st_mode & 0o777 == 0o600


def test_stopping_kills_what_ignores_the_request(tmp_path: Path) -> None:
    stops = ((signal.SIGTERM, 0.2), (signal.SIGKILL, 5.0))
    child = children.start(program(tmp_path, STUBBORN, stops=stops))
    wait_for(child.program.log, "up")
    assert child.stop() == -signal.SIGKILL


def test_stopping_waits_for_a_child_that_finishes_its_work(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_): time.sleep(0.3); print('finished', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); signal.pause()"
    )
    child = children.start(program(tmp_path, code))
    wait_for(child.program.log, "up")
    assert child.stop() == 0
    assert "finished" in child.program.log.read_text()


def test_the_terminals_interrupt_does_not_reach_a_child(tmp_path: Path) -> None:
    child = children.start(program(tmp_path, STUBBORN, stops=((signal.SIGKILL, 5.0),)))
    try:
        assert os.getpgid(child.pid) == child.pid != os.getpgrp()
    finally:
        child.stop()


def test_a_program_that_cannot_be_executed_ends_with_the_reason_in_its_log(tmp_path: Path) -> None:
    child = children.start(program(tmp_path, "", argv=["/nowhere/at-all"]))
    assert child.wait(10) != 0
    assert "cannot start /nowhere/at-all" in children.last_lines(child.program.log)[-1]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_ignores_everything_ends_with_its_launcher(
    tmp_path: Path, ending: signal.Signals
) -> None:
    log = tmp_path / "child.log"
    code = (
        "import signal, sys; from pathlib import Path; from orderhub import children\n"
        f"program = children.Program('child', [sys.executable, '-c', {STUBBORN!r}], Path({str(log)!r}))\n"
        "print(children.start(program).pid, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        pid = int(launcher.stdout.readline())
        wait_for(log, "up")
        launcher.send_signal(ending)
    end = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < end, "the child outlived its launcher"
        time.sleep(0.01)


async def test_a_child_comes_back_as_often_as_its_policy_allows_and_is_then_lost(tmp_path: Path) -> None:
    seen: list[bool] = []
    policy = children.Restart(limit=2, pause=0.01)
    async with children.Supervisor(lambda _, comes_back: seen.append(comes_back)) as supervisor:
        await supervisor.start(
            program(tmp_path, "print('run', flush=True); raise SystemExit(3)", restart=policy)
        )
        lost = await asyncio.wait_for(supervisor.lost(), 10)
    assert seen == [True, True, False]
    assert lost.code == 3
    assert "ended with 3" in str(lost)
    assert (tmp_path / "logs" / "child.log").read_text().split() == ["run"] * 3


async def test_a_killed_child_comes_back_as_another_process(tmp_path: Path, eventually: Eventually) -> None:
    came_back = asyncio.Event()
    async with children.Supervisor(lambda *_: came_back.set()) as supervisor:
        restart = children.Restart(limit=5, pause=0.01)
        first = await supervisor.start(
            program(tmp_path, STUBBORN, restart=restart, stops=((signal.SIGKILL, 5.0),))
        )
        first.send(signal.SIGKILL)
        await asyncio.wait_for(came_back.wait(), 10)

        async def pids() -> dict[str, int]:
            return supervisor.pids

        second = (await eventually(pids))["child"]
        assert second != first.pid
    assert not alive(second)


async def test_leaving_the_supervisor_stops_the_last_started_first_and_tells_of_no_exit(
    tmp_path: Path,
) -> None:
    exits: list[children.Exit] = []
    code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print(sys.argv[1], flush=True), sys.exit())); print('up', flush=True); signal.pause()"
    async with children.Supervisor(lambda exit_, _: exits.append(exit_)) as supervisor:
        for name in ("first", "second"):
            argv = [sys.executable, "-c", code, name]
            await supervisor.start(program(tmp_path, code, name=name, argv=argv))
            await asyncio.to_thread(wait_for, tmp_path / "logs" / "child.log", "up")
        await asyncio.to_thread(wait_for, tmp_path / "logs" / "child.log", "up\nup")
    assert (tmp_path / "logs" / "child.log").read_text().split() == ["up", "up", "second", "first"]
    assert exits == []


async def test_stopping_during_the_pause_before_a_return_starts_nothing_more(tmp_path: Path) -> None:
    ended = asyncio.Event()
    async with children.Supervisor(lambda *_: ended.set()) as supervisor:
        restart = children.Restart(limit=5, pause=60.0, longest=60.0)
        await supervisor.start(program(tmp_path, "print('run', flush=True)", restart=restart))
        await asyncio.wait_for(ended.wait(), 10)
        await asyncio.wait_for(supervisor.stop_all(), 5)
    assert (tmp_path / "logs" / "child.log").read_text().split() == ["run"]


def test_the_pause_before_a_return_doubles_up_to_its_limit() -> None:
    policy = children.Restart(limit=9, pause=0.5, longest=3.0)
    assert [policy.pause_before(n) for n in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]
