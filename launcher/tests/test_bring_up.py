"""The bring-up for real: a copy of the checkout on a machine whose python3 has no pip, from empty folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", ".orderhub", ".*_cache", ".hypothesis", "__pycache__")


@pytest.mark.full
def test_a_copy_installs_itself_without_pip_and_at_once_the_second_time(tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "copy", ignore=NOT_COPIED)
    venv.create(tmp_path / "no-pip", with_pip=False, symlinks=True)
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        # Not uv's settings, nor those of the make that may run this test: a make below another one talks.
        **{n: v for n, v in os.environ.items() if not n.startswith(("UV_", "MAKE", "MFLAGS"))},
        "HOME": str(home),
        "PYTHON": str(tmp_path / "no-pip" / "bin" / "python3"),
    }

    def make(target: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", target],
            cwd=tmp_path / "copy",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    first = make("venv")
    assert first.returncode == 0, first.stderr
    assert "from the package index" in first.stderr
    assert first.stdout == ""
    python = tmp_path / "copy" / ".venv" / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import orderhub, pytest; print(orderhub.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert where.stdout.startswith(str(tmp_path / "copy" / "launcher"))
    assert (tmp_path / "copy" / ".orderhub").stat().st_mode & 0o777 == 0o700
    second = make("venv")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert sys.version_info[:2] == tuple(
        int(part)
        for part in (python.parent.parent / "pyvenv.cfg")
        .read_text()
        .split("version_info = ")[1]
        .split(".")[:2]
    )
