"""`up` from its first start to its stop, as a process: what it keeps, what it says, what it refuses, what it survives."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from orderhub import cli, gateway, home, ports, topology
from orderhub.exits import Exit, Refused
from product import Product


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home"


def comes_true(condition: Callable[[], Any], *, within: float = 30.0) -> Any:
    until = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.02)
    return value


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that have to do with the folder, by their environment or arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            if entry.name.isdigit() and int(entry.name) != os.getpid() and os.fsencode(folder) in told:
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr; no traceback."""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


# --- a whole life ---


def test_an_installation_lives_through_stops_and_crashes(folder: Path) -> None:
    product = Product(folder, processes="3")
    with product:
        users = demo_is_complete(product)
        order = product.json("order", "place", "--sku", "GOOD-HEATPK", "--wait", "20")
        assert order["status"] == "CONFIRMED"
        everything_is_ready(product, {"simulator", "participants", "orders", "front", "postgres", "redis"})
        a_second_up_is_refused(product)
        reset_is_refused(product)
        signing_keys_are_taken_back(product)
        dead_processes_come_back(product)
        assert not any(product.json("migrate")["applied"].values())
        a_vendor_changes_the_price_of_the_pup(product, 80000)
        age_the_pup(product, days=10)
        assert product.json("check")["clean"] is True
        said = stopped_by_down(product)
        assert "participants" in said
        assert "it is started again" in said
    assert processes_of(folder) == []
    assert product.run("status").returncode == Exit.NOT_NOW
    ports.require_free(product.port)

    product.processes = "2"
    with product:
        everything_is_ready(product, {"simulator", "core", "front", "postgres", "redis"})
        assert product.json("order", "place", "--sku", "GOOD-HEATPK", "--wait", "20")["status"] == "CONFIRMED"

    product.processes = "1"
    with product:
        assert json.loads(product.place.demo.read_text())["users"] == users
        assert product.json("order", "show", order["id"])["status"] == "CONFIRMED"
        assert product.json("order", "cancel", "last", "--watch")["status"] == "CANCELLED"
        pup = refused_pup(product)
        assert "age 42 d" in pup["reason"]["message"]
        assert pup["totals"]["total"]["amount_minor"] == 80000
    assert product.json("check")["clean"] is True
    assert product.run("reset", "--yes").returncode == Exit.DONE
    assert not product.place.demo.exists()


def demo_is_complete(product: Product) -> Any:
    """demo.json has the shape that everybody relies on, and only its owner may read it."""
    assert stat.S_IMODE(product.place.demo.stat().st_mode) == 0o600
    demo = json.loads(product.place.demo.read_text())
    assert demo["gateway"] == f"http://127.0.0.1:{product.port}"
    assert set(demo["users"]) == {"customer", "customer2", "courier", "operator", "vendors"}
    assert len(demo["users"]["vendors"]) == 7
    assert set(demo["users"]["vendors"]["Blue Lagoon Aquatics"]) == {"email", "password"}
    token = product.run("token", "blue-lagoon-aquatics")
    assert token.returncode == 0
    assert token.stdout.count(".") == 2
    return demo["users"]


def everything_is_ready(product: Product, processes: set[str]) -> None:
    status = product.json("status")
    assert set(status["pids"]) == processes
    assert {part["part"]: part["state"] for part in status["parts"]} == dict.fromkeys(
        {*topology.NAMES, topology.SIMULATOR}, "ready"
    )


def a_second_up_is_refused(product: Product) -> None:
    done = product.run("up", "--port", str(ports.free_port()))
    assert done.returncode == Exit.NOT_NOW
    assert "in use by process" in refusal(done)


def reset_is_refused(product: Product) -> None:
    done = product.run("reset", "--yes")
    assert done.returncode == Exit.NOT_NOW
    assert "orderhub down" in refusal(done)


def signing_keys_are_taken_back(product: Product) -> None:
    """A token of before is refused by a gateway in another process; the commands that have kept one log in again."""
    kept = gateway.as_user(product.place, "customer")
    bare = gateway.Gateway(kept.url, kept.token)
    bare.get("auth/me")
    old = {key["kid"] for key in product.json("admin", "keys")}
    fresh = product.json("admin", "rotate-keys", "--now")
    assert {key["state"] for key in fresh} == {"signing"}
    assert old.isdisjoint(key["kid"] for key in fresh)
    comes_true(lambda: is_refused(lambda: bare.get("auth/me")))
    kept.get("auth/me")
    done = product.run("admin", "rotate-keys", "--algorithm", "HS256")
    assert "must be one of ES256, RS256" in refusal(done)


def is_refused(work: Callable[[], object]) -> bool:
    try:
        work()
    except Refused as error:
        return "token" in str(error)
    return False


def dead_processes_come_back(product: Product) -> None:
    """A killed process is started again under another pid, and orders go through as before."""
    names = ("participants", "orders", "simulator")
    before = pids(product)
    for name in names:
        os.kill(before[name], signal.SIGKILL)
    comes_true(lambda: all(pids(product).get(name, before[name]) != before[name] for name in names))
    comes_true(lambda: product.run("status").returncode == Exit.DONE)
    order = product.json("order", "place", "--sku", "GOOD-HEATPK", "--wait", "20")
    assert order["status"] == "CONFIRMED"


def pids(product: Product) -> Mapping[str, int]:
    runtime = product.place.runtime()
    assert runtime is not None
    return runtime.pids


def stopped_by_down(product: Product) -> str:
    assert product.run("down").returncode == Exit.DONE
    assert product.process is not None
    said, product.process = product.process.communicate(timeout=30)[0], None
    return said


def the_pup(product: Product) -> Any:
    found = gateway.running(product.place).get("products", q="DOG-BORD-B1")["items"]
    return next(item for item in found if item["sku"] == "DOG-BORD-B1")


def a_vendor_changes_the_price_of_the_pup(product: Product, amount: int) -> None:
    vendor = gateway.as_user(product.place, "hillside-kennels")
    vendor.request(
        "PATCH", f"products/{the_pup(product)['id']}", {"price": {"amount_minor": amount, "currency": "EUR"}}
    )


def age_the_pup(product: Product, *, days: int) -> None:
    """As if so many days had passed."""
    runtime = product.place.runtime()
    assert runtime is not None
    asyncio.run(_older(runtime.urls["orderhub_inventory"], the_pup(product)["id"], days))


async def _older(url: str, product_id: str, days: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "update animals set born_on = born_on - $2::int where product_id = $1::text::uuid",
            product_id,
            days,
        )
    finally:
        await connection.close()


def refused_pup(product: Product) -> Any:
    """The rule that refuses it tells its age."""
    order = product.json("order", "place", "--sku", "DOG-BORD-B1", "--ship-to", "DE", "--wait", "20")
    assert order["status"] == "REJECTED"
    assert order["reason"]["code"] == "EU-AGE-02"
    return order


def test_every_service_in_a_process_of_its_own(folder: Path) -> None:
    given = {"ORDERHUB_INTERNAL_KEY": "i" * 40, "ORDERHUB_AUTH_KEY_ENCRYPTION_KEY": "k" * 40}
    public = {"ORDERHUB_PUBLIC_URL": "https://shop.example", "ORDERHUB_BUS": "postgresql://elsewhere/bus"}
    public |= {"ORDERHUB_LOG_LEVLE": "debug"}
    with Product(folder, processes="per-service", extra=given | public) as product:
        assert (
            product.place.secrets().items()
            >= {"internal_key": "i" * 40, "key_encryption_key": "k" * 40}.items()
        )
        claims = product.run("token", "customer").stdout.split(".")[1]
        assert json.loads(base64.urlsafe_b64decode(claims + "=="))["iss"] == "https://shop.example"
        everything_is_ready(product, {*topology.NAMES, "simulator", "postgres", "redis"})
        order = product.json(
            "order", "place", "--sku", "GOOD-HEATPK", "--pay", "tok_declined", "--wait", "20"
        )
        assert order["status"] == "REJECTED"
        said = product.stop()
    assert "not used, since `up` decides it: ORDERHUB_BUS\n" in said
    assert "not used, since no part reads it: ORDERHUB_LOG_LEVLE\n" in said
    assert "ORDERHUB_PUBLIC_URL" not in said
    assert processes_of(folder) == []


# --- what keeps it from starting ---


def test_a_used_port_is_one_line_and_leaves_nothing(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = Product(folder, port=taken.getsockname()[1]).run("up", "--port", str(taken.getsockname()[1]))
    assert done.returncode == Exit.FAILED
    assert "is in use" in refusal(done)
    assert "--port" in refusal(done)
    assert not (folder / "postgres").exists()


def test_a_port_that_is_taken_while_the_product_starts_is_the_reason_that_is_given(folder: Path) -> None:
    product = Product(folder, processes="3")
    command = [sys.executable, "-m", "orderhub", "up", "--port", str(product.port), "--processes", "3"]
    up = subprocess.Popen(
        command, env=product.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    comes_true((folder / "postgres" / "data").exists)  # the launcher has looked at the port before that
    with socket.create_server(("127.0.0.1", product.port)):
        said = up.communicate(timeout=60)
    assert up.returncode == Exit.FAILED
    assert f"port {product.port} on 127.0.0.1 cannot be used" in said[1]
    assert len(said[1].splitlines()) == 1
    assert processes_of(folder) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("ORDERHUB_LOG_LEVEL", "loud"), ("ORDERHUB_PORT", "many"), ("ORDERHUB_ORDERS_CONSUMER_BATCH", "0")],
)
def test_a_bad_setting_is_one_line_that_names_it_and_leaves_nothing(
    name: str, value: str, folder: Path
) -> None:
    done = Product(folder, extra={name: value}).run("up")
    assert done.returncode == Exit.USAGE
    assert name in refusal(done)
    assert not (folder / "postgres").exists()
    assert processes_of(folder) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORDERHUB_DATABASE_URL", "postgresql://me:geheim@127.0.0.1:{port}/x"),
        ("ORDERHUB_DATABASE_URL", "postgresql://me:geheim@127.0.0.1:many/x"),
        ("ORDERHUB_DATABASE_URL", "postgresql://me:geheim@[::1/x"),
        ("ORDERHUB_REDIS_URL", "redis://me:geheim@127.0.0.1:{port}/0"),
        ("ORDERHUB_REDIS_URL", "redis://me:geheim@127.0.0.1:many/0"),
        ("ORDERHUB_REDIS_URL", "redis://me:geheim@[::1/0"),
    ],
)
def test_a_server_that_is_not_there_is_one_line_that_names_its_variable(
    name: str, value: str, folder: Path
) -> None:
    product = Product(folder, extra={name: value.format(port=ports.free_port())})
    done = product.run("up", "--port", str(product.port))
    assert done.returncode in (Exit.FAILED, Exit.USAGE)
    assert refusal(done).startswith(f"orderhub: {name}: ")
    assert "geheim" not in refusal(done)
    assert processes_of(folder) == []


def test_a_secret_that_is_not_the_folders_is_one_line_that_names_it(folder: Path) -> None:
    with home.opened(folder) as place:
        kept = place.secret("cursor_key")
        place.mark_initialised()
    for name in ("ORDERHUB_CURSOR_KEY", "ORDERHUB_ORDERS_CURSOR_KEY"):
        done = Product(folder, extra={name: "another-secret-of-somebody-else-entirely"}).run("up", timeout=30)
        assert done.returncode == Exit.USAGE
        assert refusal(done).startswith(f"orderhub: {name}: ")
        assert "secrets.json" in refusal(done)
        assert "another-secret" not in done.stderr
        assert kept not in done.stderr
    assert not (folder / "postgres").exists()


def test_a_half_initialised_folder_is_one_line_and_reset_mends_it(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)
    product = Product(folder)
    done = product.run("up", "--port", str(product.port))
    assert done.returncode == Exit.FAILED
    assert "half-initialised" in refusal(done)
    assert product.run("reset", "--yes").returncode == Exit.DONE
    assert not (folder / "postgres").exists()


def test_a_folder_that_is_not_ours_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("precious")
    done = Product(folder).run("up")
    assert done.returncode == Exit.FAILED
    assert "ORDERHUB_HOME" in refusal(done)
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_ctrl_c_in_the_first_start_leaves_nothing_behind(folder: Path) -> None:
    product = Product(folder)
    command = [sys.executable, "-m", "orderhub", "up", "--port", str(product.port)]
    up = subprocess.Popen(command, env=product.environment, stdout=subprocess.PIPE, text=True)
    comes_true((folder / "postgres" / "data").exists)
    up.send_signal(signal.SIGINT)
    said = up.communicate(timeout=60)[0]
    assert up.returncode == Exit.INTERRUPTED
    assert "Stopped." in said
    assert processes_of(folder) == []
    assert not (folder / "postgres").exists()


def test_a_second_signal_ends_it_at_once(folder: Path) -> None:
    product = Product(folder)
    product.start()
    assert product.process is not None
    product.process.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    product.process.send_signal(signal.SIGTERM)
    product.process.communicate(timeout=10)
    assert product.process.returncode == Exit.INTERRUPTED
    product.process = None
    comes_true(lambda: processes_of(folder) == [])


# --- the rest of the command line ---


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["bogus"], Exit.USAGE, "bogus"),
        (["up", "--port", "x"], Exit.USAGE, "--port"),
        (["up", "--port", "99999"], Exit.USAGE, "99999"),
        (["run"], Exit.USAGE, "simulator"),
        (["run", "bogus"], Exit.USAGE, "gateway"),
        (["run", "orders"], Exit.USAGE, "ORDERHUB_ORDERS_DATABASE_URL"),
        (["down"], Exit.NOT_NOW, "does not run"),
        (["status"], Exit.NOT_NOW, "does not run"),
        (["token", "customer"], Exit.NOT_NOW, "does not run"),
        (["order", "place", "--sku", "X", "--ship-to", "MARS"], Exit.USAGE, "NL"),
        (["order", "place", "--sku", "X", "--wait", "-1"], Exit.USAGE, "--wait"),
        (["order", "place", "--sku", "X", "--quantity", "0"], Exit.USAGE, "--quantity"),
        (["order", "list", "--limit", "0"], Exit.USAGE, "--limit"),
        (["order", "list", "--status", "lost"], Exit.USAGE, "CONFIRMED"),
        (["order", "place", "--sku", "X", "--key", "schl\u00fcssel"], Exit.USAGE, "--key"),
        (["doctor", "--port", "0"], Exit.USAGE, "--port"),
        (["load"], Exit.NOT_NOW, "does not run"),
        (["load", "--mix", "sad"], Exit.USAGE, "happy"),
        (["load", "--duration", "soon"], Exit.USAGE, "30s"),
        (["check"], Exit.NOT_NOW, "no OrderHub"),
        (["check", "bogus"], Exit.USAGE, "money.owed"),
        (["migrate"], Exit.NOT_NOW, "no OrderHub"),
        (["reset"], Exit.USAGE, "--yes"),
        (["import", "/nowhere.csv"], Exit.USAGE, "nowhere.csv"),
        (["admin", "create-operator", "a@b.example"], Exit.NOT_NOW, "no OrderHub"),
        (["admin", "keys"], Exit.NOT_NOW, "does not run"),
        (["admin", "rotate-keys", "--now"], Exit.NOT_NOW, "does not run"),
    ],
)
def test_every_mistake_is_one_line_with_its_code(
    arguments: list[str],
    code: Exit,
    words: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("ORDERHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ORDERHUB_HOME", str(folder))
    assert cli.main(arguments) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert cli.main([*arguments, "--json"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert words in json.loads(line)["error"]


def test_help_and_version_need_no_installation(folder: Path) -> None:
    assert "Exit codes" in Product(folder).run("--help").stdout
    assert Product(folder).run("--version").stdout.strip() == "0.1.0"
    assert not folder.exists()
