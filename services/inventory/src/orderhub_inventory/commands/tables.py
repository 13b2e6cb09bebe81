"""CSV tables (RFC 4180): bytes into rows, each with its line, and what is wrong with a row by line and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from orderhub_chassis.errors import Invalid, invalid_field

from orderhub_inventory.model.checks import Wrong

T = TypeVar("T")
MOST_CELL = 20_000


@dataclass(frozen=True, slots=True)
class RowError:
    """`column` is empty where the whole row, or the header, is meant."""

    line: int
    column: str
    code: str
    message: str


@dataclass(slots=True)
class Row:
    """One row of the file; `line` is where it begins."""

    line: int
    cells: dict[str, str]
    errors: list[RowError] = field(default_factory=list)

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    def wrong(self, column: str, code: str, message: str) -> None:
        self.errors.append(RowError(self.line, column, code, message))

    def take(self, column: str, check: Callable[..., T], *arguments: Any) -> T | None:
        """The checked value of a cell; None where it is wrong, which is noted."""
        try:
            return check(self[column], *arguments)
        except Wrong as wrong:
            self.wrong(column, wrong.code, wrong.detail)
            return None

    def optional(self, column: str, check: Callable[..., T], *arguments: Any) -> T | None:
        return self.take(column, check, *arguments) if self[column] else None


@dataclass(slots=True)
class Table:
    rows: list[Row]
    errors: list[RowError]


def text_of(data: bytes) -> str:
    """Raises Invalid for what is no text file in UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid_field("/csv", "format", f"is not UTF-8: byte {error.start}") from None
    if "\0" in text:
        raise invalid_field("/csv", "characters", "must not contain the NUL character")
    if not text.strip():
        raise invalid_field("/csv", "required", "is empty")
    return text


def read(data: bytes, columns: Sequence[str], required: Sequence[str], most_rows: int) -> Table:
    """The whole file, decoded. A wrong header is an error of line 1 and leaves no row.

    Raises Invalid where there is no table to speak of.
    """
    lines = csv.reader(io.StringIO(text_of(data), newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(lines)]
        if errors := list(_header_errors(header, columns, required)):
            return Table([], errors)
        return _rows(lines, header, most_rows)
    except csv.Error as error:
        return Table([], [RowError(lines.line_num, "", "format", f"is not CSV: {error}")])


def _header_errors(
    header: Sequence[str], columns: Sequence[str], required: Sequence[str]
) -> Iterator[RowError]:
    for name in header:
        if name not in columns:
            yield RowError(1, name[:100], "unknown", f"is none of the columns {', '.join(columns)}")
        elif header.count(name) > 1:
            yield RowError(1, name, "doubled", "is there twice")
    for name in required:
        if name not in header:
            yield RowError(1, name, "required", "this column is missing")


def _rows(lines: Any, header: Sequence[str], most_rows: int) -> Table:
    table, line = Table([], []), lines.line_num + 1
    for cells in lines:
        if any(cell.strip() for cell in cells):
            row = Row(line, dict(zip(header, map(str.strip, cells), strict=False)))
            _check_shape(row, cells, header)
            table.rows.append(row)
        line = lines.line_num + 1
        if len(table.rows) > most_rows:
            raise Invalid(f"/csv: more than {most_rows} rows", code="length")
    return table


def _check_shape(row: Row, cells: Sequence[str], header: Sequence[str]) -> None:
    if len(cells) != len(header):
        row.wrong("", "length", f"has {len(cells)} cells, the header has {len(header)}")
    for name, cell in row.cells.items():
        if len(cell) > MOST_CELL:
            row.wrong(name, "length", f"must have at most {MOST_CELL} characters")


def whole(text: str, check: Callable[[int], T] | None = None) -> T:
    """A whole number in decimal digits."""
    if not text:
        raise Wrong("required", "is required")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise Wrong("type", "must be a whole number")
    return check(int(text)) if check else int(text)  # type: ignore[return-value]


def decimal(text: str, check: Callable[[float], float]) -> float:
    try:
        value = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        value = None
    if value is None:
        raise Wrong("type", "must be a number such as 1.5")
    return check(value)


def yes_or_no(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise Wrong("type", "must be true or false")
    return text.lower() == "true"
