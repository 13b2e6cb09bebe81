"""Hashes of passwords: which kind, and that nobody waits for them who did not ask."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from orderhub_auth.errors import PasswordsBusy
from orderhub_auth.passwords import NICE, Passwords


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    opened = Passwords(memory_kib=64 * 1024, passes=2, threads=1, queue=2)
    yield opened
    opened.close()


async def test_the_event_loop_goes_on_while_a_password_is_hashed(passwords: Passwords) -> None:
    hashing = asyncio.create_task(passwords.hash("a long enough password"))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert hashing.result().startswith("$argon2id$")
    assert turns > 100


async def test_the_right_password_fits_and_no_other_nor_any_where_there_is_no_hash(
    passwords: Passwords,
) -> None:
    kept = await passwords.hash("a long enough password")
    assert await passwords.verify("a long enough password", kept)
    assert not await passwords.verify("another long password", kept)
    assert not await passwords.verify("nobody has this password", None)
    assert not await passwords.verify("a long enough password", "no hash at all")


async def test_more_than_the_queue_holds_is_refused_at_once(passwords: Passwords) -> None:
    asked = [asyncio.create_task(passwords.hash("a long enough password")) for _ in range(3)]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert [type(task.exception()) for task in done] == [PasswordsBusy]
    await asyncio.wait(asked)
    assert [task.exception() for task in asked[:2]] == [None, None]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
async def test_hashes_step_back_behind_what_answers_requests() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    with closing(Passwords(memory_kib=8, passes=1)) as passwords:
        here = priority()
        in_thread = await asyncio.get_running_loop().run_in_executor(passwords._threads, priority)
    assert in_thread == min(here + NICE, 19)
