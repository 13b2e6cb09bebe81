"""Several writes as one statement: data-modifying CTEs, put together once per combination and then prepared.

All of them see the same snapshot and run in no given order, so they must touch different rows and need nothing of
each other; that is how a set-wise save looks anyway. A round trip costs more than most of these writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

PARAMETER = re.compile(r"\$(\d+)")


class Writes:
    """What a transaction wants written before its commit, in the order in which it was asked."""

    def __init__(self) -> None:
        self._statements: list[str] = []
        self._counts: list[int] = []
        self._arguments: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._statements)

    def add(self, statement: str, arguments: Sequence[Any]) -> None:
        self._statements.append(statement)
        self._counts.append(len(arguments))
        self._arguments += arguments

    def take(self) -> tuple[str, list[Any]]:
        """The one statement and its arguments; afterwards there is nothing left to write."""
        statement, arguments = combined(tuple(self._statements), tuple(self._counts)), self._arguments
        self._statements, self._counts, self._arguments = [], [], []
        return statement, arguments


@lru_cache(maxsize=1024)
def combined(statements: tuple[str, ...], counts: tuple[int, ...]) -> str:
    """`with w0 as (…), w1 as (…) …`, the parameters numbered through."""
    offset, parts = 0, []
    for statement, count in zip(statements, counts, strict=True):
        parts.append(_shifted(statement, offset))
        offset += count
    if len(parts) == 1:
        return parts[0]
    ctes = ",\n".join(f"w{number} as ({part})" for number, part in enumerate(parts[:-1]))
    return f"with {ctes}\n{parts[-1]}"


def _shifted(statement: str, offset: int) -> str:
    return PARAMETER.sub(lambda found: f"${int(found[1]) + offset}", statement)
