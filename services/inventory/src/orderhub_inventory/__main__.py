"""`python -m orderhub_inventory`: inventory alone in this process."""

from orderhub_chassis import main

from orderhub_inventory.app import build
from orderhub_inventory.settings import Settings

if __name__ == "__main__":
    main.run_service(Settings, build)
