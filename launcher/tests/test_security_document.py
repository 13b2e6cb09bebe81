"""The check of docs/security.md sees a test that is not there, and knows the cases of tables as pytest does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = """
import pytest

TABLE = [pytest.param(1, id="the first"), ("a", 2), pytest.param("b", True)]
NAMES = {"ada": 1, "eve": 2}

async def test_plain(): ...

@pytest.mark.parametrize("value", TABLE)
def test_table(value): ...

@pytest.mark.parametrize("outer", ["x", "y"])
@pytest.mark.parametrize("inner", [1, 2], ids=["one", "two"])
def test_two_tables(inner, outer): ...

@pytest.mark.parametrize("name", sorted(NAMES))
def test_names(name): ...

@pytest.mark.parametrize("made", made_when_it_runs())
def test_made(made): ...
"""


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("orderhub_tools_security", ROOT / "tools" / "security.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


security = loaded()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "test_it.py").write_text(FILE)
    return tmp_path


def said(words: str, root: Path) -> list[str]:
    return [finding.text for finding in security.findings(words, root)]


@pytest.mark.parametrize(
    "name",
    [
        "test_plain", "test_table", "test_table[the first]", "test_table[a-2]", "test_table[b-True]",
        "test_two_tables[one-x]", "test_two_tables[two-y]", "test_names[eve]", "test_made",
    ],
)  # fmt: skip
def test_what_is_there_is_found(name: str, root: Path) -> None:
    assert said(f"### A threat\n- `a/test_it.py`: `test_plain`,\n  `{name}`\n", root) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test_gone", "a/test_it.py has no test_gone"),
        ("test_table[the second]", "a/test_it.py has no test_table[the second]"),
        ("test_two_tables[x-one]", "a/test_it.py has no test_two_tables[x-one]"),
        ("test_plain[case]", "a/test_it.py has no test_plain[case]"),
        ("test_made[1]", "a/test_it.py makes the cases of test_made when it runs: name the test without one"),
    ],
    ids=["no test", "no case", "no such order", "no table", "cases that are made"],
)
def test_what_is_not_there_is_named(name: str, words: str, root: Path) -> None:
    assert said(f"### A threat\n- `a/test_it.py`: `{name}`\n", root) == [words]


def test_a_file_that_is_not_there_and_a_test_behind_no_file_are_named(root: Path) -> None:
    assert said("- `a/test_gone.py`: `test_plain`\n", root) == ["there is no file a/test_gone.py"]
    assert said("- `a/test_it.py`\n- `test_plain`\n", root) == ["test_plain stands behind no file"]


def test_a_threat_has_a_test_or_is_open(root: Path) -> None:
    text = (
        "### Proven\n- `a/test_it.py`: `test_plain`\n### Bare\nwords\n### Not yet\n**open**: later\n## Next\n"
    )
    assert said(text, root) == ["'Bare' has neither a test nor **open**"]


def test_the_document_names_tests_that_are_there() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "security.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 100
