"""Ctrl-C in the first moments of a command, while its code is still being loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def _heeds_interrupts() -> None:
    """What runs the tests may ignore SIGINT, as a shell's background does; the command here must not inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupt_while_code_is_loaded_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "cyclopts.py").write_text("import signal\nprint('loading', flush=True)\nsignal.pause()\n")
    command = subprocess.Popen(
        [sys.executable, "-m", "orderhub", "version"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heeds_interrupts,
    )
    try:
        assert command.stdout is not None
        assert command.stdout.readline() == "loading\n"
        command.send_signal(signal.SIGINT)
        assert command.communicate(timeout=20) == ("", "")
    finally:
        command.kill()
        command.wait()
    assert command.returncode == -signal.SIGINT
