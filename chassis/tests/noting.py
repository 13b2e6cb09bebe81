"""A small program of two releases, run by `test_roll_out.py`: `noting.py old|new DATABASE_URL PACKAGE`.

The old one keeps a note's text in `text`; the new one in `body`, which its `pre` file adds and fills, and does without
`text`, which its `post` file drops. It starts when its `pre` files are applied, writes and reads until SIGTERM, and
ends with 1 at the first surprise.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from orderhub_chassis import migrate
from orderhub_chassis.db import Database

WRITE = {
    "old": "insert into notes (author, text) values ('old', $1) returning id",
    "new": "insert into notes (author, body) values ('new', $1) returning id",
}
READ = {"old": "select text from notes where id = $1", "new": "select body from notes where id = $1"}
FOREIGN = {
    "old": "select text from notes where author = 'new' order by id desc limit 1",
    "new": "select body from notes where author = 'old' order by id desc limit 1",
}


async def run(release: str, url: str, package: str) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with Database.open(url, service="notes", size=2) as db:
        async with db.connection() as connection:
            missing = await migrate.pending(connection, package, phase="pre")
        assert not missing, missing
        print("started", flush=True)
        number = 0
        while not stopping.is_set():
            number += 1
            id = await db.fetchval(WRITE[release], f"note {number}")
            assert await db.fetchval(READ[release], id) == f"note {number}"
            foreign = await db.fetch(FOREIGN[release])
            assert all(row[0] and row[0].startswith("note ") for row in foreign), foreign


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
