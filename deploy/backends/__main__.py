"""`python deploy/backends up kafka redis`: this folder is the command, and the place to import `orderhub_backends` from."""

import sys

from orderhub_backends.cli import main

sys.exit(main(sys.argv[1:]))
