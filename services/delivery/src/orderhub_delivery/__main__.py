"""`python -m orderhub_delivery`: runs until SIGTERM or SIGINT, drains and exits 0; a second signal ends at once."""

from __future__ import annotations

import sys

from orderhub_chassis import runner, settings, telemetry

from orderhub_delivery.app import build
from orderhub_delivery.settings import Settings


def main() -> int:
    try:
        own = settings.load(Settings)
        telemetry.configure_logs(own.service, own.log_level, own.log_format)
        return runner.run(
            {own.service: lambda around: build(own, around)}, redis_url=own.redis_url.get_secret_value()
        )
    except settings.SettingsError as error:
        print(f"delivery cannot start: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
