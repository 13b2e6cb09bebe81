"""The cases are the modules of the plans: none is missing, none is invented."""

from __future__ import annotations

import ast
from pathlib import Path

from oidcc.modules import BASIC, LOGOUT, MODULES, case_of

HERE = Path(__file__).parent


def functions() -> list[ast.FunctionDef]:
    """Of the files with cases of modules."""
    trees = [ast.parse(path.read_text()) for path in sorted(HERE.glob("test_oidcc_*.py"))]
    return [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_every_module_is_one_case() -> None:
    found = [node.name for node in functions() if node.name.startswith("test_")]
    assert sorted(found) == sorted(map(case_of, MODULES))
    assert (len(BASIC), len(LOGOUT), len(MODULES)) == (38, 10, 50)


def test_every_case_says_what_it_asserts() -> None:
    """One line of what it is, and then the conditions."""
    for node in functions():
        if node.name.startswith("test_"):
            lines = (ast.get_docstring(node) or "").splitlines()
            assert [line for line in lines[2:] if line.startswith("- ")], node.name
            assert lines[0].endswith("."), node.name
