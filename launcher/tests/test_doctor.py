"""`doctor`: what is wrong is named with its remedy, and a good machine with a new folder has nothing wrong."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from orderhub import doctor, home, ports
from orderhub.exits import Exit
from orderhub.output import Output

Ask = Callable[..., dict[str, str]]


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """What `doctor` finds wrong in a folder of its own, by what it looked at."""
    for name in [name for name in os.environ if name.startswith("ORDERHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def ask(port: int = 0) -> dict[str, str]:
        code = doctor.run(home.at(tmp_path / "home"), Output(as_json=True), port=port or ports.free_port())
        said = json.loads(capsys.readouterr().out)
        found = {one["what"]: one["wrong"] for one in said["looked_at"] if one["wrong"]}
        assert (code, said["well"]) == ((Exit.FOUND, False) if found else (Exit.DONE, True))
        return found

    return ask


def test_a_good_machine_with_a_new_folder_has_nothing_wrong(wrong: Ask) -> None:
    assert wrong() == {}


def test_a_taken_port_is_named(wrong: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "is in use" in wrong(taken.getsockname()[1])["port"]


def test_a_folder_with_foreign_things_is_named(wrong: Ask) -> None:
    Path("home").mkdir()
    Path("home/diary.txt").touch()
    assert "is not empty and no data folder of OrderHub" in wrong()["data folder"]


def test_a_folder_that_cannot_be_started_in_is_named(wrong: Ask, tmp_path: Path) -> None:
    place = home.at(tmp_path / "home")
    with home.opened(place.path) as held:
        held.secret("cursor_key")
    assert "half-initialised: run `orderhub reset`" in wrong()["data folder"]
    with home.opened(place.path, unfinished=True) as held:
        held.mark_initialised()
    assert "data folder" not in wrong()
    (place.path / "secrets.json").write_text("{")
    assert "secrets.json is damaged" in wrong()["data folder"]
    (place.path / "initialised.json").write_text('{"layout": 99}')
    assert "made by another version" in wrong()["data folder"]


def test_a_file_in_the_place_of_the_folder_is_named(wrong: Ask) -> None:
    Path("home").write_text("mine")
    Path("home").chmod(0o700)
    assert "is no folder" in wrong()["data folder"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ORDERHUB_PORT", "many", "ORDERHUB_PORT: must be a whole number, not 'many'"),
        ("ORDERHUB_ORDERS_CALL_TIMEOUT", "-1", "ORDERHUB_ORDERS_CALL_TIMEOUT: must not be negative"),
        ("ORDERHUB_DELIVERY_RULES_FOLDER", "/nowhere", "ORDERHUB_DELIVERY_RULES_FOLDER: must be a folder"),
        ("ORDERHUB_INTERNAL_KEY", "short", "ORDERHUB_INTERNAL_KEY: must have at least 32 characters"),
        ("ORDERHUB_LOG_LEVLE", "info", "ORDERHUB_LOG_LEVLE: no part reads it"),
    ],
)
def test_a_wrong_setting_is_named_once(
    wrong: Ask, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    assert wrong()["settings"].startswith(words)
    assert wrong()["settings"].count(name) == 1


def test_files_of_settings_that_are_no_good_are_named(wrong: Ask) -> None:
    Path("orderhub.yaml").write_text("log_level: [")
    assert wrong()["settings"].startswith("ORDERHUB_CONFIG: orderhub.yaml cannot be read")
    Path("orderhub.yaml").unlink()
    Path(".env").write_text("LOG LEVEL\n")
    assert ".env: line 1 is no NAME=value" in wrong()["settings"]


def test_a_good_setting_is_no_mistake(wrong: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHUB_INTERNAL_KEY", "k" * 40)
    monkeypatch.setenv("ORDERHUB_ORDERS_LOG_LEVEL", "debug")
    assert wrong() == {}
