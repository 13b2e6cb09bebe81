"""The `orderhub` command. Names, options and help of its commands stand here by subject, what they do in modules of
their own, which are imported when they are needed, so that `--help` is there at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from cyclopts import App, CycloptsError
from orderhub_chassis.sources import SettingsError

from orderhub.cli import operations, orders, product
from orderhub.exits import Exit, Refused
from orderhub.output import complain

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
COMMANDS: tuple[Any, ...] = (
    product.up, product.run, product.status, product.down, product.reset, product.migrate,
    orders.token, product.seed, product.import_, orders.order, operations.check, operations.load,
    operations.reconcile, operations.doctor, operations.config, operations.cleanup, operations.admin, operations.version,
)  # fmt: skip
for command in COMMANDS:
    app.command(command)


def _version() -> str:
    from importlib.metadata import version

    return version("orderhub")


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
    except SettingsError as error:  # what only the use of a setting shows
        complain(str(error), as_json=as_json)
        return Exit.USAGE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
