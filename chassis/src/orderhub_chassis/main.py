"""What every service's `__main__` does: settings, logs, run; bad settings are one line and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg

from orderhub_chassis import http, migrate, runner, settings, telemetry
from orderhub_chassis.bus.base import OtherBus, TopicMismatch
from orderhub_chassis.errors import Unavailable
from orderhub_chassis.service import Surroundings

BAD_SETTINGS = 2
NO_START = (
    migrate.MigrationError,
    http.PortTaken,
    TopicMismatch,
    OtherBus,
    Unavailable,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
)
"""What can be wrong around a service; anything else is a bug and keeps its trace."""


def run_service(
    settings_cls: type[Any],
    build: Callable[[Any, Surroundings], AbstractAsyncContextManager[Any]],
) -> None:
    """Run one service until a signal; never returns."""
    try:
        loaded = settings.load(settings_cls)
        telemetry.configure_logs(loaded.service, loaded.log_level, loaded.log_format)
        redis_url = loaded.redis_url.get_secret_value()
        sys.exit(
            runner.run({loaded.service: lambda around: build(loaded, around.of(loaded))}, redis_url=redis_url)
        )
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_SETTINGS)
    except NO_START as error:
        print(f"{settings_cls.service} cannot start: {error or type(error).__name__}", file=sys.stderr)
        sys.exit(1)
