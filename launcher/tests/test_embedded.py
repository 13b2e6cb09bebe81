"""The embedded parts: they start, keep their data, and are gone when their starter is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from orderhub import children, embedded


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _until(condition: Callable[[], bool], within: float = 10.0) -> bool:
    end = time.monotonic() + within
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def _starter(code: str, *arguments: object) -> tuple[subprocess.Popen[str], list[int]]:
    """A process that starts something, prints the pids on one line and waits to be killed."""
    script = f"import signal, sys\nfrom pathlib import Path\n{textwrap.dedent(code)}\nsignal.pause()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, [int(pid) for pid in process.stdout.readline().split()]


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with embedded.postgres(tmp_path_factory.mktemp("pg")) as running:
        yield running


async def test_both_addresses_of_postgres_take_connections(server: embedded.Postgres) -> None:
    assert server.ensure_database("both_addresses")
    assert not server.ensure_database("both_addresses")
    for dsn in (server.dsn("both_addresses"), server.tcp_dsn("both_addresses")):
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("select current_database()") == "both_addresses"
        await connection.close()


async def test_the_loopback_port_refuses_a_wrong_password(server: embedded.Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.tcp_dsn("postgres").replace(server.password, "wrong"))


@pytest.mark.parametrize(
    ("setting", "value"), [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")]
)
def test_nothing_that_a_crash_could_lose_is_switched_off(
    server: embedded.Postgres, setting: str, value: str
) -> None:
    assert server.sql(f"show {setting}") == value


def test_letters_beyond_ascii_change_case(server: embedded.Postgres) -> None:
    assert server.sql("select lower('ÄЖ')") == "äж"


def test_data_survives_a_stop_and_a_start(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path) as first:
        first.sql("create table kept as select 7 as n")
        pid = first.pid
    assert not _alive(pid)
    with embedded.postgres(tmp_path, settings={"work_mem": "5MB"}) as second:
        assert second.sql("select n from kept") == "7"
        assert second.sql("show work_mem") == "5MB"


def test_a_path_too_long_for_sockets_still_works(tmp_path: Path) -> None:
    deep = tmp_path / ("long-" * 20) / "and, odd"
    with embedded.postgres(deep / "pg") as server, embedded.redis(deep / "redis") as cache:
        assert server.sql("select 1") == "1"
        assert deep not in server.sockets.parents
        assert server.sockets.stat().st_mode & 0o777 == 0o700
        sockets = cache.socket.parent
    assert not sockets.exists()


def test_a_socket_folder_that_somebody_else_prepared_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("long-" * 20)
    folder = embedded.socket_folder(deep)
    folder.chmod(0o777)
    try:
        with pytest.raises(embedded.StartRefused, match="not a private folder"):
            embedded.socket_folder(deep)
    finally:
        folder.rmdir()


def test_postgres_ends_when_its_starter_is_killed_and_starts_again(tmp_path: Path) -> None:
    code = """
    from orderhub import children, embedded
    server = embedded.start_postgres(Path(sys.argv[1]))
    server.sql("create table kept as select 7 as n")
    print(server.pid, flush=True)
    """
    starter, (pid,) = _starter(code, tmp_path)
    assert _alive(pid)
    _kill(starter)
    with embedded.postgres(tmp_path) as again:  # at once: the old one may still be in its shutdown
        assert again.sql("select n from kept") == "7"
    assert _until(lambda: not _alive(pid))


def test_postgres_started_by_a_thread_outlives_that_thread(tmp_path: Path) -> None:
    code = """
    import threading
    from orderhub import children, embedded
    started = []
    thread = threading.Thread(target=lambda: started.append(embedded.start_redis(Path(sys.argv[1]))))
    thread.start()
    thread.join()
    print(started[0].pid, flush=True)
    """
    starter, (pid,) = _starter(code, tmp_path)
    try:
        assert not _until(lambda: not _alive(pid), within=0.3)
    finally:
        _kill(starter)
    assert _until(lambda: not _alive(pid))


def test_redis_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    code = """
    from orderhub import children, embedded
    print(embedded.start_redis(Path(sys.argv[1])).pid, flush=True)
    """
    starter, (pid,) = _starter(code, tmp_path)
    assert _alive(pid)
    _kill(starter)
    assert _until(lambda: not _alive(pid))


@contextlib.contextmanager
def _left_behind(
    tmp_path: Path, argv: list[str], user: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "left-behind.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_postgres_left_behind_in_the_folder_is_stopped_and_replaced(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path) as first:
        command = Path(f"/proc/{first.pid}/cmdline").read_bytes().split(b"\0")
    arguments = [os.fsdecode(part) for part in command if part]
    (tmp_path / "run").mkdir(exist_ok=True)
    unbound = [sys.executable, str(children.HOLD), "0", "0", first.child.program.user]
    with _left_behind(tmp_path, [*unbound, *arguments]) as old:
        lines = tmp_path / "data" / "postmaster.pid"
        assert _until(lambda: lines.exists() and "ready" in lines.read_text())
        with embedded.postgres(tmp_path) as second:
            assert second.pid != old.pid
            assert old.wait(1) == 0
            assert second.sql("select 1") == "1"


def test_a_pid_file_whose_pid_another_program_has_by_now_does_no_harm(tmp_path: Path) -> None:
    with embedded.postgres(tmp_path) as first:
        content = (tmp_path / "data" / "postmaster.pid").read_text()
        owner = first.child.program.user
    sleeper = subprocess.Popen(["sleep", "60"], user=owner or None)
    try:
        (tmp_path / "data" / "postmaster.pid").write_text(
            content.replace(content.split("\n")[0], str(sleeper.pid), 1)
        )
        with embedded.postgres(tmp_path) as second:
            assert second.sql("select 1") == "1"
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_redis_left_behind_in_the_folder_is_stopped_and_replaced(tmp_path: Path) -> None:
    with embedded.redis(tmp_path) as first:
        configuration = tmp_path / "redis.conf"
        binary, address = first.child.program.argv[0], first.socket
    address.parent.mkdir(exist_ok=True)
    with _left_behind(tmp_path, [binary, str(configuration)]) as old:
        assert _until(lambda: embedded._ask_redis(address, "PING") == "+PONG")
        with embedded.redis(tmp_path) as second:
            assert second.pid != old.pid
            assert old.wait(5) == 0


def test_redis_keeps_what_it_knew_over_a_stop(tmp_path: Path) -> None:
    with embedded.redis(tmp_path) as first:
        assert embedded._ask_redis(first.socket, "SET revoked 1") == "+OK"
    with embedded.redis(tmp_path) as second:
        assert embedded._ask_redis(second.socket, "GET revoked").endswith("1")


def test_a_missing_redis_says_in_one_line_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(embedded.StartRefused, match=r"valkey-server .* ORDERHUB_REDIS_URL") as refusal:
        embedded.redis_binary()
    assert "\n" not in str(refusal.value)


def test_a_broken_setting_of_postgres_is_named(tmp_path: Path) -> None:
    with pytest.raises(embedded.StartRefused, match="shared_buffers"):
        embedded.start_postgres(tmp_path, settings={"shared_buffers": "much"})


def test_stopping_asks_before_it_kills(server: embedded.Postgres) -> None:
    assert [number for number, _ in server.child.program.stops] == [
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGKILL,
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who has to become somebody else for PostgreSQL")
def test_programs_in_a_folder_closed_to_others_are_found_and_run_for_root(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nid -un\n")
    program.chmod(0o700)
    tmp_path.chmod(0o700)
    look = "import os, sys; path = sys.argv[1]; os.access(path, os.X_OK) or sys.exit('not found'); os.execv(path, [path])"
    wrapper = [sys.executable, str(children.HOLD), "0", "0", "nobody"]
    run = subprocess.run(
        [*wrapper, sys.executable, "-c", look, str(program)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "nobody\n", "")
