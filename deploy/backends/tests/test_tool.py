"""The tool itself, with servers of a few lines of Python and packages that are files."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from orderhub_backends import cli, control, fetch, machine, pins, probes, processes
from orderhub_backends.errors import Refused
from orderhub_backends.places import Places
from orderhub_backends.processes import Identity, Program
from orderhub_backends.room import Part, Plan, Room, free_port

SERVER = "import http.server,sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SERVER}"
MakeBackends = Callable[..., control.Backends]


def a_part(name: str, script: str = SERVER, needs: tuple[str, ...] = (), grace_seconds: float = 5.0) -> Part:
    def plan(room: Room) -> Plan:
        port = room.port(name)
        argv = [sys.executable, "-c", script, str(port)]
        program = Program(
            name, argv, probes.http_says(port, "/"), folder=room.folder, grace_seconds=grace_seconds
        )
        return Plan([program], {"url": f"http://127.0.0.1:{port}", "secret": room.secret("s")})

    return Part(name, ("redis",), plan, needs)


@pytest.fixture
def make_backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBackends]:
    """`make_backends(part, …)`: a table of these parts in a folder of its own; what they started is gone afterwards."""
    monkeypatch.setattr(fetch, "installed", lambda pin, cache: cache)
    made: list[control.Backends] = []

    def make(*parts: Part) -> control.Backends:
        backends = control.Backends(
            Places(tmp_path / "b", tmp_path / "cache"), {part.name: part for part in parts}
        )
        made.append(backends)
        return backends

    yield make
    for backends in made:
        list(backends.down())


def notes(backends: control.Backends) -> dict[str, dict[str, dict[str, str]]]:
    read: dict[str, dict[str, dict[str, str]]] = json.loads(backends.places.processes.read_text())
    return read


def pid_of(backends: control.Backends, name: str) -> int:
    return int(notes(backends)[name][name]["pid"])


def test_ports_are_drawn_from_all_there_are() -> None:
    """Two folders that choose at the same moment would else choose the same."""
    assert len({free_port() for _ in range(100)}) > 90


def test_what_is_up_is_noted_and_answers_and_is_gone_after_down(make_backends: MakeBackends) -> None:
    backends = make_backends(a_part("one"), a_part("two", needs=("one",)))
    lines = list(backends.up(["two"]))
    assert [(line.name, line.state) for line in lines] == [("one", "started"), ("two", "started")]
    running = json.loads(backends.places.running.read_text())
    assert set(running) == {"one", "two"}
    assert backends.places.running.stat().st_mode & 0o077 == 0
    probes.http_says(int(running["two"]["url"].rpartition(":")[2]), "/")()
    processes_of_them = [processes.identity(pid_of(backends, name)) for name in ("one", "two")]
    assert [line.name for line in backends.down()] == ["two", "one"]
    assert not any(processes.is_alive(one) for one in processes_of_them)
    assert json.loads(backends.places.running.read_text()) == {}
    assert not list((backends.places.folder / "run").iterdir())


def test_what_runs_already_is_said_and_left_alone(make_backends: MakeBackends) -> None:
    backends = make_backends(a_part("one"))
    list(backends.up())
    before = notes(backends)
    assert [line.state for line in backends.up()] == ["running already"]
    assert notes(backends) == before


def test_a_killed_part_starts_again_on_its_port_with_its_data_and_secrets(
    make_backends: MakeBackends,
) -> None:
    backends = make_backends(a_part("one"))
    list(backends.up())
    address, first = backends.places.running.read_text(), pid_of(backends, "one")
    (backends.places.run("one") / "kept").write_text("")
    backends.kill("one")
    assert not backends.is_running("one")
    assert [line.state for line in backends.status()] == ["not running"]
    backends.start("one")
    assert pid_of(backends, "one") != first
    assert backends.places.running.read_text() == address
    assert (backends.places.run("one") / "kept").exists()
    with pytest.raises(Refused, match="one is running"):
        backends.start("one")


def test_down_keeps_data_and_ports_when_asked(make_backends: MakeBackends) -> None:
    backends = make_backends(a_part("one"))
    list(backends.up())
    address = backends.places.running.read_text()
    list(backends.down(keep=True))
    list(backends.up())
    assert backends.places.running.read_text() == address


def test_who_needs_a_part_goes_down_with_it(make_backends: MakeBackends) -> None:
    backends = make_backends(a_part("one"), a_part("two", needs=("one",)), a_part("three"))
    list(backends.up())
    assert [line.name for line in backends.down(["one"])] == ["two", "one"]
    assert backends.is_running("three")


def test_a_part_that_does_not_listen_to_its_signal_is_killed(make_backends: MakeBackends) -> None:
    backends = make_backends(a_part("one", STUBBORN, grace_seconds=0.3))
    list(backends.up())
    process = processes.identity(pid_of(backends, "one"))
    backends.stop("one")
    assert not processes.is_alive(process)


def test_a_part_that_dies_shows_its_log_and_leaves_the_others_noted(
    make_backends: MakeBackends, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    backends = make_backends(a_part("one"), a_part("two", "raise SystemExit('the disk is on fire')"))
    monkeypatch.setattr(cli, "Backends", lambda places: backends)
    assert cli.main(["up"]) == 1
    said = capsys.readouterr()
    assert "two ended before it was ready" in said.err
    assert "the disk is on fire" in said.err
    assert str(backends.places.log("two")) in said.err
    assert "one" in said.out
    assert [line.state for line in backends.status()] == ["running", "not running"]


def test_an_unknown_name_is_answered_with_the_list(
    make_backends: MakeBackends, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    backends = make_backends(a_part("one"), a_part("two"))
    monkeypatch.setattr(cli, "Backends", lambda places: backends)
    assert cli.main(["up", "three"]) == 1
    assert "there is no three; there are one, two" in capsys.readouterr().err
    assert cli.main(["kill", "one"]) == 1
    assert "one was not started; started are none" in capsys.readouterr().err


def test_a_pid_that_belongs_to_somebody_else_by_now_is_not_signalled() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        found = processes.identity(stranger.pid)
        assert processes.is_alive(found)
        earlier = Identity(stranger.pid, found.started + "0")
        assert not processes.is_alive(earlier)
        assert processes.send(earlier, signal.SIGKILL) is False
        processes.kill(earlier)
        assert stranger.poll() is None
        assert processes.send(found, signal.SIGKILL)
        stranger.wait()
        assert not processes.is_alive(found)


def test_a_zombie_is_not_alive() -> None:
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", "input()"], {})
    found = processes.identity(child)
    processes.kill(found)  # returns although nobody has buried it
    assert not processes.is_alive(found)
    os.waitpid(child, 0)


def test_secrets_are_not_printed() -> None:
    address = {"url": "postgresql://orderhub:deadbeef@127.0.0.1:1/postgres", "password": "deadbeef"}
    said = cli.said(control.Line("postgres15", "15", "started", address))
    assert "deadbeef" not in said
    assert "postgresql://orderhub:***@127.0.0.1:1/postgres" in said
    assert "***" in cli.hide("rediss://:deadbeef@127.0.0.1:1/0")


def test_ports_are_free_and_below_those_of_clients() -> None:
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(1024 < free_port() < highest for _ in range(20))


def test_a_port_is_promised_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderhub_backends.room.PORTS", range(29_000, 29_200))
    ports = [Room(tmp_path / f"room-{number}", {}, {}).port("one") for number in range(40)]
    assert len(set(ports)) == 40


def test_a_wrong_checksum_names_the_file_what_is_expected_and_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"a")
    found = hashlib.sha256(b"a").hexdigest()
    fetch.check_files(tmp_path, {"a.jar": found})
    with pytest.raises(Refused, match=f"a.jar is not the file .* {'0' * 64} expected, {found} found"):
        fetch.check_files(tmp_path, {"a.jar": "0" * 64})


def test_a_file_that_is_missing_or_not_pinned_is_named(tmp_path: Path) -> None:
    (tmp_path / "new.jar").write_bytes(b"")
    with pytest.raises(Refused, match=r"did not come: \['old.jar'\]; .* not pinned: \['new.jar'\]"):
        fetch.check_files(tmp_path, {"old.jar": ""})


def test_a_go_module_of_another_sum_is_refused() -> None:
    pin = pins.Go("a", "v1", "example/a", ".", "h1:expected")
    with pytest.raises(Refused, match="h1:expected expected, h1:other found"):
        fetch.check_module(pin, "h1:other")


def test_an_installation_is_made_once_and_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin, calls = pins.Go("a", "v1", "example/a", ".", "h1:x"), []

    def bring(_: pins.Go, folder: Path, __: Path) -> None:
        calls.append(folder)
        (folder / "half").write_text("")
        if len(calls) == 1:
            raise Refused("no network")

    monkeypatch.setattr(fetch, "bring_go", bring)
    with pytest.raises(Refused, match="no network"):
        fetch.installed(pin, tmp_path)
    folder = fetch.installed(pin, tmp_path)
    assert fetch.installed(pin, tmp_path) == folder
    assert len(calls) == 2


def test_another_checksum_is_another_installation() -> None:
    one = pins.Go("a", "v1", "example/a", ".", "h1:x")
    other = pins.Go("a", "v1", "example/a", ".", "h1:y")
    assert pins.fingerprint(one) != pins.fingerprint(other)


def test_a_security_update_of_debian_takes_the_place_of_what_is_pinned_but_no_other_major_version() -> None:
    pinned = {"postgresql-15": pins.Deb("15.18-0+deb12u1", ""), "redis-tools": pins.Deb("5:7.0.15-1", "")}
    same = {"postgresql-15": ["15.20-0+deb12u1", "15.18-0+deb12u1"], "redis-tools": ["5:7.0.15-1"]}
    assert fetch.choose(pinned, same) == {"postgresql-15": "15.18-0+deb12u1", "redis-tools": "5:7.0.15-1"}
    newer = {"postgresql-15": ["15.20-0+deb12u1"], "redis-tools": ["5:8.0.2-3"]}
    assert fetch.choose(pinned, newer) == {"postgresql-15": "15.20-0+deb12u1", "redis-tools": ""}
    assert fetch.choose(pinned, {}) == {"postgresql-15": "", "redis-tools": ""}


def test_an_archive_keeps_the_modes_of_its_programs(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        entry = zipfile.ZipInfo("bin/run.sh")
        entry.external_attr = 0o755 << 16
        packed.writestr(entry, "#!/bin/sh\n")
    fetch.unpack(archive, tmp_path / "out")
    assert os.access(tmp_path / "out" / "bin" / "run.sh", os.X_OK)


def test_a_program_that_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Refused, match="mvn is not here: install maven and run this again"):
        machine.need("mvn")


def test_every_part_has_its_pins_and_its_needs_before_it() -> None:
    known, before = pins.all_pins(), set()
    for part in control.PARTS.values():
        assert set(part.pins) <= set(known)
        assert set(part.needs) <= before
        before.add(part.name)
    assert {pin for part in control.PARTS.values() for pin in part.pins} == set(known)
