"""`python -m orderhub_orders`: the orders service alone in its process."""

from orderhub_chassis import main

from orderhub_orders.app import build
from orderhub_orders.settings import Settings

if __name__ == "__main__":
    main.run_service(Settings, build)
