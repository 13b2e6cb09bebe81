"""What an operator does: look whether all fits together, put it under load, see the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cyclopts import App

from orderhub.cli.common import COMMON, Common, Flag, Port
from orderhub.exits import Exit, Refused


def check(*names: str, common: Common = COMMON) -> int:
    """Look whether the data of all services fits together, running or stopped; names every row that does not.

    Parameters
    ----------
    names
        Only these checks.
    """
    from orderhub.checks import run as checking

    return checking.run(common.place, common.out, only=names)


def load(
    *,
    rate: float = 0.0,
    duration: str = "30s",
    mix: str = "happy",
    orders: int = 0,
    deliver: Flag = False,
    burst: Flag = False,
    customers: int = 50,
    connections: int = 64,
    settle_within: str = "120s",
    patience: str = "60s",
    wait_share: float = 0.25,
    record: Path | None = None,
    seed: int = 0,
    common: Common = COMMON,
) -> int:
    """Place orders as customers of its own, and prove that each accepted one is there and settled.

    Parameters
    ----------
    rate
        Orders per second; 0 is as fast as it goes.
    duration
        For how long, where --orders is not given.
    mix
        Kinds of orders, with weights or without: happy,declined,cancel,flaky,timeout or happy:8,cancel:2.
    orders
        So many, instead of a duration.
    deliver
        Couriers of its own bring every confirmed order to COMPLETED.
    burst
        Only post while posting: nobody waits for an order, all are looked at afterwards.
    customers
        How many share the orders.
    connections
        Open at once.
    settle_within
        How long after the last POST all have to be settled.
    patience
        How long one request is repeated while the gateway is away.
    wait_share
        Share of orders that are waited for (Prefer: wait), which measures the time to settle.
    record
        Append the id of every accepted order to this file at once.
    seed
        Of the dice; 0 is another run each time.
    """
    from orderhub.load import mix as mixes
    from orderhub.load import run as loading

    wanted = loading.Wanted(
        mixes.parsed(mix), rate, seconds(duration), orders, customers, connections, deliver, burst, wait_share,
        seconds(settle_within), seconds(patience), record, seed,
    )  # fmt: skip
    return loading.run(common.place, common.out, wanted)


def seconds(text: str) -> float:
    """`30`, `30s`, `2m`, `1h` in seconds. Raises Refused."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    unit = units.get(text[-1:])
    try:
        value = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise Refused(f"{text!r} is no time: write 30s, 2m or 1h", Exit.USAGE)
    return value


def reconcile(*, common: Common = COMMON) -> int:
    """Compare orders, ledger and the provider's own answer; names every difference."""
    from orderhub import operators

    return operators.reconcile(common.place, common.out)


def doctor(*, port: Port = 8080, common: Common = COMMON) -> int:
    """Look at the machine, the settings, the data folder and the servers: per line what is wrong and how to mend it.

    Parameters
    ----------
    port
        The port that the gateway is to have.
    """
    from orderhub import doctor as doctors

    return doctors.run(common.place, common.out, port=port)


def config(
    *,
    write: Flag = False,
    check: Flag = False,
    common: Common = COMMON,
) -> int:
    """All settings with their values, secrets masked.

    Parameters
    ----------
    write
        Write docs/configuration.md and .env.example anew.
    check
        Look whether these two are as the settings say.
    """
    from orderhub import configuration

    if write or check:
        return configuration.write(common.out, check=check and not write)
    return configuration.show(common.place, common.out)


def cleanup(
    what: Literal["expired", "sessions", "consumed", "all"] = "all", /, *, common: Common = COMMON
) -> int:
    """Delete what is over among logins now, as auth does by itself every ten minutes; says how much of what.

    Parameters
    ----------
    what
        expired (codes, revocations, API keys), sessions (with their tokens), consumed (tokens and codes that were used).
    """
    from orderhub import operators

    return operators.clean_up(common.place, common.out, what)


admin = App(name="admin", help="What keeps an installation: its first operator, its signing keys.")


@admin.command(name="create-operator")
def admin_create_operator(email: str, /, *, common: Common = COMMON) -> int:
    """Make an operator; works running or stopped.

    Parameters
    ----------
    email
        The address to log in with. The password comes from ORDERHUB_PASSWORD, or is generated and shown once.
    """
    from orderhub import operators

    return operators.create_operator(common.place, common.out, email)


@admin.command(name="keys")
def admin_keys(*, common: Common = COMMON) -> int:
    """The published keys that sign tokens, and which of them signs."""
    from orderhub import operators

    return operators.signing_keys(common.place, common.out)


@admin.command(name="rotate-keys")
def admin_rotate_keys(*, algorithm: str = "", now: Flag = False, common: Common = COMMON) -> int:
    """Publish the next signing keys, which sign once everybody can know them.

    Parameters
    ----------
    algorithm
        ES256 (access tokens) or RS256 (ID tokens); both without it.
    now
        For keys that others may know: fresh ones sign at once, and every token of the others is refused.
    """
    from orderhub import operators

    return operators.rotate_keys(common.place, common.out, algorithm, now=now)


def version(*, common: Common = COMMON) -> int:
    """The version of OrderHub and of what it stands on."""
    from orderhub import control

    return control.versions(common.out)
