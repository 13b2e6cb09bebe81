"""A service as a process: what the signals do to it, and what it says while it lives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from orderhub_chassis.calls import Caller, InternalTokens
from orderhub_chassis.clock import SystemClock
from orderhub_chassis.migrate import migrate

SCRIPT = Path(__file__).with_name("serving.py")
TRACE = f"00-{'ab' * 16}-{'cd' * 8}-01"


def environment(world, redis_url, **over):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORDERHUB_")}
    return {
        **kept,
        "ORDERHUB_PAYMENTS_DATABASE_URL": world.database.url,
        "ORDERHUB_BUS": world.bus_url.url,
        "ORDERHUB_REDIS_URL": redis_url,
        "ORDERHUB_INTERNAL_KEY": "i" * 40,
        "ORDERHUB_CURSOR_KEY": "sesame-open-the-cursors-of-the-world-now",
        **over,
    }


class Process:
    """A service that was started: its ports, and when it has ended its exit code and its log lines."""

    def __init__(self, process):
        self.process = process

    async def opened(self):
        async with asyncio.timeout(60):
            line = await self.process.stdout.readline()
        self.http_port, self.grpc_port = map(int, line.split())
        return self

    def send(self, number):
        self.process.send_signal(number)

    async def ended(self):
        async with asyncio.timeout(30):
            _, errors = await self.process.communicate()
        self.stderr = errors.decode()
        return self.process.returncode

    @property
    def logs(self):
        return [json.loads(line) for line in self.stderr.splitlines()]


@pytest.fixture
async def start(world, redis_url):
    started = []

    async def start(*, wait=True, **over):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SCRIPT), env=environment(world, redis_url, **over),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return await Process(process).opened() if wait else Process(process)

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@asynccontextmanager
async def batch_held_open(world, eventually):
    """A batch is inside its transaction, effects written, until the block ends."""
    connection = await asyncpg.connect(world.database.url)
    await connection.execute("select pg_advisory_lock(99)")
    await world.publish(world.batch(("a", 1), ("b", 2)))
    await eventually(world.database.waiting_for_locks)
    yield
    await connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_first_signal_finishes_the_open_batch_and_exits_with_0(world, start, eventually, number):
    process = await start()
    async with batch_held_open(world, eventually):
        process.send(number)
        refused = await eventually(lambda: _refuses(process.grpc_port))
        assert refused, "it has stopped accepting, and still works on the batch"
        assert process.process.returncode is None
        assert await world.effects() == []
    assert await process.ended() == 0, process.stderr
    assert await world.effects() == [("a", 1), ("b", 2)]
    async with world.bus() as bus:
        assert (await bus.lag("payments"))[world.topic.name] == 0
    assert await world.bus_url.value("select count(*) from members") == 0
    assert await world.database.value("select count(*) from relay_lease") == 0


async def _refuses(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False


async def test_a_second_signal_ends_it_at_once_and_not_with_0(world, start, eventually):
    process = await start()
    async with batch_held_open(world, eventually):
        process.send(signal.SIGTERM)
        await eventually(lambda: _refuses(process.grpc_port))
        process.send(signal.SIGTERM)
        assert await process.ended() == 130
    assert await world.effects() == []
    again = await start()
    await eventually(world.applied(("a", 1), ("b", 2)))
    again.send(signal.SIGTERM)
    assert await again.ended() == 0


async def test_a_bug_in_a_background_task_ends_the_process_and_says_why(start):
    process = await start(BUG="1")
    assert await process.ended() == 1
    (line,) = [line for line in process.logs if line["event"] == "service.task_died"]
    assert "LookupError: a bug in a job" in line["exception"]
    assert line["service"] == "payments"


async def test_a_consumers_lines_name_order_trace_and_message(world, start, eventually):
    process = await start()
    await world.publish(world.batch(world.command("order-7", 41, traceparent=TRACE)))
    await eventually(world.applied(("order-7", 41)))
    process.send(signal.SIGTERM)
    assert await process.ended() == 0
    own, library = (
        next(line for line in process.logs if line["event"] == event)
        for event in ("till.decides", "a library says hello")
    )
    for line in (own, library):
        assert (line["order_id"], line["trace_id"], line["service"]) == ("order-7", "ab" * 16, "payments")
        assert line["message_type"] == "orderhub.payments.v1.AuthorizePayment"
        assert line["timestamp"].endswith("Z")
    assert (own["level"], own["component"], own["token"]) == ("info", "till", "41")
    assert library["level"] == "warning"


async def test_lines_and_probes_tell_no_secret(world, start, eventually):
    process = await start()
    async with asyncio.timeout(10):
        pages = [await _get(process.http_port, path) for path in ("/livez", "/readyz", "/metrics")]
    await world.database.hang_up()
    await world.publish(world.batch(("a", 1)))
    await eventually(world.applied(("a", 1)))
    process.send(signal.SIGTERM)
    assert await process.ended() == 0
    token = InternalTokens("i" * 40, SystemClock()).sign(Caller("u"))
    for secret in ("i" * 40, "sesame-open-the-cursors", token):
        assert secret not in process.stderr
        assert not [page for page in pages if secret in page]


async def _get(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    page = (await reader.read()).decode()
    writer.close()
    return page


async def test_a_taken_port_is_one_line(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = await start(wait=False, ORDERHUB_PAYMENTS_HTTP_PORT=str(taken.getsockname()[1]))
        assert await process.ended() == 1
    (line,) = process.stderr.splitlines()
    assert line.startswith("payments cannot start: port ")


async def test_a_start_that_waits_for_a_database_says_so_and_is_stopped_by_a_signal(start, eventually):
    port = free_port()
    process = await start(
        wait=False,
        ORDERHUB_PAYMENTS_HTTP_PORT=str(port),
        ORDERHUB_PAYMENTS_DATABASE_URL="postgresql://someone:sesame-word@127.0.0.1:1/shop",
    )

    async def reason():
        with contextlib.suppress(OSError):
            page = await _get(port, "/readyz")
            return json.loads(page.partition("\r\n\r\n")[2])["reasons"].get("database")

    told = await eventually(reason, within=30)
    assert told.startswith("127.0.0.1:1/shop: nobody listens there")
    process.send(signal.SIGTERM)
    assert await process.ended() == 0
    waits = [line for line in process.logs if line["event"] == "start.waits"]
    assert (waits[0]["part"], waits[0]["kind"], waits[0]["reason"]) == ("database", "refused", told)
    assert "sesame-word" not in process.stderr + told


async def test_a_url_that_no_server_could_mend_ends_the_start_at_once(start):
    url = "postgresql://someone:sesame-word@127.0.0.1:1/shop?sslmode=perhaps"
    process = await start(wait=False, ORDERHUB_PAYMENTS_DATABASE_URL=url)
    assert await process.ended() == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith("ORDERHUB_PAYMENTS_DATABASE_URL: ")
    assert "sslmode" in line
    assert "sesame-word" not in line


async def test_a_start_goes_on_when_what_it_waits_for_is_there(world, start, make_database):
    database = await make_database()
    process = await start(wait=False, ORDERHUB_PAYMENTS_DATABASE_URL=database)
    async with asyncio.timeout(30):
        while b"start.waits" not in await process.process.stderr.readline():
            pass
    connection = await asyncpg.connect(database)
    await migrate(connection, "orderhub_chassis")
    await connection.close()
    await process.opened()
    process.send(signal.SIGTERM)
    assert await process.ended() == 0


async def test_while_it_drains_it_serves_and_says_that_it_stops(start, eventually):
    process = await start(ORDERHUB_PAYMENTS_DRAIN_DELAY="300")
    process.send(signal.SIGTERM)

    async def stopping():
        return '"stop":"it is about to stop"' in await _get(process.http_port, "/readyz")

    await eventually(stopping)
    assert not await _refuses(process.grpc_port)
    process.send(signal.SIGTERM)
    assert await process.ended() == 130


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
