"""Wake-up hints: "there may be something to do". Losing one costs a poll interval, never a message.

Inside a process a hint is an asyncio.Event; across processes it is one Redis pub/sub message per name and 10 ms: a
consumer that is busy looks again by itself, and each message costs every process that listens.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from orderhub_chassis import outages, tasks
from orderhub_chassis.telemetry import log

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

CHANNEL = "orderhub:hint:"
THROTTLE_SECONDS = 0.01
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
MUTE_SECONDS = 1.0
"""How long a name that nobody else listens to is not sent; a process that starts meanwhile polls."""
ANSWER_SECONDS = 5.0
"""How long Redis may take to answer; a connection that has broken without a word is silent for ever."""
ASK_SECONDS = 10.0
"""A connection on which nothing was heard for so long is asked whether it still is one."""


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set in time. Makes no task, as `asyncio.wait_for` would."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _away() -> tuple[type[Exception], ...]:
    """What says that Redis cannot be reached now."""
    from redis.exceptions import RedisError

    return RedisError, OSError


class Hints:
    """Hints among the parts of one process; `over_redis` extends them to the others."""

    def __init__(self) -> None:
        self._events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._outgoing: set[str] = set()
        self._something = asyncio.Event()
        self._muted_until: dict[str, float] = {}
        self._changed = asyncio.Event()

    def subscribe(self, name: str) -> asyncio.Event:
        """An event that is set by every hint of that name; the subscriber clears it."""
        event = asyncio.Event()
        self.share(name, event)
        return event

    def share(self, name: str, event: asyncio.Event) -> None:
        """Let one event stand for several names."""
        self._events[name].add(event)
        self._changed.set()

    def unsubscribe(self, event: asyncio.Event) -> None:
        for events in self._events.values():
            events.discard(event)

    def notify(self, name: str) -> None:
        self.notify_here(name)
        if self._muted_until.get(name, 0.0) < asyncio.get_running_loop().time():
            self._outgoing.add(name)
            self._something.set()

    def notify_here(self, name: str) -> None:
        for event in self._events.get(name, ()):
            event.set()

    @contextlib.asynccontextmanager
    async def over_redis(self, url: str) -> AsyncIterator[None]:
        """While open, hints travel to and from the other processes; without Redis, polling goes on alone."""
        from redis.asyncio import Redis  # a quarter of a second, which processes without hints need not wait

        client = Redis.from_url(url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS)
        both = [asyncio.create_task(self._send(client)), asyncio.create_task(self._receive(client))]
        try:
            yield
        finally:
            await tasks.end(*both)
            await client.aclose()

    async def _send(self, client: Redis) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            names, self._outgoing = sorted(self._outgoing), set()
            with contextlib.suppress(*_away()):
                await self._publish(client, names)
            await asyncio.sleep(THROTTLE_SECONDS)

    async def _publish(self, client: Redis, names: list[str]) -> None:
        async with client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.publish(CHANNEL + name, b"")
            heard_by = await pipeline.execute()
        now = asyncio.get_running_loop().time()
        for name, listeners in zip(names, heard_by, strict=True):
            if listeners <= int(name in self._events):
                self._muted_until[name] = now + MUTE_SECONDS
            else:  # somebody came between two messages: the first had muted what the second was heard for
                self._muted_until.pop(name, None)

    async def _receive(self, client: Redis) -> None:
        pause, loop = FIRST_PAUSE, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as channel:
                    await self._listen(channel)
            except _away() as error:
                pause = FIRST_PAUSE if loop.time() - began > LONGEST_PAUSE else min(2 * pause, LONGEST_PAUSE)
                outage = outages.explain(error)
                log("hints").warning("hints.redis_away", kind=outage.kind, reason=outage.words, seconds=pause)
                await asyncio.sleep(pause)

    async def _listen(self, channel: PubSub) -> None:
        """Listen to the names that somebody here waits for, and look now and then whether there are more."""
        subscribed: set[str] = set()
        alive = _Alive()
        while True:
            self._changed.clear()
            if missing := self._events.keys() - subscribed:
                await channel.subscribe(*[CHANNEL + name for name in sorted(missing)])
                subscribed |= missing
            if not subscribed:
                await wait(self._changed, MUTE_SECONDS)
                alive.heard()
                continue
            message = await channel.get_message(timeout=MUTE_SECONDS)
            if message is None:
                await alive.ask(channel)
                continue
            alive.heard()
            if message["type"] == "message":
                self.notify_here(message["channel"].decode().removeprefix(CHANNEL))


class _Alive:
    """Whether a connection on which nothing comes is still one."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self.heard()

    def heard(self) -> None:
        self._heard_at, self._asked = self._now(), False

    async def ask(self, channel: PubSub) -> None:
        """Raises TimeoutError when an earlier question was not answered."""
        silent = self._now() - self._heard_at
        if silent > ASK_SECONDS + ANSWER_SECONDS:
            raise TimeoutError(f"nothing was heard for {silent:.0f} s")
        if silent > ASK_SECONDS and not self._asked:
            self._asked = True
            await channel.ping()
