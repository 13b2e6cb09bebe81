"""The product as a whole: run it, stop it, fill it."""

from __future__ import annotations

from pathlib import Path

from orderhub.cli.common import COMMON, Common, Flag, Port
from orderhub.topology import Processes


def up(
    *,
    port: Port | None = None,
    processes: Processes | None = None,
    common: Common = COMMON,
) -> int:
    """Run the whole product here until Ctrl-C.

    Parameters
    ----------
    port
        Port of the gateway on 127.0.0.1 (8080).
    processes
        All services in one process, in two or three, or each in its own (3).
    """
    from orderhub import up as upping

    return upping.run(upping.Wishes(common.home, port, processes), common.out)


def run(*services: str, after: Path | None = None, common: Common = COMMON) -> int:
    """Run services in this process, with settings from the environment.

    Parameters
    ----------
    services
        auth, inventory, payments, delivery, orders, gateway; or simulator alone.
    after
        Load everything, then wait for this file before anything is opened.
    """
    from orderhub import running

    return running.run(services, after=after)


def status(*, common: Common = COMMON) -> int:
    """What runs, and whether it is ready."""
    from orderhub import control

    return control.status(common.place, common.out)


def down(*, common: Common = COMMON) -> int:
    """Stop what `up` started here, and wait until it has stopped."""
    from orderhub import control

    return control.down(common.place, common.out)


def reset(*, yes: bool = False, common: Common = COMMON) -> int:
    """Remove all data, logs and secrets of the data folder.

    Parameters
    ----------
    yes
        Do not ask.
    """
    from orderhub import control

    return control.reset(common.place, common.out, yes=yes)


def migrate(*, pre: Flag = False, post: Flag = False, common: Common = COMMON) -> int:
    """Bring all databases to the newest schema; in a roll-out without a pause, `--pre` before it and `--post` after it.

    Parameters
    ----------
    pre
        Only what the code that runs now can live with: before the first new process starts.
    post
        Only what wants none of the old code: after the last old process has stopped.
    """
    from orderhub import control

    return control.migrate(common.place, common.out, phase="all" if pre == post else "pre" if pre else "post")


def seed(*, bench: bool = False, demo: Flag = False, common: Common = COMMON) -> int:
    """Bring the demo catalogue in again, or the 5,000 products that `load` orders.

    Parameters
    ----------
    bench
        The products of `load`, by a vendor of their own with a huge stock.
    demo
        First the demo vendors and users, in an installation that `up` has not made; shows their passwords once.
    """
    from orderhub import seeding

    return seeding.seed(common.place, common.out, bench=bench, with_people=demo)


def import_(file: Path, /, *, vendor: str = "", partial: bool = False, common: Common = COMMON) -> int:
    """Import products from a CSV file; nothing is imported unless all rows are good.

    Parameters
    ----------
    file
        Columns: vendor, sku, title, kind, species, price_minor, currency, stock, life_stage, age_days or born_on,
        weight_kg, weaned, carapace_cm.
    vendor
        The vendor of all rows, by name, where the file has no such column.
    partial
        Import the good rows and name the bad ones.
    """
    from orderhub import seeding

    return seeding.import_file(common.place, common.out, file, vendor=vendor, partial=partial)
