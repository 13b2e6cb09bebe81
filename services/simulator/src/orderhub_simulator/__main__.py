"""`python -m orderhub_simulator`: runs until SIGTERM or SIGINT, drains and exits 0; a second signal ends at once."""

from __future__ import annotations

import sys

import asyncpg
from orderhub_chassis import http, migrate, runner, telemetry
from orderhub_chassis import settings as chassis_settings

from orderhub_simulator.app import build
from orderhub_simulator.settings import Settings


def main() -> int:
    try:
        settings = chassis_settings.load(Settings)
        telemetry.configure_logs(settings.service, settings.log_level, settings.log_format)
        return runner.run({settings.service: lambda around: build(settings, around.of(settings))})
    except (chassis_settings.SettingsError, http.PortTaken, migrate.MigrationError) as error:
        return _complain(str(error))
    except (OSError, asyncpg.PostgresError) as error:
        return _complain(f"the database of ORDERHUB_SIMULATOR_DATABASE_URL is away: {error}")


def _complain(line: str) -> int:
    print(f"simulator cannot start: {line}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
