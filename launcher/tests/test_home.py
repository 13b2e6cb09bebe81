"""The data folder: made closed, owned by one process, and every refusal is one line that says what to do."""

from __future__ import annotations

import errno
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from orderhub import embedded, home
from orderhub.exits import Exit


def refusal_of(path: Path, **options: bool | int) -> str:
    with pytest.raises(home.HomeRefused) as refused, home.opened(path, **options):
        pass
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_a_new_folder_is_made_with_its_parents_and_closed_to_others(tmp_path: Path) -> None:
    with home.opened(tmp_path / "a" / "b") as opened:
        assert opened.path == tmp_path / "a" / "b"
        assert opened.path.stat().st_mode & 0o777 == 0o700


def test_the_folder_is_where_the_variable_says(tmp_path: Path) -> None:
    assert home.locate({"ORDERHUB_HOME": str(tmp_path / "x")}) == tmp_path / "x"
    assert home.locate({"ORDERHUB_HOME": "~/x"}) == Path.home() / "x"
    assert home.locate({}).name == ".orderhub"
    assert (home.locate({}).parent / "uv.lock").exists()


def test_a_second_holder_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with home.opened(tmp_path):
        assert f"in use by process {os.getpid()}" in refusal_of(tmp_path)
    with home.opened(tmp_path):
        pass


def test_a_folder_in_use_ends_the_command_with_the_code_for_that(tmp_path: Path) -> None:
    with home.opened(tmp_path), pytest.raises(home.HomeRefused) as refused, home.opened(tmp_path):
        pass
    assert refused.value.code == Exit.NOT_NOW


def test_nothing_runs_in_a_place_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert home.at(tmp_path / "file").runtime() is None


def test_a_path_too_long_to_look_at_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(home.HomeRefused, match="too long"):
        home.at(tmp_path / ("x" * 300)).runtime()


def test_a_full_disk_hinders_neither_the_lock_nor_a_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets.json").write_text("{}")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with home.opened(tmp_path, unfinished=True) as opened:
        assert opened.is_running
        opened.wipe()
    assert not (tmp_path / "secrets.json").exists()


def test_the_lock_ends_with_a_killed_holder(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from orderhub import embedded, home\n"
        "with home.opened(Path(sys.argv[1])): print('held', flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert f"process {holder.pid}" in refusal_of(tmp_path)
        assert home.at(tmp_path).is_running
        holder.kill()
    assert not home.at(tmp_path).is_running
    with home.opened(tmp_path):
        pass


def test_a_folder_with_foreign_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    tmp_path.chmod(0o755)
    assert "is not empty and no data folder" in refusal_of(tmp_path)
    assert os.listdir(tmp_path) == ["letters.txt"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_the_installations_own_tools_are_no_foreign_thing(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    with home.opened(tmp_path) as opened:
        assert not opened.is_initialised


def test_a_start_that_was_cut_off_is_named_and_reset_may_pass(tmp_path: Path) -> None:
    with home.opened(tmp_path) as opened:
        opened.secret("internal_key")
    message = refusal_of(tmp_path)
    assert "half-initialised" in message
    assert "orderhub reset" in message
    with home.opened(tmp_path, unfinished=True) as opened:
        opened.wipe()
    with home.opened(tmp_path) as opened:
        opened.secret("internal_key")
        opened.mark_initialised()
    with home.opened(tmp_path) as opened:
        assert opened.is_initialised


def test_data_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "initialised.json").write_text('{"layout": 99}')
    assert "layout 99" in refusal_of(tmp_path)


def test_a_full_disk_is_named_before_anything_is_written(tmp_path: Path) -> None:
    assert "is full" in refusal_of(tmp_path, least_free=10**18)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is no folder" in refusal_of(tmp_path / "file")
    assert "is no folder" in refusal_of(tmp_path / "file" / "below")


def test_a_path_too_long_for_the_system_is_named(tmp_path: Path) -> None:
    assert "too long" in refusal_of(tmp_path / ("x" * 300))


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    place = Path("/proc") if os.geteuid() == 0 else tmp_path  # root may write everywhere but there
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
    assert "cannot write to the data folder" in refusal_of(place / "orderhub")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_folder_of_somebody_else_is_named(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from orderhub import embedded, home\n"
        "os.setuid(int(sys.argv[2]))\n"
        "try:\n with home.opened(Path(sys.argv[1])): pass\n"
        "except home.HomeRefused as refusal: print(refusal)"
    )
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    command = [sys.executable, "-c", code, str(closed), str(pwd.getpwnam("nobody").pw_uid)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"cannot write to the data folder {closed} (Permission denied)")


def test_a_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    with home.opened(tmp_path) as opened:
        first = opened.secret("internal_key")
        assert len(first) == 43
        assert opened.secret("internal_key") == first
        assert opened.secret("cursor_key") != first
    assert home.at(tmp_path).secrets()["internal_key"] == first
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_secrets_that_somebody_chose_are_kept_like_generated_ones(tmp_path: Path) -> None:
    with home.opened(tmp_path) as opened:
        opened.keep_secrets({"internal_key": "chosen"})
        assert opened.secret("internal_key") == "chosen"
    assert home.at(tmp_path).secrets() == {"internal_key": "chosen"}
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00"])
def test_damaged_secrets_are_never_replaced_by_new_ones(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(home.HomeRefused, match=r"secrets\.json is damaged"):
        home.at(tmp_path).secret("internal_key")
    assert (tmp_path / "secrets.json").read_text() == content


def test_the_note_of_what_runs_is_whole_and_counts_only_while_it_runs(tmp_path: Path) -> None:
    note = home.Runtime(
        os.getpid(), "2026-01-01T00:00:00Z", {"postgres": 7}, {"gateway": "http://127.0.0.1:1"}
    )
    with home.opened(tmp_path) as opened:
        opened.write_runtime(note)
        assert home.at(tmp_path).runtime() == note
        newer = {**json.loads((tmp_path / "runtime.json").read_text()), "a_later_field": 1}
        home.write_private(tmp_path / "runtime.json", newer)
        assert home.at(tmp_path).runtime() == note
    assert home.at(tmp_path).runtime() is None


def test_wiping_leaves_the_installations_tools(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    with home.opened(tmp_path) as opened:
        opened.secret("internal_key")
        opened.mark_initialised()
        opened.postgres.mkdir()
        opened.wipe()
    assert sorted(os.listdir(tmp_path)) == ["lock", "tools"]


def test_a_path_that_fits_no_socket_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "SOCKET_PATH_LIMIT", 4096)
    assert home.at(tmp_path).socket_notice() is None
    monkeypatch.undo()
    deep = tmp_path / ("long-" * 30)
    deep.mkdir()
    notice = home.at(deep).socket_notice()
    assert notice is not None
    assert "\n" not in notice
