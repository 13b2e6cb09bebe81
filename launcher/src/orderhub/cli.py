"""The `orderhub` command: every command's name, options and help. What they do stands in modules of their own,
which are imported when they are needed, so that `--help` is there at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from orderhub.exits import Exit, Refused
from orderhub.output import Output, complain
from orderhub.topology import Processes

Country = Literal["NL", "DE", "FR", "GB", "US"]
Status = Literal[
    "PENDING", "CONFIRMED", "IN_DELIVERY", "COMPLETED", "ON_HOLD", "REJECTED", "CANCELLING", "CANCELLED"
]
Port = Annotated[int, Parameter(validator=Number(gte=1, lte=65535))]


def _visible_ascii(_: Any, text: Any) -> None:
    if text and not (len(text) <= 255 and all("!" <= character <= "~" for character in text)):
        raise ValueError("Must be 1 to 255 visible ASCII characters.")


EPILOGUE = """\
Exit codes: 0 done; 1 it did not work; 2 wrong arguments or settings; 3 it has to run (or must not) and does not (or
does); 4 it looked and found something wrong (check, reconcile, doctor, load); 130 interrupted.
"""

app = App(
    name="orderhub",
    help="OrderHub: an order platform that never loses an order, a cent or an animal.",
    help_epilogue=EPILOGUE,
    version_flags=["--version"],
    version=lambda: _version(),
)


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    home: Annotated[
        Path | None, Parameter(help="The data folder (default: ORDERHUB_HOME, or .orderhub here).")
    ] = None
    json: Annotated[bool, Parameter(negative="", help="Print JSON, one object per line.")] = False

    @property
    def out(self) -> Output:
        return Output(as_json=self.json)

    @property
    def place(self) -> Any:
        from orderhub import home

        return home.at(self.home)


COMMON = Common()


def _version() -> str:
    from importlib.metadata import version

    return version("orderhub")


@app.command
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
        All services in one process, in two, or each in its own (2).
    """
    from orderhub import up as upping

    return upping.run(upping.Wishes(common.home, port, processes), common.out)


@app.command
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


@app.command
def status(*, common: Common = COMMON) -> int:
    """What runs, and whether it is ready."""
    from orderhub import control

    return control.status(common.place, common.out)


@app.command
def down(*, common: Common = COMMON) -> int:
    """Stop what `up` started here, and wait until it has stopped."""
    from orderhub import control

    return control.down(common.place, common.out)


@app.command
def reset(*, yes: bool = False, common: Common = COMMON) -> int:
    """Remove all data, logs and secrets of the data folder.

    Parameters
    ----------
    yes
        Do not ask.
    """
    from orderhub import control

    return control.reset(common.place, common.out, yes=yes)


@app.command
def migrate(*, common: Common = COMMON) -> int:
    """Bring all databases to the newest schema."""
    from orderhub import control

    return control.migrate(common.place, common.out)


@app.command
def token(user: str, /, *, common: Common = COMMON) -> int:
    """Log a user in and print the access token alone.

    Parameters
    ----------
    user
        customer, customer2, courier, operator, a vendor's name (blue-lagoon-aquatics), or an e-mail address with its
        password in ORDERHUB_PASSWORD.
    """
    from orderhub import gateway

    found = gateway.as_user(common.place, user).token
    common.out.result({"access_token": found}) if common.json else print(found)
    return Exit.DONE


@app.command
def seed(*, bench: bool = False, common: Common = COMMON) -> int:
    """Bring the demo catalogue in again, or the 5,000 products that `load` orders.

    Parameters
    ----------
    bench
        The products of `load`, by a vendor of their own with a huge stock.
    """
    from orderhub import seeding

    return seeding.seed(common.place, common.out, bench=bench)


@app.command(name="import")
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


order = App(name="order", help="Place, show, list and cancel orders as a demo user.")
app.command(order)


@order.command(name="place")
def order_place(
    *,
    sku: str,
    quantity: Annotated[int, Parameter(validator=Number(gte=1, lte=1_000_000))] = 1,
    ship_to: Country = "NL",
    pay: str = "tok_ok",
    user: Annotated[str, Parameter(name=["--user", "--as"])] = "customer",
    vendor: str = "",
    comment: str = "",
    key: Annotated[str, Parameter(validator=_visible_ascii)] = "",
    wait: Annotated[int, Parameter(validator=Number(gte=0, lte=30))] | None = None,
    watch: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """Place an order of one line.

    Parameters
    ----------
    sku
        What to order.
    quantity
        How many.
    ship_to
        The country whose demo address it goes to.
    pay
        The simulator's card: tok_ok, tok_declined, tok_insufficient_funds, tok_timeout, tok_flaky.
    user
        Who orders.
    vendor
        The vendor's id, where several have that SKU.
    comment
        For the vendor.
    key
        The Idempotency-Key; a new one each time where it is not given.
    wait
        Let the gateway wait so many seconds, 30 at most, for the order to settle.
    watch
        Show the timeline as it grows, until the order is settled.
    """
    from orderhub import ordering

    wanted = ordering.Placing(sku, quantity, ship_to, pay, vendor, comment, key, wait)
    return ordering.place(common.place, common.out, user, wanted, watch=watch)


@order.command(name="show")
def order_show(
    order_id: str = "last",
    /,
    *,
    user: Annotated[str, Parameter(name=["--user", "--as"])] = "customer",
    timeline: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """Show an order.

    Parameters
    ----------
    order_id
        Its id; `last` is the user's newest.
    user
        Whose eyes to look with.
    timeline
        With its whole history.
    """
    from orderhub import ordering

    return ordering.show(common.place, common.out, user, order_id, timeline=timeline)


@order.command(name="list")
def order_list(
    *,
    user: Annotated[str, Parameter(name=["--user", "--as"])] = "customer",
    status: Status | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=200))] = 20,
    common: Common = COMMON,
) -> int:
    """List orders, the newest first.

    Parameters
    ----------
    user
        A customer's own, a vendor's own, or all for the operator.
    status
        Only those in this state.
    limit
        At most so many, 200 at most.
    """
    from orderhub import ordering

    return ordering.listed(common.place, common.out, user, status=status or "", limit=limit)


@order.command(name="cancel")
def order_cancel(
    order_id: str = "last",
    /,
    *,
    user: Annotated[str, Parameter(name=["--user", "--as"])] = "customer",
    reason: str = "changed my mind",
    watch: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """Cancel an order.

    Parameters
    ----------
    order_id
        Its id; `last` is the user's newest.
    user
        Who cancels.
    reason
        Kept with the order.
    watch
        Show the timeline as it grows, until the order is settled.
    """
    from orderhub import ordering

    return ordering.cancel(common.place, common.out, user, order_id, reason=reason, watch=watch)


@app.command
def check(*names: str, common: Common = COMMON) -> int:
    """Look whether the data of all services fits together, running or stopped; names every row that does not.

    Parameters
    ----------
    names
        Only these checks.
    """
    from orderhub.checks import run as checking

    return checking.run(common.place, common.out, only=names)


@app.command
def load(
    *,
    rate: float = 0.0,
    duration: str = "30s",
    mix: str = "happy",
    orders: int = 0,
    deliver: Annotated[bool, Parameter(negative="")] = False,
    burst: Annotated[bool, Parameter(negative="")] = False,
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


@app.command
def reconcile(*, common: Common = COMMON) -> int:
    """Compare orders, ledger and the provider's own answer; names every difference."""
    from orderhub import operators

    return operators.reconcile(common.place, common.out)


@app.command
def doctor(*, port: Port = 8080, common: Common = COMMON) -> int:
    """Look at the machine, the settings and the data folder: per line what is wrong and how to mend it.

    Parameters
    ----------
    port
        The port that the gateway is to have.
    """
    from orderhub import doctor as doctors

    return doctors.run(common.place, common.out, port=port)


@app.command
def config(
    *,
    write: Annotated[bool, Parameter(negative="")] = False,
    check: Annotated[bool, Parameter(negative="")] = False,
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


admin = App(name="admin", help="For an installation without demo data.")
app.command(admin)


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


@app.command
def version(*, common: Common = COMMON) -> int:
    """The version of OrderHub and of what it stands on."""
    from orderhub import control

    return control.versions(common.out)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code. No error of a user leaves a traceback."""
    tokens = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in tokens
    return _ended(
        lambda: app(tokens, exit_on_error=False, print_error=False, result_action="return_value"), as_json
    )


def _ended(command: Callable[[], Any], as_json: bool) -> int:
    try:
        return int(command() or 0)
    except CycloptsError as error:
        complain(f"{error} (see `orderhub --help`)", as_json=as_json)
        return Exit.USAGE
    except Refused as error:
        complain(str(error), as_json=as_json)
        return error.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
