"""Whether every test that docs/security.md names is there. Prints `docs/security.md:line: what is wrong`.

Tests stand in code spans: a path (`services/…/test_x.py`) and after it, in the same list item, names of tests in that file,
with the id of a case where it is one of a table (`test_a[the case]`). Files are parsed, not imported. A threat (a heading of the third level) has a test, or says that it is open.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = Path("docs") / "security.md"
SPAN: Final = re.compile(r"`([^`]+)`")
TEST_FILE: Final = re.compile(r"[\w./-]+/test_\w+\.py")
TEST: Final = re.compile(r"(?:\w+::)?(test_\w+)(?:\[(.+)\])?")
OPEN: Final = "**open**"


@dataclass(frozen=True, slots=True)
class Finding:
    line: int
    text: str


class Unknown(Exception):
    """The ids of this table are not to be read from the source."""


@dataclass(frozen=True)
class Tests:
    """The tests of one file, and what is assigned at its top level."""

    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]
    constants: dict[str, ast.expr]

    def has(self, name: str, case: str | None) -> bool:
        """Raises Unknown."""
        if name not in self.functions:
            return False
        return case is None or case in self._cases(self.functions[name])

    def _cases(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
        """As pytest joins them: the table that stands nearest to the function comes first."""
        tables = [
            self._ids(decorator)
            for decorator in reversed(function.decorator_list)
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("mark.parametrize")
        ]
        return {"-".join(parts) for parts in itertools.product(*tables)} if tables else set()

    def _ids(self, decorator: ast.Call) -> list[str]:
        given = next((keyword.value for keyword in decorator.keywords if keyword.arg == "ids"), None)
        if given is not None:
            return [_text(item) for item in self._items(given)]
        return [_case(item) for item in self._items(decorator.args[1])]

    def _items(self, found: ast.expr) -> Sequence[ast.expr]:
        if isinstance(found, ast.Name) and found.id in self.constants:
            return self._items(self.constants[found.id])
        if isinstance(found, ast.List | ast.Tuple | ast.Set):
            return found.elts
        if isinstance(found, ast.Dict):
            return [key for key in found.keys if key is not None]
        if isinstance(found, ast.Call) and ast.unparse(found.func) in ("list", "sorted", "tuple"):
            return self._items(found.args[0])
        if isinstance(found, ast.Call) and ast.unparse(found.func).endswith((".items", ".keys")):
            return self._items(found.func.value)  # type: ignore[attr-defined]
        raise Unknown


def _case(item: ast.expr) -> str:
    if isinstance(item, ast.Call) and ast.unparse(item.func).endswith("param"):
        given = [keyword.value for keyword in item.keywords if keyword.arg == "id"]
        return _text(given[0]) if given else "-".join(_text(argument) for argument in item.args)
    if isinstance(item, ast.Tuple):
        return "-".join(_text(part) for part in item.elts)
    return _text(item)


def _text(item: ast.expr) -> str:
    """What pytest makes of a plain value; of others it makes a number, which nobody should name."""
    if isinstance(item, ast.Constant) and isinstance(item.value, str | int | float | bool | None):
        return str(item.value)
    return f"<{ast.unparse(item)}>"


@functools.cache
def tests_of(path: Path) -> Tests:
    tree = ast.parse(path.read_text())
    functions, constants = {}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            functions[node.name] = node
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            constants[statement.targets[0].id] = statement.value
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value
        ):
            constants[statement.target.id] = statement.value
    return Tests(functions, constants)


def findings(text: str, root: Path) -> Iterator[Finding]:
    yield from _unresolved(text, root)
    yield from _without_tests(text)


def _unresolved(text: str, root: Path) -> Iterator[Finding]:
    path: Path | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith(" "):  # another item or paragraph; a wrapped line goes on with its file
            path = None
        for span in SPAN.findall(line):
            if TEST_FILE.fullmatch(span):
                path = root / span
                if not path.is_file():
                    yield Finding(number, f"there is no file {span}")
            elif named := TEST.fullmatch(span):
                if path is None:
                    yield Finding(number, f"{span} stands behind no file")
                elif path.is_file() and (wrong := _wrong(path, named[1], named[2])):
                    yield Finding(number, f"{path.relative_to(root)} {wrong}")


def _wrong(path: Path, name: str, case: str | None) -> str:
    try:
        there = tests_of(path).has(name, case)
    except Unknown:
        return f"makes the cases of {name} when it runs: name the test without one"
    return "" if there else f"has no {name}" + (f"[{case}]" if case else "")


def _without_tests(text: str) -> Iterator[Finding]:
    heading, line, proven = "", 0, True
    for number, words in enumerate([*text.splitlines(), "## end"], 1):
        if words.startswith(("## ", "### ")):
            if not proven:
                yield Finding(line, f"{heading!r} has neither a test nor {OPEN}")
            heading, line, proven = words.lstrip("# "), number, not words.startswith("### ")
        elif OPEN in words or any(TEST.fullmatch(span) for span in SPAN.findall(words)):
            proven = True


def main() -> int:
    text = (ROOT / DOCUMENT).read_text()
    wrong = list(findings(text, ROOT))
    for finding in wrong:
        print(f"{DOCUMENT}:{finding.line}: {finding.text}", file=sys.stderr)
    if not wrong:
        print(f"{len({s for s in SPAN.findall(text) if TEST.fullmatch(s)})} tests are there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
