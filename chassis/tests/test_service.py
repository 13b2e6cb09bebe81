"""A whole chassis: outbox to bus to inbox, readiness, jobs, dead letters over gRPC, and closing in the right order."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from http.client import HTTPConnection
from uuid import uuid4

import asyncpg
import pytest
import structlog
from orderhub_chassis import cdc, http, metrics, replays
from orderhub_chassis.calls import Call, Caller
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.errors import Failure, Kind, Unavailable
from orderhub_chassis.grpc import client
from orderhub_chassis.migrate import migrate
from orderhub_chassis.service import Surroundings, open_chassis
from orderhub_chassis.settings import ServiceSettings
from orderhub_contracts.common.v1.common_pb2 import PageRequest
from orderhub_contracts.events.v1 import dead_letters_pb2 as pb
from orderhub_contracts.events.v1 import dead_letters_pb2_grpc

OPERATOR = Call(caller=Caller("op", frozenset({"operator"})))


@pytest.fixture
def open_payments(world, make_settings):
    """`async with open_payments(decide) as chassis`: the consumer of the test's world as a whole service."""

    @asynccontextmanager
    async def opened(decide=None, around=None, **over):
        settings = await make_settings(
            ServiceSettings,
            "orderhub_chassis",
            database_url=world.database.url,
            bus=world.bus_url.url,
            **over,
        )
        async with open_chassis(
            "payments", settings, around or Surroundings(), package="orderhub_chassis"
        ) as chassis:
            await chassis.consume(world.spec(decide) if decide else world.spec())
            await chassis.serve_grpc([], [])
            chassis.readiness.opened = True
            yield chassis

    return opened


@pytest.fixture
def open_orders(world, make_settings):
    @asynccontextmanager
    async def opened(**over):
        settings = await make_settings(ServiceSettings, "orderhub_chassis", bus=world.bus_url.url)
        settings = settings.model_copy(update=over)
        async with open_chassis("orders", settings, Surroundings(), package="orderhub_chassis") as chassis:
            yield chassis

    return opened


async def test_what_one_service_sends_another_applies(world, open_orders, open_payments, eventually):
    async with open_orders() as orders, open_payments():
        async with orders.db.transaction() as tx:
            tx.send_all(world.command("a", n) for n in range(3))
        await eventually(world.applied(("a", 0), ("a", 1), ("a", 2)))


async def test_what_waits_in_the_outbox_at_a_stop_goes_out_before_the_end(world, open_orders):
    async with open_orders() as orders, orders.db.transaction() as tx:
        tx.send(world.command("a", 1))
    assert await world.bus_url.value("select sum(count) from log") == 1


async def test_the_relay_and_the_consumer_live_by_real_time_whatever_the_injected_clock_says(
    world, open_payments, eventually
):
    clock = ManualClock()
    async with open_payments(around=Surroundings(clock=clock)) as chassis:
        await world.publish(world.batch(("a", 1)))
        await eventually(world.applied(("a", 1)))
        clock.advance(timedelta(days=2))
        await world.publish(world.batch(("a", 2)))
        await eventually(world.applied(("a", 1), ("a", 2)))
        started = asyncio.get_running_loop().time()
        assert chassis.readiness.ok
    assert asyncio.get_running_loop().time() - started < 5, "closing did not wait for a clock that stands"


async def test_readyz_tells_of_an_outage_and_of_its_end(world, open_payments, eventually):
    async def status():
        reader, writer = await asyncio.open_connection("127.0.0.1", chassis.http_port)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return int(answer.split()[1])

    async with open_payments() as chassis:
        await eventually(lambda: _is(status, 200))
        await world.database.go_away()
        await eventually(lambda: _is(status, 503))
        await world.database.come_back()
        await eventually(lambda: _is(status, 200), within=20)


async def _is(status, wanted):
    return await status() == wanted


async def test_a_service_is_not_ready_while_it_closes_because_a_neighbour_failed(open_orders):
    opened = []

    async def process():
        async with open_orders() as chassis:
            chassis.readiness.opened = True
            opened.append(chassis.readiness)
            raise RuntimeError("a neighbour in the process could not start")

    with pytest.raises(RuntimeError, match="a neighbour"):
        await process()
    assert not opened[0].ok


async def test_a_start_waits_for_the_migrations_of_both_databases_and_says_so(
    make_settings, make_database, eventually
):
    database, bus, port = await make_database(), await make_database(), free_port()
    settings = await make_settings(
        ServiceSettings, "orderhub_chassis", database_url=database, bus=bus, http_port=port
    )
    async with AsyncExitStack() as stack:
        opening = asyncio.ensure_future(
            stack.enter_async_context(
                open_chassis("shop", settings, Surroundings(), package="orderhub_chassis")
            )
        )
        for url, part, package in (
            (database, "migrations", "orderhub_chassis"),
            (bus, "bus", "orderhub_chassis.bus"),
        ):
            reason = await eventually(lambda part=part: _reason(port, part))
            assert "run `orderhub migrate` first, missing: 0001_pre_" in reason
            connection = await asyncpg.connect(url)
            await migrate(connection, package)
            await connection.close()
        chassis = await opening
        assert chassis.readiness.report() == {"start": "not opened yet"}


async def test_a_start_whose_database_goes_away_in_the_middle_of_it_waits_for_it(
    world, make_settings, make_database, eventually
):
    bus, port = await make_database(), free_port()
    settings = await make_settings(
        ServiceSettings, "orderhub_chassis", database_url=world.database.url, bus=bus, http_port=port
    )
    async with AsyncExitStack() as stack:
        opening = asyncio.ensure_future(
            stack.enter_async_context(
                open_chassis("payments", settings, Surroundings(), package="orderhub_chassis")
            )
        )
        await eventually(lambda: _reason(port, "bus"))
        await world.database.go_away()
        connection = await asyncpg.connect(bus)
        await migrate(connection, "orderhub_chassis.bus")
        await connection.close()
        reason = await eventually(lambda: _reason(port, "database"))
        assert world.database.name in reason
        await world.database.come_back()
        chassis = await opening
        assert chassis.readiness.report() == {"start": "not opened yet"}


async def _reason(port, part):
    """Why /readyz says that a part is not ready."""
    answer = await asyncio.to_thread(_readyz, port)
    return answer["reasons"].get(part)


def _readyz(port):
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return json.load(connection.getresponse())
    except ConnectionRefusedError:
        return {"reasons": {}}
    finally:
        connection.close()


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def test_a_taken_health_port_is_refused(open_payments):
    async with http.serve(http.health_app("x", None), host="127.0.0.1", port=0) as port:
        with pytest.raises(http.PortTaken):
            async with open_payments(http_port=port):
                pass


async def test_a_job_runs_again_at_once_while_it_has_work_and_sooner_on_its_hint(open_orders, eventually):
    runs, work_left = [], [True, True, False]

    async def job():
        runs.append(1)
        return work_left.pop(0) if work_left else False

    async def ran(times):
        return len(runs) == times

    async with open_orders() as orders:
        await orders.every(timedelta(minutes=10), "job", job, wake="work:there")
        await eventually(lambda: ran(3))
        orders.hints.notify("work:there")
        await eventually(lambda: ran(4))


async def test_a_job_whose_infrastructure_is_away_waits_and_says_so(open_orders, eventually):
    away = True

    async def job():
        if away:
            raise Unavailable("the provider is away")

    async def told():
        return orders.readiness.report().get("job") == "the provider is away"

    async def quiet():
        return "job" not in orders.readiness.report()

    async with open_orders() as orders:
        await orders.every(timedelta(milliseconds=10), "job", job)
        await eventually(told)
        away = False
        await eventually(quiet)


async def test_a_job_with_a_bug_fails_the_service(open_orders):
    async def job():
        raise LookupError("a bug")

    async with open_orders() as orders:
        await orders.every(timedelta(minutes=1), "job", job)
        with pytest.raises(LookupError, match="a bug"):
            await asyncio.wait_for(orders.failed, 5)


async def test_housekeeping_measures_the_outbox_the_lag_the_pool_and_the_loop(
    world, open_orders, open_payments, eventually
):
    def gauge(metric, *labels):
        return metric.labels(*labels)._value.get()

    async with open_payments() as chassis:
        async with chassis.bus.consumer("orders", [world.topic], "m"):
            await world.publish(world.batch(("a", 1)))
        async with open_orders() as orders:

            async def measured():
                return gauge(metrics.CONSUMER_LAG, "orders", world.topic.name) == 1

            await eventually(measured)
            assert gauge(metrics.DB_POOL_SIZE, "orders", "open") >= 1
            assert 0 <= gauge(metrics.LOOP_LAG, "orders") < 5
            assert orders.readiness.reasons == {}


async def test_housekeeping_measures_the_outbox_of_the_relay_that_is_used(
    open_orders, monkeypatch, eventually
):
    """With change data capture nothing is in the other form's table."""

    async def three(_):
        return {"n": 3, "oldest": None}

    monkeypatch.setattr(cdc, "waiting", three)
    async with open_orders(relay="cdc"):

        async def measured():
            return metrics.OUTBOX_ROWS.labels("orders")._value.get() == 3

        await eventually(measured)


async def _has(world, count):
    return len(await world.dead_letters()) == count


class Peers:
    """The dead letters of a service, as an operator's client sees them."""

    def __init__(self, peer):
        self.peer = peer
        self.stub = dead_letters_pb2_grpc.DeadLetterServiceStub(peer.channel)

    async def list(self, call=OPERATOR, **fields):
        return await self.peer.call(self.stub.ListDeadLetters, pb.ListDeadLettersRequest(**fields), call=call)

    async def get(self, id, call=OPERATOR):
        return await self.peer.call(self.stub.GetDeadLetter, pb.GetDeadLetterRequest(id=id), call=call)

    async def replay(self, id, call=OPERATOR, **fields):
        return await self.peer.call(
            self.stub.ReplayDeadLetter, pb.ReplayDeadLetterRequest(id=id, **fields), call=call
        )


@asynccontextmanager
async def dead_letters(chassis):
    address = f"127.0.0.1:{chassis.grpc_port}"
    async with client.connect(address, chassis.tokens, timedelta(seconds=10)) as peer:
        yield Peers(peer)


async def test_an_operator_lists_dead_letters_and_replays_them(world, open_payments, eventually):
    broken = {"a", "b", "c"}

    def decide(state, envelope):
        if envelope.key in broken:
            raise ArithmeticError(f"no {envelope.key}")
        state.applied.append((envelope.key, int(envelope.payload.token)))

    async with open_payments(decide) as chassis, dead_letters(chassis) as door:
        for count, key in ((2, "a"), (4, "b"), (6, "c")):
            await world.publish(world.batch((key, 1), (key, 2)))
            await eventually(lambda count=count: _has(world, count))
        page = await door.list(page=PageRequest(limit=2))
        assert [(item.key, item.status, item.parked_behind) for item in page.items] == [
            ("c", "dead", 1), ("b", "dead", 1),
        ]  # fmt: skip
        rest = await door.list(page=PageRequest(limit=2, cursor=page.next_cursor))
        assert ([item.key for item in rest.items], rest.next_cursor) == (["a"], "")
        item = rest.items[0]
        assert (item.reason, item.attempts, item.consumer) == ("ArithmeticError: no a", 5, "payments")
        assert item.topic == world.topic.name

        assert await door.get(item.id) == item

        still = await door.replay(item.id)
        assert (still.applied, still.error) == (0, "ArithmeticError: no a")
        broken.clear()
        dry = await door.replay(item.id, dry_run=True)
        assert (dry.applied, list(dry.would_send), dry.error) == (2, [], "")
        assert await world.effects() == []
        assert (await door.replay(item.id)).applied == 2
        assert await world.effects() == [("a", 1), ("a", 2)]
        assert [i.key for i in (await door.list(status="done")).items] == ["a", "a"], "with what was parked"
        assert [i.key for i in (await door.list(status="dead")).items] == ["c", "b"]


async def test_a_dead_letter_tells_how_often_it_was_replayed_and_is_refused_after_too_many(
    world, open_payments, eventually
):
    def decide(state, envelope):
        raise ArithmeticError("no")

    async with open_payments(decide, replay_rate=1 / 3600) as chassis, dead_letters(chassis) as door:
        await world.publish(world.batch(("a", 1)))
        await eventually(lambda: _has(world, 1))
        (item,) = (await door.list()).items
        assert item.replays == 0
        with structlog.testing.capture_logs() as logs:
            for _ in range(replays.MAX_REPLAYS):
                assert (await door.replay(item.id)).error == "ArithmeticError: no"
        failed = [line for line in logs if line["event"] == "replay.failed"]
        assert [line["dead_letter"] for line in failed] == [item.id] * replays.MAX_REPLAYS
        assert all(isinstance(line["exc_info"], ArithmeticError) for line in failed), "with its stack"
        (item,) = (await door.list()).items
        assert item.replays == replays.MAX_REPLAYS
        with pytest.raises(Failure) as refused:
            await door.replay(item.id)
        assert (refused.value.kind, refused.value.code) == (
            Kind.CONFLICT,
            "dead_letters.replayed_too_often",
        )
        for _ in range(replays.BURST - replays.MAX_REPLAYS):
            assert (await door.replay(item.id, force=True)).error == "ArithmeticError: no"
        with pytest.raises(Failure) as refused:
            await door.replay(item.id, force=True)
        assert (refused.value.kind, refused.value.retry_after) == (
            Kind.RATE_LIMITED,
            pytest.approx(3600, abs=100),
        )


async def test_dead_letters_are_for_operators_alone(open_payments):
    async with open_payments() as chassis, dead_letters(chassis) as door:
        with pytest.raises(Failure, match="operator") as refused:
            await door.list(call=Call(caller=Caller("u", frozenset({"customer"}))))
        assert refused.value.kind is Kind.FORBIDDEN
        with pytest.raises(Failure, match="token") as refused:
            await door.replay("x", call=Call())
        assert refused.value.kind is Kind.UNAUTHENTICATED
        with pytest.raises(Failure, match="operator") as refused:
            await door.get(str(uuid4()), call=Call(caller=Caller("u", frozenset({"customer"}))))
        assert refused.value.kind is Kind.FORBIDDEN


async def test_a_dead_letter_that_nobody_has_is_not_found(open_payments):
    async with open_payments() as chassis, dead_letters(chassis) as door:
        with pytest.raises(Failure, match="no dead letter") as refused:
            await door.get(str(uuid4()))
        assert refused.value.kind is Kind.NOT_FOUND


@pytest.mark.parametrize(
    ("request_of", "pointer"),
    [
        (lambda door: door.replay("not a uuid"), "/id"),
        (lambda door: door.get("not a uuid"), "/id"),
        (lambda door: door.list(page=PageRequest(limit=201)), "/query/limit"),
        (lambda door: door.list(page=PageRequest(cursor="forged")), "/query/cursor"),
    ],
    ids=["replayed", "shown", "limit", "cursor"],
)
async def test_bad_requests_name_the_field(open_payments, request_of, pointer):
    async with open_payments() as chassis, dead_letters(chassis) as door:
        with pytest.raises(Failure) as refused:
            await request_of(door)
        assert [error.pointer for error in refused.value.errors] == [pointer]
