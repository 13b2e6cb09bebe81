"""A start waits for what is not there yet, so that everything may be started in any order: it says what it waits for,
in the log and at /readyz, and tries again with longer and longer pauses. What no waiting mends is raised."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from orderhub_chassis import migrate, outages
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.health import Readiness
from orderhub_chassis.settings import SettingsError
from orderhub_chassis.telemetry import log

T = TypeVar("T")
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
WORTH_WAITING: Final = (Unavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, migrate.Behind)


async def until_there(
    readiness: Readiness,
    part: str,
    where: str,
    attempt: Callable[[], Awaitable[T]],
    *,
    variable: str = "",
    waits_for: tuple[type[Exception], ...] = WORTH_WAITING,
) -> T:
    """What `attempt` gives, as soon as it does. `where` is shown to people: an address without its password.
    `variable` is the setting that it comes from.

    Raises SettingsError for a URL that no server could mend, and whatever is not in `waits_for`.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            found = await attempt()
        except asyncpg.exceptions.ClientConfigurationError as error:
            raise SettingsError(f"{variable or part}: {where}: {error}") from error
        except waits_for as error:
            _tell(readiness, part, where, error, pause)
        else:
            readiness.ready(part)
            return found
        await asyncio.sleep(pause * random.uniform(0.8, 1.0))
        pause = min(pause * 2, LONGEST_PAUSE)


def _tell(readiness: Readiness, part: str, where: str, error: Exception, pause: float) -> None:
    if isinstance(error, migrate.Behind):
        kind, words = "migrations", str(error)
    else:
        outage = outages.explain(error)
        kind, words = outage.kind, f"{where}: {outage.words}"
    readiness.unready(part, words)
    log("start").warning("start.waits", part=part, kind=str(kind), reason=words, seconds=pause)
