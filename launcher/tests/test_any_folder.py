"""The command from any folder: what lies there is the user's, and none of it is ours to import."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from orderhub import programs

ROOT = Path(__file__).resolve().parents[2]
BARE = {name: value for name, value in os.environ.items() if not name.startswith("ORDERHUB_")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's working folder with scripts whose names are those of modules."""
    for name in ("http", "platform", "tokens", "orderhub", "orderhub_simulator"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a script of the user was run')\n")
    return tmp_path


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=BARE, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command_imports_nothing_from_the_folder_it_is_called_in(folder: Path) -> None:
    done = _run([str(ROOT / "orderhub"), "version", "--json"], folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_nor_do_the_processes_that_it_starts(folder: Path) -> None:
    started = [
        programs.simulator({}, folder),
        *programs.services({}, "1", folder, after=folder / "never"),
    ]
    for program in started:
        done = _run([str(part) for part in program.argv], folder)
        assert "ORDERHUB_" in done.stderr, done.stderr
        assert "script of the user" not in done.stderr
