"""`orderhub seed` and `orderhub import`: products from files into the running inventory, with progress and bad rows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from orderhub import bench_data, demo, home, imports, inside
from orderhub.exits import Exit, Refused
from orderhub.inside import Inside
from orderhub.output import Output

Work = Callable[[Inside, imports.Progress], Awaitable[Any]]


def seed(place: home.Home, out: Output, *, bench: bool, with_people: bool) -> Exit:
    if with_people:
        users = asyncio.run(_run(place, lambda doors, _: demo.people(doors), lambda _: None))
        rows = [(name, *who.values()) for name, who in _named(users)]
        out.result({"users": users}, out.table("", ("user", "e-mail", "password"), rows))
    if bench:
        return _import(place, out, lambda doors, progress: bench_data.seed(doors, progress=progress))
    content = demo.text("catalogue.csv").encode()
    return _import(
        place,
        out,
        lambda doors, progress: imports.products(doors, content, rebase_ages=True, progress=progress),
    )


def import_file(place: home.Home, out: Output, file: Path, *, vendor: str, partial: bool) -> Exit:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}", Exit.USAGE) from error

    async def work(doors: Inside, progress: imports.Progress) -> Any:
        vendor_id = await _vendor_id(doors, vendor) if vendor else ""
        return await imports.products(doors, content, partial=partial, vendor_id=vendor_id, progress=progress)

    return _import(place, out, work)


def _named(users: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """People and vendors in one list."""
    for name, who in users.items():
        yield from who.items() if name == "vendors" else [(name, who)]


async def _vendor_id(doors: Inside, name: str) -> str:
    ids = await imports.vendor_ids(doors)
    if name not in ids:
        raise Refused(f"there is no vendor {name!r}, but: {', '.join(sorted(ids))}", Exit.USAGE)
    return ids[name]


def _import(place: home.Home, out: Output, work: Work) -> Exit:
    with _progress(out) as progress:
        done = asyncio.run(_run(place, work, progress))
    _report(out, done)
    return Exit.FOUND if done.errors_total else Exit.DONE


async def _run(place: home.Home, work: Work, progress: imports.Progress) -> Any:
    async with inside.running(place) as doors:
        return await work(doors, progress)


@contextlib.contextmanager
def _progress(out: Output) -> Iterator[imports.Progress]:
    """A bar on a terminal, nothing elsewhere."""
    if out.as_json or not out.console.is_terminal:
        yield lambda _: None
        return
    from rich.progress import Progress

    with Progress(console=out.console, transient=True) as bars:
        bar = bars.add_task("importing", total=None)
        yield lambda seen: bars.update(bar, completed=seen.rows_read, total=seen.rows_total or None)


def _report(out: Output, done: Any) -> None:
    bad = [{"line": e.line, "column": e.column, "code": e.code, "message": e.message} for e in done.errors]
    counts = {name: getattr(done, name) for name in ("rows_read", "created", "updated", "unchanged")}
    out.result({**counts, "applied": done.applied, "errors_total": done.errors_total, "errors": bad})
    if out.as_json:
        return
    for error in done.errors:
        out.warn(imports.wrong_row(error))
    said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    out.say(said + (f", {done.errors_total} wrong" if done.errors_total else ""))
