"""`python -m orderhub_delivery`: runs until SIGTERM or SIGINT, drains and exits 0; a second signal ends at once."""

from orderhub_chassis import main

from orderhub_delivery.app import build
from orderhub_delivery.settings import Settings

if __name__ == "__main__":
    main.run_service(Settings, build)
