"""The tools at the root: the bring-up follows the machine's settings, the house rules see what they forbid."""

from __future__ import annotations

import ast
import functools
import hashlib
import http.server
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"orderhub_tools_{name}", TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bootstrap, lints = loaded("bootstrap"), loaded("lints")


# --- the machine's settings -------------------------------------------------------------------------------------


@pytest.fixture
def pip_conf(tmp_path: Path) -> Path:
    path = tmp_path / ".config" / "pip" / "pip.conf"
    path.parent.mkdir(parents=True)
    path.write_text(
        "[global]\nindex-url = https://file.example/simple\ncert = /file.pem\n[install]\nfind_links =\n  /one\n  /two\n"
    )
    return path


def settings(tmp_path: Path, **environment: str) -> object:
    return bootstrap.machine_settings(
        {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path), **environment}
    )


def test_pips_file_is_followed(tmp_path: Path, pip_conf: Path) -> None:
    found = settings(tmp_path)
    assert found.index == "https://file.example/simple"
    assert found.certificates == "/file.pem"
    assert found.find_links == ("/one", "/two")


def test_pips_variables_win_over_its_file_and_uvs_over_both(tmp_path: Path, pip_conf: Path) -> None:
    assert settings(tmp_path, PIP_INDEX_URL="https://pip.example").index == "https://pip.example"
    both = {"PIP_INDEX_URL": "https://pip.example", "UV_DEFAULT_INDEX": "https://uv.example"}
    assert settings(tmp_path, **both).index == "https://uv.example"
    assert settings(tmp_path, UV_INDEX_URL="https://uv.example").index == "https://uv.example"


def test_a_file_named_by_the_variable_wins_and_the_null_device_switches_all_off(
    tmp_path: Path, pip_conf: Path
) -> None:
    own = tmp_path / "own.conf"
    own.write_text("[global]\nindex-url = https://own.example\n")
    assert settings(tmp_path, PIP_CONFIG_FILE=str(own)).index == "https://own.example"
    assert settings(tmp_path, PIP_CONFIG_FILE=os.devnull).index == ""


def test_without_any_setting_packages_come_from_where_the_lock_file_has_them(tmp_path: Path) -> None:
    plain = settings(tmp_path, PIP_CONFIG_FILE=os.devnull)
    assert plain.as_locked
    assert plain.main_index == bootstrap.locked_index()
    assert settings(tmp_path, PIP_INDEX_URL=bootstrap.locked_index() + "/").as_locked
    assert not settings(tmp_path, PIP_INDEX_URL="https://pip.example").as_locked
    assert not settings(tmp_path, PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1").as_locked


def test_uv_is_told_in_its_own_words_what_pip_follows(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    base = {
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://a.example",
        "PIP_EXTRA_INDEX_URL": "https://b.example https://c.example",
        "PIP_FIND_LINKS": "/one /two",
        "PIP_CERT": str(tmp_path / "ca.pem"),
        "PIP_TRUSTED_HOST": "a.example",
        "PIP_DEFAULT_TIMEOUT": "180",
        "VIRTUAL_ENV": "/elsewhere",
    }
    told = bootstrap.uv_environment(base, bootstrap.machine_settings(base))
    assert told["UV_DEFAULT_INDEX"] == "https://a.example"
    assert told["UV_INDEX"] == "https://b.example https://c.example"
    assert told["UV_FIND_LINKS"] == "/one,/two"
    assert told["SSL_CERT_FILE"] == str(tmp_path / "ca.pem")
    assert told["UV_INSECURE_HOST"] == "a.example"
    assert told["UV_HTTP_TIMEOUT"] == "180"
    assert told["UV_PYTHON_DOWNLOADS"] == "never"
    assert "VIRTUAL_ENV" not in told


def test_a_home_that_cannot_be_written_to_moves_uvs_cache() -> None:
    told = bootstrap.uv_environment({"HOME": "/nowhere"}, bootstrap.Settings())
    assert told["UV_CACHE_DIR"].startswith(str(bootstrap.TOOLS))


# --- bringing uv without pip ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("manylinux_2_17_x86_64", True),
        ("manylinux_2_99_x86_64", False),
        ("manylinux_2_17_aarch64", False),
        ("musllinux_1_1_x86_64", False),
        ("macosx_11_0_arm64", False),
        ("win_amd64", False),
        ("any", False),
    ],
)
def test_only_wheels_for_this_machine_are_taken(
    monkeypatch: pytest.MonkeyPatch, tag: str, fits: bool
) -> None:
    monkeypatch.setattr(bootstrap, "own_machine", lambda: "x86_64")
    monkeypatch.setattr(bootstrap, "glibc_version", lambda: (2, 36))
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    assert bootstrap.tag_fits(tag) is fits


def test_a_machine_with_musl_takes_the_musl_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "own_machine", lambda: "x86_64")
    monkeypatch.setattr(bootstrap, "glibc_version", lambda: (0, 0))
    monkeypatch.setattr(bootstrap.sys, "platform", "linux")
    assert bootstrap.tag_fits("musllinux_1_1_x86_64")
    assert not bootstrap.tag_fits("manylinux_2_17_x86_64")


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> tuple[str, bytes]:
    monkeypatch.setattr(bootstrap, "tag_fits", lambda tag: tag == "fitting")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("uv-9.9.9.data/scripts/uv", "#!/bin/sh\necho uv 9.9.9\n")
    return "uv-9.9.9-py3-none-fitting.whl", packed.getvalue()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder that is served on a loopback port: (folder, address)."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    folder = tmp_path / "index"
    (folder / "simple" / "uv").mkdir(parents=True)
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def brought(tmp_path: Path, wheel: tuple[str, bytes], **options: object) -> Path:
    hashes = frozenset({hashlib.sha256(wheel[1]).hexdigest()})
    target = tmp_path / "got"
    target.mkdir()
    return bootstrap.wheel_by_index(target, "9.9.9", hashes, bootstrap.Settings(**options))


def test_uv_comes_from_an_index_that_speaks_json(
    tmp_path: Path, wheel: tuple[str, bytes], index: tuple[Path, str]
) -> None:
    folder, address = index
    (folder / wheel[0]).write_bytes(wheel[1])
    files = [
        {"filename": "uv-9.9.9-py3-none-other.whl", "url": "/missing"},
        {"filename": wheel[0], "url": f"/{wheel[0]}"},
    ]
    (folder / "simple" / "uv" / "index.html").write_text(json.dumps({"files": files}))
    assert brought(tmp_path, wheel, index=f"{address}/simple").read_bytes() == wheel[1]


def test_uv_comes_from_an_index_that_speaks_html(
    tmp_path: Path, wheel: tuple[str, bytes], index: tuple[Path, str]
) -> None:
    folder, address = index
    (folder / "simple" / "uv" / wheel[0]).write_bytes(wheel[1])
    (folder / "simple" / "uv" / "index.html").write_text(f'<a href="{wheel[0]}#sha256=00">uv</a>')
    assert brought(tmp_path, wheel, index=f"{address}/simple/").name == wheel[0]


def test_uv_comes_from_a_folder_of_wheels_without_any_index(tmp_path: Path, wheel: tuple[str, bytes]) -> None:
    (tmp_path / wheel[0]).write_bytes(wheel[1])
    got = brought(tmp_path, wheel, no_index=True, find_links=(str(tmp_path),))
    program = tmp_path / "bin" / "uv"
    bootstrap.unpack(got, program)
    assert bootstrap.works(program)


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, wheel: tuple[str, bytes]) -> None:
    (tmp_path / wheel[0]).write_bytes(wheel[1] + b"\0")
    with pytest.raises(bootstrap.Refused, match="not the one that is pinned"):
        brought(tmp_path, wheel, no_index=True, find_links=(str(tmp_path),))
    with pytest.raises(bootstrap.Refused, match="its sha256 is another"):
        bootstrap.check(tmp_path / wheel[0], frozenset({"0" * 64}))


def test_no_index_in_reach_is_one_line_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap.time, "sleep", lambda _: None)
    with pytest.raises(bootstrap.Refused) as refused:
        brought(tmp_path, ("", b""), index="http://me:hush@127.0.0.1:9/simple")
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_name_and_password_of_an_address_become_a_header_that_no_redirect_carries_on() -> None:
    request = bootstrap.authorised("https://me:p%40ss@host.example/x", "*/*")
    assert request.full_url == "https://host.example/x"
    assert request.unredirected_hdrs["Authorization"] == "Basic bWU6cEBzcw=="
    assert "Authorization" not in request.headers


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The few files that `venv.sh` looks at, in a place of their own."""
    root = tmp_path / "checkout"
    (root / "tools").mkdir(parents=True)
    shutil.copy(TOOLS / "venv.sh", root / "tools")
    for name in ("uv.lock", "pyproject.toml", "tools/uv-requirements.txt", "tools/bootstrap.py"):
        (root / name).write_text("print('installing')")
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (root / ".venv" / "orderhub-stamp").write_text(f"{root}\n")
    return root


def venv_sh(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(root / "tools" / "venv.sh"), *arguments],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installation_that_is_up_to_date_is_left_alone(checkout: Path) -> None:
    assert venv_sh(checkout).stdout == ""


@pytest.mark.parametrize("file", ["uv.lock", "pyproject.toml", "services/x/pyproject.toml"])
def test_a_newer_project_file_installs_again(checkout: Path, file: str) -> None:
    (checkout / file).parent.mkdir(parents=True, exist_ok=True)
    (checkout / file).write_text("")
    stamp = (checkout / ".venv" / "orderhub-stamp").stat().st_mtime
    os.utime(checkout / file, (stamp + 1, stamp + 1))
    assert venv_sh(checkout).stdout == "installing\n"


def test_a_moved_checkout_installs_again(checkout: Path) -> None:
    moved = checkout.rename(checkout.with_name("moved"))
    assert venv_sh(moved).stdout == "installing\n"


def test_a_lost_interpreter_installs_again(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "python").unlink()
    (checkout / ".venv" / "bin" / "python").symlink_to("/nowhere/python")
    assert venv_sh(checkout).stdout == "installing\n"


def test_an_old_python_is_refused_in_one_line(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "python3").write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2\nexit 1\n')
    (tmp_path / "python3").chmod(0o755)
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    run = venv_sh(checkout, "--group", "x", PYTHON="python3", PATH=str(tmp_path))
    assert run.returncode == 1
    assert run.stderr.startswith("orderhub: Python 3.11 or newer is needed; python3 here is Python 3.9.2.")
    assert run.stderr.count("\n") == 1


# --- the house rules --------------------------------------------------------------------------------------------


def found_by(rule: str, source: str, where: str = "orderhub_orders/commands.py") -> list[str]:
    path = Path("services/x/src") / where
    module = lints.Module(path, where.split("/")[0], ast.parse(source))
    return [finding.text for finding in getattr(lints, rule)(module)]


@pytest.mark.parametrize(
    ("rule", "where", "source"),
    [
        ("no_service_imports_another", "orderhub_orders/app.py", "from orderhub_payments import store"),
        ("no_service_imports_another", "orderhub_orders/app.py", "import orderhub_payments.store"),
        ("commits_only_in_the_chassis", "orderhub_orders/store.py", "async def f(tx): await tx.db.commit()"),
        (
            "commits_only_in_the_chassis",
            "orderhub_orders/store.py",
            "async def f(db): await db.execute('COMMIT;')",
        ),
        ("models_are_pure", "orderhub_orders/model.py", "import asyncpg"),
        ("models_are_pure", "orderhub_orders/model.py", "from datetime import datetime\nat = datetime.now()"),
        ("models_are_pure", "orderhub_orders/model/order.py", "import uuid\nnew = uuid.uuid4()"),
        ("models_are_pure", "orderhub_orders/model.py", "rules = open('rules.json')"),
        (
            "metrics_only_in_metrics",
            "orderhub_orders/api.py",
            "from prometheus_client import Counter\nc = Counter('a', 'b')",
        ),
        (
            "metrics_only_in_metrics",
            "orderhub_orders/api.py",
            "import prometheus_client\nprometheus_client.Gauge('a', 'b')",
        ),
        ("no_module_shadows_the_standard_library", "orderhub_orders/types.py", ""),
        ("no_module_shadows_the_standard_library", "orderhub_orders/logging/json.py", ""),
    ],
)
def test_a_house_rule_sees_what_it_forbids(rule: str, where: str, source: str) -> None:
    assert found_by(rule, source, where)


@pytest.mark.parametrize(
    ("rule", "where", "source"),
    [
        ("no_service_imports_another", "orderhub_orders/app.py", "from orderhub_orders import store"),
        ("no_service_imports_another", "orderhub/up.py", "from orderhub_payments import app"),
        ("commits_only_in_the_chassis", "orderhub_chassis/db.py", "async def f(tx): await tx.commit()"),
        ("commits_only_in_the_chassis", "orderhub_orders/commands.py", "shelf.commit()"),
        (
            "models_are_pure",
            "orderhub_orders/model.py",
            "from datetime import datetime\nfrom uuid import UUID",
        ),
        ("models_are_pure", "orderhub_orders/store.py", "import asyncpg"),
        (
            "metrics_only_in_metrics",
            "orderhub_orders/metrics.py",
            "from prometheus_client import Counter\nc = Counter('a', 'b')",
        ),
        (
            "metrics_only_in_metrics",
            "orderhub_orders/model.py",
            "from collections import Counter\nc = Counter()",
        ),
    ],
)
def test_a_house_rule_lets_the_rest_pass(rule: str, where: str, source: str) -> None:
    assert found_by(rule, source, where) == []


def test_every_house_rule_tells_why() -> None:
    assert all(len(lints.why(rule)) > 100 for rule in lints.RULES)
