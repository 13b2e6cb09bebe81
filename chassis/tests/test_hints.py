"""Hints: they wake within the process and across Redis, and losing them loses nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest
import structlog
from orderhub_chassis import hints
from orderhub_chassis.hints import Hints
from orderhub_chassis.ids import uuid7


@pytest.fixture
async def over_redis(redis_url):
    """`await over_redis()`: the hints of one more process."""
    async with AsyncExitStack() as stack:

        async def make():
            made = Hints()
            await stack.enter_async_context(made.over_redis(redis_url))
            return made

        yield make


@pytest.fixture
def name():
    """Redis is shared by all tests of the run."""
    return f"topic:{uuid7()}"


async def heard(sender, name, event, eventually):
    """Say it until it is heard: subscriptions take their time."""

    async def said():
        sender.notify(name)
        return event.is_set()

    await eventually(said)


async def test_a_hint_wakes_those_who_wait_for_its_name_and_nobody_else():
    here = Hints()
    one, two, other = here.subscribe("a"), here.subscribe("a"), here.subscribe("b")
    here.notify("a")
    assert (one.is_set(), two.is_set(), other.is_set()) == (True, True, False)
    here.unsubscribe(one)
    one.clear()
    here.notify("a")
    assert not one.is_set()


async def test_one_event_can_stand_for_several_names():
    here, event = Hints(), asyncio.Event()
    here.share("a", event)
    here.share("b", event)
    here.notify("b")
    assert event.is_set()
    here.unsubscribe(event)
    event.clear()
    here.notify("a")
    assert not event.is_set()


async def test_a_hint_reaches_the_other_processes(over_redis, name, eventually):
    sender, listener = await over_redis(), await over_redis()
    await heard(sender, name, listener.subscribe(name), eventually)


async def test_a_name_that_somebody_asks_for_later_is_heard_too(over_redis, name, eventually):
    sender, listener = await over_redis(), await over_redis()
    await heard(sender, name, listener.subscribe(name), eventually)
    await heard(sender, f"{name}:later", listener.subscribe(f"{name}:later"), eventually)


async def test_a_name_that_was_muted_for_want_of_listeners_is_heard_when_one_comes(
    over_redis, name, eventually
):
    sender = await over_redis()
    sender.notify(name)

    async def muted():
        return name in sender._muted_until

    await eventually(muted)
    listener = await over_redis()
    await heard(sender, name, listener.subscribe(name), eventually)


async def test_many_hints_of_a_moment_become_one_message(over_redis, name, eventually, monkeypatch):
    sender, listener = await over_redis(), await over_redis()
    event = listener.subscribe(name)
    await heard(sender, name, event, eventually)
    published = []
    publish = sender._publish

    async def counted(client, names):
        published.append(names)
        await publish(client, names)

    monkeypatch.setattr(sender, "_publish", counted)
    event.clear()
    for _ in range(500):
        sender.notify(name)
    await asyncio.wait_for(event.wait(), 5)
    assert published == [[name]]


async def test_who_is_heard_is_not_muted_by_an_earlier_message_that_nobody_heard(
    over_redis, name, eventually
):
    sender, listener = await over_redis(), await over_redis()
    event = listener.subscribe(name)
    await heard(sender, name, event, eventually)
    sender._muted_until[name] = asyncio.get_running_loop().time() + 60
    sender._outgoing.add(name)  # it was on its way already
    event.clear()
    sender._something.set()
    await asyncio.wait_for(event.wait(), 5)
    await eventually(lambda: _true(name not in sender._muted_until))


async def _true(value):
    return value


class Way:
    """A way to Redis on which everything that is connected falls silent at a word: nothing breaks, and nothing comes."""

    def __init__(self, url: str) -> None:
        self._path = urlsplit(url).path
        self._silent = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def fall_silent(self):
        self._silent.set()
        self._silent = asyncio.Event()

    async def _serve(self, reader, writer):
        theirs, ours = await asyncio.open_unix_connection(self._path)
        for source, target in ((reader, ours), (theirs, writer)):
            task = asyncio.create_task(self._pass(source, target, self._silent))
            self._tasks.add(task)

    async def _pass(self, source, target, silent):
        try:
            while chunk := await source.read(65536):
                if not silent.is_set():
                    target.write(chunk)
        finally:
            target.close()


async def test_a_connection_that_falls_silent_is_given_up_and_hints_come_again(
    over_redis, redis_url, name, eventually, monkeypatch
):
    """A machine that is gone sends no end of its connections."""
    monkeypatch.setattr(hints, "ASK_SECONDS", 0.3)
    monkeypatch.setattr(hints, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(hints, "FIRST_PAUSE", 0.01)
    sender, listener, way = await over_redis(), Hints(), Way(redis_url)
    event = listener.subscribe(name)
    async with way.open() as url, listener.over_redis(url):
        await heard(sender, name, event, eventually)
        way.fall_silent()
        event.clear()
        await heard(sender, name, event, eventually)


async def test_a_connection_on_which_nothing_is_said_stays(
    over_redis, redis_url, name, eventually, monkeypatch
):
    monkeypatch.setattr(hints, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(hints, "ANSWER_SECONDS", 1.0)
    with structlog.testing.capture_logs() as logs:
        sender, listener = await over_redis(), await over_redis()
        event = listener.subscribe(name)
        await heard(sender, name, event, eventually)
        await asyncio.sleep(1.5)  # longer than a question may stay without an answer
        event.clear()
        await heard(sender, name, event, eventually)
    assert [line for line in logs if line["event"] == "hints.redis_away"] == []


async def test_without_redis_hints_work_within_the_process(tmp_path):
    here = Hints()
    event = here.subscribe("a")
    async with here.over_redis(f"unix://{tmp_path}/no.sock"):
        here.notify("a")
        assert event.is_set()
        await asyncio.sleep(0)


async def test_wait_says_whether_the_event_came_in_time():
    event = asyncio.Event()
    assert await hints.wait(event, 0.001) is False
    event.set()
    assert await hints.wait(event, 60) is True
