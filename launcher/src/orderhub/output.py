"""What the command prints: lines and tables for people, or JSON (one object per line) for programs.

Results go to stdout. Errors go to stderr, one line each.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


PAPER = 160
"""Columns where nobody says how wide the paper is."""


class Output:
    """Where a command's words go. With `as_json` every call prints one JSON object and nothing else."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> Console:
        from rich.console import Console

        return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PAPER)

    def say(self, text: str, **data: Any) -> None:
        """Something that happened."""
        if self.as_json:
            self._json({"event": text, **data})
        else:
            self.console.print(text, markup=False)

    def warn(self, text: str, **data: Any) -> None:
        """Something that went wrong and was dealt with."""
        if self.as_json:
            self._json({"warning": text, **data})
        else:
            self.console.print(f"! {text}", style="yellow", markup=False)

    def done(self, name: str, seconds: float, detail: str = "") -> None:
        """A step that is finished, with how long it took."""
        if self.as_json:
            self._json({"step": name, "seconds": round(seconds, 3), "detail": detail})
        else:
            shown = f"  {detail}" if detail else ""
            self.console.print(f"  ✓ {name:<26} {seconds:6.2f} s{shown}", markup=False)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """A step for the length of a block; what is appended to the list is shown beside it at the end."""
        started, details = time.monotonic(), []  # type: float, list[str]
        yield details
        self.done(name, time.monotonic() - started, ", ".join(details))

    def result(self, data: Any, shown: RenderableType | None = None) -> None:
        """The outcome: `data` as JSON, `shown` for people (nothing where it is None)."""
        if self.as_json:
            self._json(data)
        elif shown is not None:
            self.console.print(shown)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False
        )
        for number, column in enumerate(columns):
            table.add_column(column, no_wrap=number == 0, overflow="fold")
        for row in rows:
            table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
        return table

    def _json(self, data: Mapping[str, Any] | Sequence[Any]) -> None:
        sys.stdout.write(json.dumps(data, default=str, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def complain(line: str, *, as_json: bool = False) -> None:
    """An error, on one line of stderr."""
    line = " ".join(line.split())
    sys.stderr.write(
        json.dumps({"error": line}, ensure_ascii=False) + "\n" if as_json else f"orderhub: {line}\n"
    )
    sys.stderr.flush()
